import { ShumaiError } from './native.js'
import { ops, Tensor } from './tensor.js'

// The original's argument forms of operations whose own are PyTorch's: plain
// numbers, one after another, where ours takes arrays. Its x is the last axis
// in strides, padding and dilation, but a kernel's sizes are in the order of
// the axes.
const swapped = (x, y) => [y, x]
const isNumber = (value) => typeof value === 'number'

function checkNumbers(name, given, most) {
  if (given.length <= most && given.every((value) => value === undefined || isNumber(value))) return
  throw new ShumaiError(`${name}: expected up to ${most} numbers in this form, got ${given.length > most ? given.length : given.map((value) => typeof value).join(', ')}`)
}

/** stride, padding, dilation and groups of sx, sy, px, py, dx, dy, groups. */
function convArguments(name, given) {
  checkNumbers(name, given, 7)
  const [sx = 1, sy = 1, px = 0, py = 0, dx = 1, dy = 1, groups = 1] = given
  return [swapped(sx, sy), swapped(px, py), swapped(dx, dy), groups]
}

/** conv2d(x, filter, bias?, stride, padding, dilation, groups), or the original's (x, filter, sx, sy, px, py, dx, dy, groups). */
export function conv2d(x, filter, ...rest) {
  return isNumber(rest[0]) ? ops.conv2d(x, filter, undefined, ...convArguments('conv2d', rest)) : ops.conv2d(x, filter, ...rest)
}

/** The original's conv2dInputGradient. */
export function conv2dBackwardData(gradient, x, filter, ...rest) {
  return ops.conv2dInputGradient(gradient, filter, x.shape, ...convArguments('conv2dBackwardData', rest))
}

/** The original's conv2dFilterGradient. */
export function conv2dBackwardFilter(gradient, x, filter, ...rest) {
  return ops.conv2dFilterGradient(gradient, x, filter.shape, ...convArguments('conv2dBackwardFilter', rest))
}

function pool(name) {
  return (x, ...given) => {
    if (!isNumber(given[0]) || !isNumber(given[1])) return ops[name](x, ...given)
    checkNumbers(name, given, 4)
    const [kx, ky, sx = 1, sy = 1] = given
    return ops[name](x, [kx, ky], swapped(sx, sy))
  }
}

/** avgPool2d(x, kernel, stride?, padding?), or the original's (x, kx, ky, sx = 1, sy = 1). */
export const avgPool2d = pool('avgPool2d')
/** maxPool2d(x, kernel, stride?, padding?), or (x, kx, ky, sx = 1, sy = 1). */
export const maxPool2d = pool('maxPool2d')

/** clip(x, low, high) with numbers, or tensors that broadcast. */
export function clip(x, low, high, ...rest) {
  if (!(low instanceof Tensor) && !(high instanceof Tensor)) return ops.clip(x, low, high, ...rest)
  const above = low === undefined || low === null ? x : ops.maximum(x, low)
  return high === undefined || high === null ? above : ops.minimum(above, high)
}

/** variance(x, axes?, keepDims = false, correction = 1), or the original's (x, axes, bias, keep_dims): true, true for the population's, with axes kept. */
export function variance(x, axes, keepDims, correction) {
  return typeof correction === 'boolean' ? ops.variance(x, axes, correction, Number(!keepDims)) : ops.variance(x, axes, keepDims, correction)
}

const isAxes = (value) => Array.isArray(value) || ArrayBuffer.isView(value)

/** norm(x, p = 2, axes?, keepDims = false), or the original's (x, axes, p = 2, keep_dims). */
export function norm(x, p, axes, ...rest) {
  return isAxes(p) ? ops.norm(x, axes, p, ...rest) : ops.norm(x, p, axes, ...rest)
}

const forms = { conv2d, avgPool2d, maxPool2d, clip, clamp: clip, variance, var: variance, norm }
for (const [name, form] of Object.entries(forms)) Tensor.prototype[name] = function (...rest) { return form(this, ...rest) }
export { clip as clamp, variance as var }

/**
 * Floating-point operations of one call of an operation: two for each product
 * of a matrix product or a convolution, else one for each element of the
 * largest tensor.
 */
export function opToFlops(op, inputs, out) {
  if (op === 'matmul') return 2 * inputs[0].shape.at(-1) * out.elements
  if (op === 'conv2d') {
    const [batch = 1, , height, width] = out.shape
    return 2 * inputs[1].shape.reduce((product, size) => product * size, 1) * batch * height * width
  }
  return inputs.reduce((most, input) => Math.max(most, input.elements || 0), out.elements)
}
