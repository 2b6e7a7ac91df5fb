// What the feeds of one server said, put together.

// A server keeps 600 points; one that doesn't merge them can't make the page grow.
const kMostPoints = 1200

export class Store {
  constructor() {
    this.clear()
  }

  clear() {
    this.id = undefined
    this.time = 0
    this.interval = 1
    this.statistics = undefined
    this.checkpoints = undefined
    this.history = { time: [] }
    this.points = (this.points ?? 0) + 1
    this.rates = {}
  }

  /**
   * Takes a feed; "restarted" when it is of another run of the server than the one before, else undefined. `points` is
   * another number whenever the history changed.
   */
  apply(feed) {
    const restarted = this.id !== undefined && this.id !== feed.id
    if (restarted) this.clear()
    this.#follow(feed)
    this.id = feed.id
    this.time = feed.time
    this.statistics = feed.statistics
    this.checkpoints = feed.checkpoints
    this.#remember(feed.history)
    return restarted ? 'restarted' : undefined
  }

  #remember(history) {
    if (!history?.time || (history.time.length === 0 && !history.reset)) return
    ++this.points
    this.interval = history.interval ?? this.interval
    const { time } = history
    const columns = Object.keys(history).filter((name) => Array.isArray(history[name]))
    const before = history.reset ? 0 : this.history.time.length
    if (history.reset) this.history = { time: [] }
    for (const name of columns) {
      const column = (this.history[name] ??= new Array(before).fill(null))
      for (let i = 0; i < time.length; ++i) column.push(history[name][i] ?? null)
    }
    this.#trim(before + time.length)
  }

  // Every column gets the length of `time`, also those that a feed left out.
  #trim(length) {
    const surplus = Math.max(0, length - kMostPoints)
    for (const column of Object.values(this.history)) {
      while (column.length < length) column.push(null)
      if (surplus > 0) column.splice(0, surplus)
    }
  }

  // What a route did since the last feed, per second.
  #follow(feed) {
    const passed = feed.time - this.time
    if (!this.statistics || !(passed > 0)) return
    for (const [name, { requests }] of Object.entries(feed.statistics.routes ?? {})) {
      const before = this.statistics.routes?.[name]?.requests ?? 0
      this.rates[name] = Math.max(0, requests - before) / passed
    }
  }

  /** The last value of a column that isn't null, or undefined. */
  latest(name) {
    return this.history[name]?.findLast((value) => value !== null)
  }
}

/** A running mean over about eight points, fewer where there are few, corrected for its start; nulls stay. */
export function smooth(values, span = Math.min(8, 1 + values.length / 25)) {
  const keep = 1 - 1 / span
  let sum = 0
  let weight = 0
  return values.map((value) => {
    if (value === null) return null
    sum = keep * sum + value
    weight = keep * weight + 1
    return sum / weight
  })
}

/** MODELs as rows in the order of a tree: {path, depth, model}. */
export function flatten(models, prefix = '', depth = 0) {
  return (models ?? []).flatMap((model) => {
    const path = prefix + model.model
    return [{ path, depth, model }, ...flatten(model.statistics?.models, `${path}.`, depth + 1)]
  })
}
