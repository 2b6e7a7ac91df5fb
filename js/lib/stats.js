import { hostname } from 'node:os'
import { tfetch } from './fetch.js'
import { opToFlops } from './forms.js'
import { native, ShumaiError } from './native.js'
import { bytesUsed, Tensor } from './tensor.js'
import { kindOf } from './kinds.js'

const now = () => performance.timeOrigin + performance.now()
const emptyEntry = () => ({ count: 0n, time: 0, bytes: 0n, gflops: 0 })

function addTo(map, key, entry) {
  const sum = map.get(key) ?? emptyEntry()
  map.set(key, { count: sum.count + BigInt(entry.count), time: sum.time + entry.time, bytes: sum.bytes + BigInt(entry.bytes), gflops: sum.gflops + entry.gflops })
}

const fromCore = ([op, count, nanoseconds, bytes, flops]) => [op, { count: BigInt(count), time: nanoseconds / 1e6, bytes: BigInt(bytes), gflops: flops / 1e9 }]

/** `value` with plain numbers for bigints. */
function plain(value) {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

/** Prints a line: the rate, and the operations with the most FLOPs. */
export class StatsLoggerConsole {
  async process({ stats }) {
    const { deviceRate, hostRate, entriesByOp } = stats.getSummary()
    const most = entriesByOp.sort(([, a], [, b]) => b.gflops - a.gflops).slice(0, 4)
    const top = most.map(([op, { gflops }]) => `${op} ${gflops.toFixed(1)}`).join(', ')
    console.log(`shumai: ${hostRate.gflops.toFixed(1)} GFLOP/s, ${deviceRate.gflops.toFixed(1)} within operations; most: ${top}`)
  }
}

/** Posts what stats.toJSON() gives; a failure is printed. */
export class StatsLoggerHttp {
  #url
  #options
  constructor({ url, ...options } = {}) {
    if (!url) throw new ShumaiError('StatsLoggerHttp: expected a url')
    this.#url = url
    this.#options = options
  }
  async process({ stats }) {
    const body = JSON.stringify(stats.toJSON({ includeRemotes: true }))
    try {
      const answer = await fetch(this.#url, { method: 'POST', ...this.#options, headers: { 'Content-Type': 'application/json', ...this.#options.headers }, body })
      await answer.arrayBuffer()
      if (!answer.ok) throw new Error(`${this.#url} answered ${answer.status}`)
    } catch (error) {
      console.error(`shumai: statistics were not delivered: ${error.message}`)
    }
  }
}

let collect, carry

// The Stats of tensors, by the number that the core keeps with a tensor.
const carried = new Map()
let lastNumber = 0
const kProcess = 1 // the number of the process's own
const jsNames = new Map(native.table().map(({ name, js }) => [name, js.split(' ')[0]]))

let scoped

/** Counts what operations cost: see index.d.ts. */
export class Stats {
  #core = native.makeStats()
  #number = ++lastNumber
  #enabled = false
  #interval
  #timer
  #loggers = []
  #known // what came from elsewhere, beside what the core counts
  #remotes = new Map()

  constructor({ enabled = false, interval = 5000, collectStacks = false, logger = new StatsLoggerConsole() } = {}) {
    if (collectStacks) throw new ShumaiError('stats: operations are counted by name, stacks are not collected')
    this.hostId = hostname()
    this.processId = String(process.pid)
    this.deviceId = 'cpu'
    this.#interval = interval
    if (logger) this.#loggers.push(logger)
    this.reset()
    this.enabled = enabled
  }

  get id() { return `${this.hostId}:${this.processId}:${this.deviceId}` }
  get enabled() { return this.#enabled }
  set enabled(enabled) {
    if (this.#enabled === Boolean(enabled)) return
    this.#enabled = Boolean(enabled)
    if (enabled) this.reset()
    native.enableStats(this.#core, this.#enabled)
    this.#schedule()
    if (this.#number === kProcess) collectAsNow()
  }

  get interval() { return this.#interval }
  set interval(milliseconds) {
    this.#interval = milliseconds
    this.#schedule()
  }
  #schedule() {
    clearInterval(this.#timer)
    if (!this.#enabled || !this.#interval) return
    this.#timer = setInterval(() => {
      if (this.#loggers.length > 0 && this.statsByOp.size > 0) this.flush()
    }, this.#interval)
    this.#timer.unref()
  }

  get loggers() { return this.#loggers }
  set logger(logger) { this.#loggers = logger ? [logger] : [] }
  addLogger(logger) { this.#loggers.push(logger) }
  removeLogger(logger) { this.#loggers = this.#loggers.filter((item) => item !== logger) }

  /** What was counted, by the name of the operation; a copy. */
  get statsByOp() {
    const out = new Map(native.readStats(this.#core).map(fromCore))
    for (const [op, entry] of this.#known.byOp) addTo(out, op, entry)
    return out
  }
  get bytesUsed() { return this.#known.bytesUsed ?? bytesUsed() }
  get remoteStats() { return this.#remotes }

  /** Forgets all that was counted. */
  reset() {
    native.resetStats(this.#core)
    this.#known = { byOp: new Map(), begin: 0, end: 0, bytesUsed: undefined }
    this.#remotes = new Map()
  }

  startTrace(op) { return { op, startTime: now(), startBytes: bytesUsed(), time: 0, bytes: 0n } }
  stopTrace(trace) {
    trace.time = now() - trace.startTime
    trace.bytes = bytesUsed() - trace.startBytes
  }
  /** Counts what was traced by hand, with the FLOPs of sm.opToFlops(). */
  logTrace(trace, inputs, output) {
    this.#extend(trace.startTime, trace.startTime + trace.time)
    addTo(this.#known.byOp, trace.op, { count: 1n, time: trace.time, bytes: trace.bytes, gflops: opToFlops(trace.op, inputs, output) / 1e9 })
  }

  #extend(begin, end) {
    if (!begin) return
    this.#known.begin = Math.min(this.#known.begin || begin, begin)
    this.#known.end = Math.max(this.#known.end, end)
  }
  #period() {
    const [begin, end] = native.statsPeriod(this.#core) ?? [0, 0]
    return { startTime: Math.min(begin || this.#known.begin, this.#known.begin || begin), endTime: Math.max(end, this.#known.end) }
  }

  /** Adds what another host counted: into this one if it has the same id, else beside it. */
  addRemoteStats(stats) {
    const mine = stats.id === this.id ? this : this.#remotes.get(stats.id)
    if (mine === undefined) {
      this.#remotes.set(stats.id, stats)
      return stats
    }
    if (mine === stats) return mine
    const { startTime, endTime } = stats.#period()
    mine.#extend(startTime, endTime)
    for (const [op, entry] of stats.statsByOp) addTo(mine.#known.byOp, op, entry)
    return mine
  }

  /** Asks a server for the operations that it has counted so far; they take the place of what it told before. */
  async fetchRemoteStats(url, options) {
    const { operations } = await tfetch(`${url}/statistics`, undefined, options)
    if (operations === undefined) throw new ShumaiError(`${url} doesn't collect statistics of operations`, 'not_found', 404)
    const stats = new Stats({ logger: null })
    Object.assign(stats, { hostId: String(url), processId: '', deviceId: '' })
    for (const [op, { count, nanoseconds, bytes, flops }] of Object.entries(operations)) addTo(stats.#known.byOp, ...fromCore([jsNames.get(op) ?? op, count, nanoseconds, bytes, flops]))
    this.#remotes.set(stats.id, stats)
    return stats
  }

  /** Hands everything to the loggers and starts anew. */
  async flush() {
    const handed = Stats.fromJSON(this.toJSON({ includeRemotes: true }))
    this.reset()
    const data = { stats: handed, ops: handed.statsByOp, stacks: new Map(), stackKeys: new Map() }
    await Promise.all(this.#loggers.map(async (logger) => {
      try {
        await logger.process(data)
      } catch (error) {
        console.warn(`shumai: a logger of statistics failed: ${error.message}`)
      }
    }))
  }

  /** Everything with rates: `gflops` of the entries are for each second of the period. */
  getSummary({ includeRemotes = true, computeRates = true } = {}) {
    const entriesByOp = [...this.statsByOp]
    const { startTime, endTime } = this.#period()
    const seconds = (endTime - startTime) / 1000
    const totals = emptyEntry()
    for (const [, entry] of entriesByOp) {
      for (const key of Object.keys(totals)) totals[key] += entry[key]
      if (computeRates) entry.gflops = seconds ? entry.gflops / seconds : 0
    }
    const rate = (over) => ({
      count: over ? BigInt(Math.round(Number(totals.count) / over)) : 0n,
      time: seconds ? totals.time / seconds : 1000,
      bytes: totals.count ? totals.bytes / totals.count : 0n,
      gflops: over ? totals.gflops / over : 0,
    })
    const hostRate = rate(seconds)
    const remoteStats = includeRemotes ? Array.from(this.#remotes.values(), (stats) => stats.getSummary({ includeRemotes, computeRates })) : []
    const { id, hostId, processId, deviceId } = this
    return {
      id, hostId, processId, deviceId, startTime, endTime, totals, hostRate, deviceRate: rate(totals.time / 1000), stackKeys: [], entriesByStack: [], entriesByOp,
      utilization: hostRate.time / 1000, bytesUsed: this.bytesUsed, remoteStats,
    }
  }

  /** The same in plain numbers, for JSON. Without rates unless asked for. */
  toJSON(options) {
    const { includeRemotes = false, computeRates = false } = typeof options === 'object' && options !== null ? options : {}
    return plain(this.getSummary({ includeRemotes, computeRates }))
  }

  /** What toJSON() gave, without rates, as a Stats again. */
  static fromJSON(summary) {
    if (!Array.isArray(summary?.entriesByOp)) throw new ShumaiError('Stats.fromJSON: expected what toJSON() gave')
    const stats = new Stats({ logger: null })
    const { hostId = 'unknown', processId = 'unknown', deviceId = 'unknown' } = summary
    Object.assign(stats, { hostId, processId, deviceId })
    for (const [op, entry] of summary.entriesByOp) addTo(stats.#known.byOp, op, entry)
    stats.#extend(summary.startTime, summary.endTime)
    stats.#known.bytesUsed = BigInt(summary.bytesUsed ?? 0)
    for (const remote of summary.remoteStats ?? []) stats.addRemoteStats(Stats.fromJSON(remote))
    return stats
  }

  static {
    collect = (here, everywhere) => native.collect(here?.#core, everywhere?.#core)
    carry = (tensor, stats) => {
      native.setStats(tensor.__handle, stats.#core, stats.#number)
      const known = carried.get(stats.#number)
      if (known) ++known.times
      else carried.set(stats.#number, { stats, times: 1 })
    }
  }
}

function collectAsNow() {
  const everywhere = globalStats.enabled ? globalStats : undefined
  collect(scoped ?? everywhere, everywhere)
}

Object.defineProperty(Tensor.prototype, 'stats', {
  get() {
    const number = native.statsOf(this.__handle)
    return number === 0 ? null : carried.get(number).stats
  },
  set(stats) {
    for (const number of native.droppedStats()) if (--carried.get(number).times === 0) carried.delete(number)
    if (stats === null || stats === undefined) native.setStats(this.__handle)
    else if (stats instanceof Stats) carry(this, stats)
    else throw new ShumaiError(`stats: expected a Stats or null, got ${kindOf(stats)}`)
  },
  configurable: true,
})

const globalStats = new Stats()
/** What counts now: the process's own, or the one of the collectStats() that runs. */
export let stats = globalStats

const AsyncFunction = (async () => {}).constructor

/** Counts what `fn` computes, and nothing of it elsewhere. */
export function collectStats(fn, options) {
  if (fn instanceof AsyncFunction) throw new ShumaiError('collectStats: expected a function that isn\'t async, other code would run between its awaits')
  const given = typeof options?.process === 'function' ? { logger: options } : options
  const mine = new Stats({ logger: null, ...given, enabled: true })
  const before = [stats, scoped]
  stats = scoped = mine
  collectAsNow()
  try {
    fn()
  } finally {
    ;[stats, scoped] = before
    collectAsNow()
    mine.enabled = false
  }
  return mine
}
