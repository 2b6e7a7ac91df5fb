export { readlines, readlinesCallback } from './io.js'
export * from './encode.js'
/** range(end), range(start, end) or range(start, end, step). */
export declare function range(start: number, end?: number | null, step?: number): Generator<number, void, void>
/** Shuffles an array in place and returns it. */
export declare function shuffle<T>(array: T[]): T[]
/** Resolves after `ms` milliseconds. */
export declare function sleep(ms: number): Promise<void>
/** Awaits promises that run at the same time: all(a, b) or all([a, b]). */
export declare function all<T extends readonly unknown[]>(promises: readonly [...T]): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>
export declare function all<T extends readonly unknown[]>(...promises: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>
/** Iterates with a progress bar on standard error, or a plain line now and then where that is no terminal. */
export declare function viter(length: number, callback?: (i: number) => unknown): Generator<number, void, void>
export declare function viter<T>(array: ArrayLike<T>, callback?: (i: number) => unknown): Generator<T, void, void>
/** Runs commands, each a program and its arguments with spaces between, at the same time; what each wrote to standard output. */
export declare function run(...commands: string[]): Promise<string[]>
/** One line with a turning wheel, written over itself. */
export declare function tuiLoad(text: string): void
/**
 * Runs `fn` and disposes of every tensor that it made, except those that it
 * returns, in arrays and objects too. For an async function that is when its
 * promise settles, and what it makes after an await counts as well.
 */
export declare function tidy<T>(fn: (...args: any[]) => T, args?: unknown): T
/** The runtime's Float16Array; where it has none, an array of wider numbers that `sm.tensor` rounds to float16. */
export declare const Float16Array: {
  readonly BYTES_PER_ELEMENT: number
  new (data: number | ArrayLike<number> | Iterable<number>): ArrayLike<number> & Iterable<number> & ArrayBufferView
}
/** Runs `fn` with the tensors that it makes left out of any tidy around it. */
export declare function tidyExclude<T>(fn: () => T): T
/**
 * A full garbage collection is asked for above `upperBoundThreshold` bytes of
 * tensors, or above `lowerBoundThreshold` when `delayBetweenGCs` ms have passed
 * since the last or the bytes have doubled.
 */
export interface MemoryOptions {
  lowerBoundThreshold: number
  upperBoundThreshold: number
  delayBetweenGCs: number
}
/** When to ask the garbage collector for a full collection. Returns the options in force. */
export declare function memoryOptions(changes?: Partial<MemoryOptions>): MemoryOptions
/** Tensors and bytes that JavaScript objects hold now. */
export declare function held(): { tensors: number; bytes: number }
