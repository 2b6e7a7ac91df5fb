import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

export * from './encode.js'
export * from './network.js'

/** The lines of a file, one after another, without reading it whole: `for await (const line of readlines(file))`. */
export async function* readlines(file, encoding = 'utf-8') {
  const input = createReadStream(file, { encoding })
  const lines = createInterface({ input, crlfDelay: Infinity })
  const failed = new Promise((_, reject) => input.once('error', reject))
  failed.catch(() => {})
  const iterator = lines[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await Promise.race([iterator.next(), failed])
      if (done) return
      yield value
    }
  } finally {
    lines.close()
    input.destroy()
  }
}

/** Calls `callback` with each line, then `finished`. */
export async function readlinesCallback(file, callback, finished, encoding = 'utf-8') {
  for await (const line of readlines(file, encoding)) callback(line)
  finished?.()
}
