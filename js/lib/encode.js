import { dtype, dtypeCode, readAs } from './elements.js'
import { native, ShumaiError } from './native.js'
import { prepare } from './memory.js'
import { Tensor, tensor, wrap } from './tensor.js'
import { kindOf } from './kinds.js'

// What the original writes for a tensor that came from nobody.
const kNobody = 0xffffffffn

// JSON has no bigints: the original writes them as ["bigint", "digits"].
const withBigints = (key, value) => (typeof value === 'bigint' ? ['bigint', value.toString()] : value)
const toBigints = (key, value) => (Array.isArray(value) && value.length === 2 && value[0] === 'bigint' ? BigInt(value[1]) : value)

function checkTensor(value, what) {
  if (!(value instanceof Tensor)) throw new ShumaiError(`${what}: expected a tensor, got ${kindOf(value)}`)
}

function provenanceOf({ provenance }) {
  if (!provenance) return kNobody
  if (!/^[0-9a-f]{1,16}$/i.test(provenance)) throw new ShumaiError(`encodeBinary: provenance must be up to 16 hexadecimal digits, got ${JSON.stringify(provenance)}`)
  return BigInt.asIntN(64, BigInt(`0x${provenance}`))
}

/** The binary form of the original Shumai: a tensor as float32, whether it requires gradients, and `props` as JSON. */
export function encodeBinary(value, props) {
  checkTensor(value, 'encodeBinary')
  return native.encodeBinary(value.__handle, provenanceOf(value), value.requires_grad, props === undefined ? '' : JSON.stringify(props, withBigints))
}

/** {tensor, props} of what encodeBinary gave, here or in the original. */
export function decodeBinary(bytes) {
  prepare()
  const [handle, provenance, required, text] = native.decodeBinary(bytes)
  const out = wrap(handle)
  if (provenance !== 0n && provenance !== kNobody) out.provenance = BigInt.asUintN(64, provenance).toString(16)
  if (required) out.requires_grad = true
  if (text === '') return { tensor: out, props: undefined }
  try {
    return { tensor: out, props: JSON.parse(text, toBigints) }
  } catch (error) {
    throw new ShumaiError(`decodeBinary: the props aren't JSON: ${error.message}`, 'protocol')
  }
}

/** encodeBinary as text. */
export const encodeBase64 = (value, props) => Buffer.from(encodeBinary(value, props)).toString('base64')

export function decodeBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new ShumaiError('decodeBase64: expected base64', 'protocol')
  return decodeBinary(new Uint8Array(Buffer.from(text, 'base64')))
}

const isHalf = (code) => code === dtype.Float16 || code === dtype.BFloat16

/** "[[1, 2], [3, 4]]:Float32": all elements, for people and for decodeReadable. */
export function encodeReadable(value) {
  checkTensor(value, 'encodeReadable')
  const { shape } = value
  const flat = isHalf(value.dtype) ? readAs(value, dtype.Float32) : value.valuesArray()
  let next = 0
  const rows = (depth) => (depth === shape.length ? String(flat[next++]) : `[${Array.from({ length: shape[depth] }, () => rows(depth + 1)).join(', ')}]`)
  return `${rows(0)}:${dtype[value.dtype]}`
}

function elementOf(token, whole) {
  if (token === 'true' || token === 'false') return whole ? BigInt(token === 'true') : Number(token === 'true')
  const value = whole && /^[-+]?\d+$/.test(token) ? BigInt(token) : Number(token)
  if ((whole && typeof value !== 'bigint') || (Number.isNaN(value) && token !== 'NaN')) throw new ShumaiError(`decodeReadable: expected ${whole ? 'an integer' : 'a number'}, got ${JSON.stringify(token)}`, 'protocol')
  return value
}

/** The tensor that encodeReadable wrote, or people: "[1, 2]" is float32, "[1, 2]: Int64" says otherwise. */
export function decodeReadable(text) {
  const [elements, name = 'Float32', ...more] = text.split(':')
  if (more.length > 0) throw new ShumaiError('decodeReadable: expected one ":" before the dtype', 'protocol')
  const code = dtypeCode(name.trim())
  const whole = code === dtype.Int64 || code === dtype.Uint64
  let nested
  try {
    nested = JSON.parse(elements.replace(/[^\s[\],]+/g, (token) => JSON.stringify(token)))
  } catch {
    throw new ShumaiError(`decodeReadable: brackets or commas don't match in ${JSON.stringify(elements.slice(0, 80))}`, 'protocol')
  }
  const convert = (item) => (Array.isArray(item) ? item.map(convert) : elementOf(item, whole))
  return tensor(convert(nested), code)
}
