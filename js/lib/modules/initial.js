// What constructors of modules share: how weights begin, and how arguments are checked.
import { ShumaiError } from '../native.js'
import { ops } from '../tensor.js'
import { kindOf, oneOf } from '../kinds.js'

/** Uniform in [-bound, bound). */
const uniform = (shape, bound, dtype) => ops.sub(ops.mul(ops.rand(shape, dtype), 2 * bound), bound)

/** Uniform within 1 / sqrt(inputs), for weights and biases alike, as in torch.nn.Linear and _ConvNd. */
export const uniformFor = (shape, inputs, dtype) => uniform(shape, 1 / Math.sqrt(inputs), dtype)

/** Uniform with variance 2 / (inputs + outputs) for a weight [outputs, inputs] (Glorot and Bengio, 2010). */
export const glorotUniform = (shape, dtype) => uniform(shape, Math.sqrt(6 / (shape[0] + shape[1])), dtype)

/** `values` over `defaults`; an option that isn't there is an error. */
export function readOptions(module, values, defaults) {
  if (values === null || typeof values !== 'object') throw new ShumaiError(`${module}: options must be an object, got ${kindOf(values)}`)
  const out = { ...defaults }
  for (const [name, value] of Object.entries(values)) {
    if (!(name in defaults)) throw new ShumaiError(`${module}: no option ${JSON.stringify(name)}, ${oneOf(name, Object.keys(defaults))}`)
    if (value !== undefined) out[name] = value
  }
  return out
}

export function checkPositive(module, name, value) {
  if (!Number.isInteger(value) || value < 1) throw new ShumaiError(`${module}: ${name} must be a whole number of 1 or more, got ${kindOf(value)}`)
}

export function checkProbability(module, p) {
  if (!(p >= 0 && p <= 1)) throw new ShumaiError(`${module}: a probability must be from 0 to 1, got ${kindOf(p)}`)
}

export const shown = (shape) => `[${shape.join(', ')}]`

export function shapeMismatch(module, expected, x) {
  return new ShumaiError(`${module}: expects ${expected}, got ${x?.shape ? shown(x.shape) : kindOf(x)}`, 'shape_mismatch')
}
