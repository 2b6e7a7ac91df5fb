import type { Tensor } from '../index.js'
import type { FetchOptions } from './network.js'

/** What one operation did. */
export interface StatsEntry<Count = bigint> {
  count: Count
  /** Milliseconds, those of the operations that it is made of left out. */
  time: number
  /** Of results, those that share the memory of an input left out. */
  bytes: Count
  /** 1e9 floating-point operations; those of getSummary() are for each second. */
  gflops: number
}

/** What a period of a process did. */
export interface StatsSummary<Count = bigint> {
  id: string
  hostId: string
  processId: string
  deviceId: string
  bytesUsed: Count
  /** The share of the period that was spent in operations. */
  utilization: number
  /** Milliseconds since 1970. */
  startTime: number
  endTime: number
  totals: StatsEntry<Count>
  /** For each second spent in operations. */
  deviceRate: StatsEntry<Count>
  /** For each second of the period. */
  hostRate: StatsEntry<Count>
  stackKeys: [number, string][]
  entriesByStack: [number, StatsEntry<Count>][]
  entriesByOp: [string, StatsEntry<Count>][]
  remoteStats: StatsSummary<Count>[]
}

/** One run of an operation. */
export interface StatTrace {
  op: string
  startTime: number
  startBytes: bigint
  time: number
  bytes: bigint
}

/** What a logger gets, at the end of each period. */
export interface StatsLoggerData {
  stats: Stats
  ops: Map<string, StatsEntry>
  stacks: Map<number, StatsEntry>
  stackKeys: Map<number, string>
}

/** Something that is told of each period. */
export interface StatsLogger {
  process(data: StatsLoggerData): Promise<void>
}

/** Prints a line: the rate, and the operations with the most FLOPs. */
export declare class StatsLoggerConsole implements StatsLogger {
  process(data: StatsLoggerData): Promise<void>
}

export type StatsLoggerHttpOptions = { url: string; method?: string; headers?: Record<string, string> }
/** Posts what stats.toJSON() gives; a failure is printed. */
export declare class StatsLoggerHttp implements StatsLogger {
  constructor(options: StatsLoggerHttpOptions)
  process(data: StatsLoggerData): Promise<void>
}

export interface StatsOptions {
  enabled?: boolean
  /** Milliseconds between calls of the loggers, 5000 unless given; 0: only by flush(). */
  interval?: number
  /** A StatsLoggerConsole unless given; null for none. */
  logger?: StatsLogger | null
}

export interface StatsJSONOptions {
  includeRemotes?: boolean
  computeRates?: boolean
}

/** Counts what operations cost, by name, in this process and what others tell of theirs. */
export declare class Stats {
  constructor(options?: StatsOptions)
  /** Enabling forgets what was counted before. */
  enabled: boolean
  interval: number
  hostId: string
  processId: string
  deviceId: string
  readonly id: string
  readonly loggers: StatsLogger[]
  /** Takes the place of all loggers. */
  set logger(logger: StatsLogger | null)
  addLogger(logger: StatsLogger): void
  removeLogger(logger: StatsLogger): void
  /** A copy of what was counted. */
  readonly statsByOp: Map<string, StatsEntry>
  readonly remoteStats: Map<string, Stats>
  readonly bytesUsed: bigint
  reset(): void
  startTrace(op: string): StatTrace
  stopTrace(trace: StatTrace): void
  /** Counts what was traced by hand, with the FLOPs of opToFlops(). */
  logTrace(trace: StatTrace, inputs: Tensor[], output: Tensor): void
  /** Adds what another host counted: into this one if it has the same id, else beside it. */
  addRemoteStats(stats: Stats): Stats
  /** Asks a server for the operations that it has counted so far; they take the place of what it told before. */
  fetchRemoteStats(url: string, options?: FetchOptions): Promise<Stats>
  /** Hands everything to the loggers and starts anew. */
  flush(): Promise<void>
  getSummary(options?: StatsJSONOptions): StatsSummary
  /** The same in plain numbers, for JSON. Without rates and remotes unless asked for. */
  toJSON(options?: StatsJSONOptions): StatsSummary<number>
  static fromJSON(summary: StatsSummary<number> | StatsSummary): Stats
}

/** What counts now, once enabled: the process's own, or the one of the collectStats() that runs. */
export declare let stats: Stats
/** Counts what `fn`, which must not be async, computes, and nothing of it elsewhere. */
export declare function collectStats(fn: () => unknown, options?: StatsOptions | StatsLogger): Stats
