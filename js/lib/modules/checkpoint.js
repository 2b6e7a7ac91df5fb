import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { ShumaiError } from '../native.js'
import { load } from '../tensor.js'

const fileName = (number) => `checkpoint-${String(number).padStart(10, '0')}.safetensors`

/** The numbers of the files in a directory, newest first. */
function numbersIn(directory) {
  const numbers = readdirSync(directory).map((name) => Number(/^checkpoint-(\d{10,})\.safetensors$/.exec(name)?.[1] ?? 0))
  return numbers.filter((number) => number > 0).sort((a, b) => b - a)
}

/** The tensors of a file; null when it is damaged. */
function read(file) {
  try {
    return load(file)
  } catch (error) {
    if (error.code !== 'protocol' && error.code !== 'too_large') throw error
    console.warn(`checkpoint: passed over: ${error.message}`)
    return null
  }
}

/** Numbered files of a module in one directory, "checkpoint-0000000012.safetensors", as C++ names them. */
export class Checkpoint {
  #module
  #directory
  #keep

  constructor(module, directory, keep) {
    if (!Number.isInteger(keep) || keep < 1) throw new ShumaiError(`checkpoint: keep must be 1 or more, got ${keep}`)
    this.#module = module
    this.#directory = directory
    this.#keep = keep
    mkdirSync(directory, { recursive: true })
    const numbers = numbersIn(directory)
    /** The number of the newest file, loaded or written; 0 when there is none. */
    this.number = numbers[0] ?? 0
    for (const number of numbers) {
      const state = read(path.join(directory, fileName(number)))
      if (state === null) continue
      module.loadState(state)
      break
    }
  }

  /** Writes the next file, atomically, removes all but the newest, and returns its path. */
  save() {
    const file = path.join(this.#directory, fileName(this.number + 1))
    this.#module.save(file)
    ++this.number
    for (const number of numbersIn(this.#directory).slice(this.#keep)) rmSync(path.join(this.#directory, fileName(number)))
    return file
  }
}
