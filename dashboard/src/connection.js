// The way to the server: requests with the token, and the stream of feeds.

/** An answer that says no: its status, and the words of its problem+json. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

async function refusal(answer) {
  const text = await answer.text().catch(() => '')
  let detail
  try {
    const problem = JSON.parse(text)
    detail = problem.detail ?? problem.title
  } catch {
    // Not everything between the page and the server speaks problem+json.
  }
  return new Refusal(answer.status, detail ?? `the server answered ${answer.status}`)
}

/** Relative to the page, which may be under a path of a gateway. */
export const address = (path) => new URL(path, document.baseURI)

/** Requests of this page's server; `token` is called for each. */
export const requester =
  (token) =>
  async (path, options = {}) => {
    const secret = token()
    const headers = secret ? { authorization: `Bearer ${secret}` } : {}
    const answer = await fetch(address(path), { cache: 'no-store', ...options, headers })
    if (!answer.ok) throw await refusal(answer)
    return answer
  }

/** Cuts a stream of server-sent events into the data of each. */
export class EventReader {
  #rest = ''

  /** The data of the events that `text` completes. */
  push(text) {
    const parts = (this.#rest + text).replaceAll('\r\n', '\n').split('\n\n')
    this.#rest = parts.pop()
    return parts
      .map((event) =>
        event
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart())
          .join('\n'),
      )
      .filter(Boolean)
  }
}

// Seconds between events: a third as often as a server takes points, since drawing them is what costs.
const kInterval = 3
const kFirstDelay = 500
const kLongestDelay = 15_000
// Without an event for this long the connection counts as lost.
const kSilence = 20_000

/** Up to 15 s, between half of it and all, so that pages don't all come back at once. */
export const backoff = (failures, random = Math.random()) =>
  Math.min(kLongestDelay, kFirstDelay * 2 ** failures) * (0.5 + 0.5 * random)

/**
 * Follows the feeds of a server until stop(), which may be followed by another start().
 * `onState(kind, detail)` tells "connecting", "live", "lost" (it tries again) or "refused" (it doesn't: 401 and 403).
 */
export class Watch {
  #control
  #stopped = true

  constructor({ request, onFeed, onState }) {
    Object.assign(this, { request, onFeed, onState })
  }

  start(model) {
    this.stop()
    this.#stopped = false
    this.#control = new AbortController()
    this.#run(model, this.#control)
  }

  stop() {
    this.#stopped = true
    this.#control?.abort()
  }

  get stopped() {
    return this.#stopped
  }

  async #run(model, control) {
    this.onState('connecting')
    for (let failures = 0; !control.signal.aborted; ++failures) {
      let error
      try {
        await this.#read(model, control.signal, () => (failures = 0))
        error = new Error('the server ended the stream')
      } catch (caught) {
        error = caught
      }
      if (control.signal.aborted) return
      if (error.status === 401 || error.status === 403) {
        this.#stopped = true
        return this.onState('refused', error)
      }
      this.onState('lost', error)
      await pause(backoff(failures), control.signal)
    }
  }

  async #read(model, signal, onEvent) {
    const attempt = new AbortController()
    const end = () => attempt.abort()
    signal.addEventListener('abort', end)
    let silence = setTimeout(end, kSilence)
    try {
      const which = model ? `&model=${model}` : ''
      const answer = await this.request(`statistics/stream?interval=${kInterval}${which}`, { signal: attempt.signal })
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      const events = new EventReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(silence)
        silence = setTimeout(end, kSilence)
        for (const data of events.push(value)) {
          if (signal.aborted) return
          const feed = JSON.parse(data)
          onEvent()
          this.onState('live')
          this.onFeed(feed)
        }
      }
    } finally {
      clearTimeout(silence)
      signal.removeEventListener('abort', end)
      end()
    }
  }
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(finish, milliseconds)
    function finish() {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    signal.addEventListener('abort', finish)
  })
