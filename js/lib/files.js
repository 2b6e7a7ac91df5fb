import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { native, ShumaiError } from './native.js'
import { prepare } from './memory.js'
import { Tensor, wrap } from './tensor.js'
import { kindOf } from './kinds.js'

/** Tensors of a safetensors file, by name; the one of a .npy file is called "tensor". */
export function load(file) {
  prepare()
  return Object.fromEntries(native.load(file).map(([name, handle]) => [name, wrap(handle)]))
}

/** Writes named tensors to a safetensors file, atomically, or a single one to a .npy file. */
export function save(file, tensors) {
  if (tensors instanceof Tensor) throw new ShumaiError('save: expected an object of tensors, {name: tensor}, got a tensor; tensor.save(file) writes one')
  saveModel(file, tensors, undefined)
}

/** The same with a model's description, as JSON text, in the file. */
export function saveModel(file, tensors, description) {
  const names = Object.keys(tensors)
  native.saveAll(file, names, names.map((name) => tensors[name].__handle), description)
}

/** The tensor of a file that holds only one. */
export function loadOnly(file) {
  const found = Object.entries(load(file))
  if (found.length === 1) return found[0][1]
  for (const [, tensor] of found) tensor.dispose()
  throw new ShumaiError(`load: expected one tensor in ${JSON.stringify(file)}, got ${found.length}: ${found.map(([name]) => name).join(', ')}`)
}

/** Gives `tensor` the value that a file holds. */
export function loadInto(tensor, file) {
  const value = loadOnly(file)
  try {
    native.update(tensor.__handle, value.__handle)
  } finally {
    value.dispose()
  }
}

// Where a file that the caller doesn't name belongs: the same line of the same program always finds it again.
function fileOfCaller() {
  const lines = new Error().stack.split('\n').slice(1).filter((line) => !line.includes(import.meta.url))
  return `tensor_${createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)}.safetensors`
}

/** Tensor.checkpoint: the value of a file if there is one, and what says when to write it. */
export function startCheckpoint(tensor, file, when) {
  const [name, saves] = typeof file === 'function' ? [undefined, file] : [file, when]
  if (saves !== undefined && typeof saves !== 'function') throw new ShumaiError(`checkpoint: expected a function that says when to save, got ${kindOf(saves)}`)
  const path = name === undefined ? fileOfCaller() : String(name)
  if (existsSync(path)) loadInto(tensor, path)
  else native.save(tensor.__handle, path)
  tensor.__checkpoint = { path, when: saves ?? (() => true), updates: 0 }
}

/** To be called after each update of a tensor that has a checkpoint. */
export function updated(tensor) {
  const checkpoint = tensor.__checkpoint
  if (checkpoint.when(++checkpoint.updates)) native.save(tensor.__handle, checkpoint.path)
}

/**
 * A tensor over another library's memory, by the address of its DLPack struct,
 * which is the tensor's from then on.
 */
export function fromDLTensor(address, { versioned = false } = {}) {
  prepare()
  return wrap(native.fromDLTensor(address, versioned))
}
