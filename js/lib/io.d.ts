export * from './encode.js'
export * from './network.js'
/** The lines of a file, one after another, without reading it whole. */
export declare function readlines(file: string, encoding?: BufferEncoding): AsyncGenerator<string, void, void>
/** Calls `callback` with each line, then `finished`. */
export declare function readlinesCallback(file: string, callback: (line: string) => void, finished?: () => void, encoding?: BufferEncoding): Promise<void>
