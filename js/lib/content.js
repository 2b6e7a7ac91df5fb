import { prepare } from './memory.js'
import { ShumaiError } from './native.js'
import { Tensor, wrap } from './tensor.js'
import { kindOf, oneOf } from './kinds.js'

// What one message carries, on its way to and from the core.

// What JSON would turn into something else without a word is refused: promises, typed arrays, maps.
const isPlain = (value) => Array.isArray(value) || typeof value.toJSON === 'function' || [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** [kind, data] for the core. Tensors in an object or array travel as named tensors, anything else as JSON. */
export function encode(value, what) {
  if (value === undefined || value === null) return [undefined, undefined]
  if (value instanceof Tensor) return ['tensor', value.__handle]
  if (typeof value === 'function' || typeof value === 'symbol') throw new ShumaiError(`${what}: can't send ${kindOf(value)}; expected a tensor, an object of tensors, or what JSON has`)
  if (typeof value !== 'object') return ['json', toJson(value)]
  if (!isPlain(value)) throw new ShumaiError(`${what}: can't send ${kindOf(value)}${ArrayBuffer.isView(value) ? '; make a tensor of it by tensor(array)' : ''}`)
  const entries = Object.entries(value)
  const other = entries.find(([, item]) => !(item instanceof Tensor))
  if (entries.length > 0 && !other) return ['tensors', entries.map(([name, item]) => [name, item.__handle])]
  if (entries.some(([, item]) => item instanceof Tensor)) throw new ShumaiError(`${what}: an object must hold tensors only or none, "${other[0]}" is ${kindOf(other[1])}`)
  return ['json', toJson(value)]
}

export const toJson = (value) => JSON.stringify(value, (key, item) => (typeof item === 'bigint' ? item.toString() : item))

/** Must run in the same turn as the core made the handles. */
export function decode(kind, data) {
  let value = data
  if (kind === 'tensor') value = wrap(data)
  else if (kind === 'tensors') {
    const entries = wrapEntries(data)
    // Positional ones are named by their places.
    value = entries.every(([name], i) => name === String(i)) ? entries.map(([, tensor]) => tensor) : Object.fromEntries(entries)
  } else if (kind === 'json') value = JSON.parse(data)
  prepare()
  return value
}

const wrapEntries = (entries) => entries.map(([name, handle]) => [name, wrap(handle)])

/** {name: tensor} of what the core gives by handles. Must run in the same turn. */
export function decodeNamed(entries = []) {
  const value = Object.fromEntries(wrapEntries(entries))
  prepare()
  return value
}

export const tensorsOf = (content) => (content instanceof Tensor ? [content] : Object.values(content ?? {}).filter((item) => item instanceof Tensor))

// An option that is silently left out, such as one that protects, would be worse than an error.
export function checkNames(given, known, what) {
  for (const name of Object.keys(given ?? {}))
    if (!known.includes(name)) throw new ShumaiError(`${what} ${JSON.stringify(name)}, ${oneOf(name, known)}`)
}
