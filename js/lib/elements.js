import { native, ShumaiError } from './native.js'

export const kNames = ['bool', 'uint8', 'int8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float16', 'bfloat16', 'float32', 'float64']

/** The element types, by the names of the original Shumai and of NumPy; and the names, by code. */
export const dtype = Object.freeze({
  BoolInt8: 0, Uint8: 1, Int8: 2, Int16: 3, Uint16: 4, Int32: 5, Uint32: 6, Int64: 7, BigInt64: 7, Uint64: 8, BigUint64: 8,
  Float16: 9, BFloat16: 10, Float32: 11, Float64: 12,
  ...Object.fromEntries(kNames.map((name, code) => [name, code])),
  ...['BoolInt8', 'Uint8', 'Int8', 'Int16', 'Uint16', 'Int32', 'Uint32', 'Int64', 'Uint64', 'Float16', 'BFloat16', 'Float32', 'Float64'],
})

export function dtypeCode(value) {
  if (typeof value === 'number' && value >= 0 && value < kNames.length) return value
  const code = dtype[value]
  if (typeof code !== 'number') throw new ShumaiError(`unknown dtype ${JSON.stringify(value)}, there is ${kNames.join(', ')}`, 'dtype_mismatch')
  return code
}

/** The typed array that holds a dtype's elements, and the dtype that its elements are read as. */
const kArrays = {
  0: [Uint8Array, 1], 1: [Uint8Array, 1], 2: [Int8Array, 2], 3: [Int16Array, 3], 4: [Uint16Array, 4], 5: [Int32Array, 5], 6: [Uint32Array, 6],
  7: [BigInt64Array, 7], 8: [BigUint64Array, 8], 9: [Uint16Array, 9], 10: [Uint16Array, 10], 11: [Float32Array, 11], 12: [Float64Array, 12],
}
/** The dtype of a typed array, by its tag, which subclasses and other realms share. */
const kOfArray = {
  Uint8Array: 1, Uint8ClampedArray: 1, Int8Array: 2, Int16Array: 3, Uint16Array: 4, Int32Array: 5, Uint32Array: 6, BigInt64Array: 7,
  BigUint64Array: 8, Float16Array: 9, Float32Array: 11, Float64Array: 12,
}

/** The runtime's, or one whose elements are wider until a tensor is made of them. */
export const Float16Array =
  globalThis.Float16Array ??
  class Float16Array extends Float32Array {
    get [Symbol.toStringTag]() { return 'Float16Array' }
  }
const kWideHalves = Float16Array.BYTES_PER_ELEMENT === 4

/** [the dtype that a typed array's elements are read as, the tensor's if it is another]. */
export function dtypeOfArray(data) {
  const code = kOfArray[data[Symbol.toStringTag]]
  if (code === undefined) throw new ShumaiError(`tensor: can't make a tensor of a ${data.constructor.name}`, 'dtype_mismatch')
  return code === 9 && kWideHalves ? [11, 9] : [code]
}

/** All elements of a tensor, as those of dtype `code`. */
export function readAs(tensor, code) {
  const [Array_, as] = kArrays[code]
  const out = new Array_(tensor.elements)
  native.read(tensor.__handle, as, out)
  return out
}

/** All elements as half precision. */
export function toHalves(tensor) {
  if (!kWideHalves) return new Float16Array(readAs(tensor, 9).buffer)
  const rounded = tensor.astype(9)
  const out = new Float16Array(readAs(rounded, 11))
  rounded.dispose()
  return out
}

/** All elements as numbers of the tensor's own precision. */
export const arrayOf = (tensor) => (tensor.dtype === 9 ? toHalves(tensor) : readAs(tensor, tensor.dtype === 10 ? 11 : tensor.dtype))
