import { ShumaiError } from '../native.js'
import { noGrad, ops, Tensor } from '../tensor.js'
import { checkPositive, readOptions, shapeMismatch, shown } from './initial.js'
import { Module } from './module.js'
import { kindOf } from '../kinds.js'

const kNormOptions = { epsilon: 1e-5, affine: true, bias: true, dtype: 'float32' }
const kAxes = [0, 2, 3]

function readShape(module, shape) {
  const sizes = typeof shape === 'number' ? [shape] : shape
  if (!Array.isArray(sizes)) throw new ShumaiError(`${module}: expected the sizes of the last axes, got ${kindOf(shape)}`)
  if (sizes.length === 0) throw new ShumaiError(`${module}: cannot be applied to scalars; dims must not be []`)
  for (const size of sizes) checkPositive(module, 'dims', size)
  return [...sizes]
}

function checkLastSizes(module, x, dims) {
  if (shown(x.shape.slice(-dims.length)) === shown(dims)) return
  throw new ShumaiError(`${module}: the last axes must match module dimensions ${shown(dims)}, got ${shown(x.shape)}`, 'shape_mismatch')
}

/** The original's second argument was epsilon, as a number or a scalar. */
function readNormOptions(module, options) {
  const isEpsilon = typeof options === 'number' || options instanceof Tensor
  if (options instanceof Tensor && options.ndim !== 0) throw new ShumaiError(`${module}: epsilon must be a number or scalar, got shape ${shown(options.shape)}`)
  const read = readOptions(module, isEpsilon ? { epsilon: Number(options) } : options, kNormOptions)
  if (!(read.epsilon > 0)) throw new ShumaiError(`${module}: epsilon must be greater than 0, got ${read.epsilon}`)
  return read
}

function addAffine(module, shape, { affine, bias, dtype }) {
  module.weight = affine ? ops.ones(shape, dtype).requireGrad() : null
  module.bias = affine && bias ? ops.zeros(shape, dtype).requireGrad() : null
}

/** Mean 0 and variance 1 over the last axes, whose sizes are `dims`, then a weight and a bias of that shape. */
export class LayerNorm extends Module {
  constructor(dims, options = {}) {
    super()
    this.dims = readShape('LayerNorm', dims)
    const read = readNormOptions('LayerNorm', options)
    this.epsilon = read.epsilon
    addAffine(this, this.dims, read)
  }

  /** Back to a weight of ones and a bias of zeros. */
  resetParameters() {
    this.weight?.update(ops.ones(this.dims))
    this.bias?.update(ops.zeros(this.dims))
  }

  forward(x) {
    checkLastSizes('LayerNorm', x, this.dims)
    return ops.layerNorm(x, this.weight, this.bias, this.dims.length, this.epsilon)
  }
}

/** Divided by the root of the mean square over the last axes, then times a weight. */
export class RMSNorm extends Module {
  constructor(dims, options = {}) {
    super()
    this.dims = readShape('RMSNorm', dims)
    const read = readNormOptions('RMSNorm', options)
    this.epsilon = read.epsilon
    this.weight = read.affine ? ops.ones(this.dims, read.dtype).requireGrad() : null
  }

  forward(x) {
    checkLastSizes('RMSNorm', x, this.dims)
    return ops.rmsNorm(x, this.weight, this.dims.length, this.epsilon)
  }
}

/** Mean 0 and variance 1 over each of `groups` groups of the channels of [N, channels, ...]. */
export class GroupNorm extends Module {
  constructor(groups, channels, options = {}) {
    super()
    checkPositive('GroupNorm', 'groups', groups)
    checkPositive('GroupNorm', 'channels', channels)
    if (channels % groups !== 0) throw new ShumaiError(`GroupNorm: groups must divide channels, got ${groups} for ${channels}`)
    this.groups = groups
    this.channels = channels
    const read = readNormOptions('GroupNorm', options)
    this.epsilon = read.epsilon
    addAffine(this, [channels], read)
  }

  forward(x) {
    if (x.ndim < 2 || x.shape[1] !== this.channels) throw shapeMismatch('GroupNorm', `[N, C, ...] with ${this.channels} channels`, x)
    return ops.groupNorm(x, this.groups, this.weight, this.bias, this.epsilon)
  }
}

/**
 * Mean 0 and variance 1 for each channel of [N, channels, H, W]: in train mode over the batch, whose mean and variance
 * go into running_mean and running_var by the share `momentum`; in eval mode by those.
 */
export class BatchNorm2d extends Module {
  constructor(channels, options = {}) {
    super()
    checkPositive('BatchNorm2d', 'channels', channels)
    const read = readOptions('BatchNorm2d', options, { epsilon: 1e-5, momentum: 0.1, affine: true, dtype: 'float32' })
    this.channels = channels
    this.epsilon = read.epsilon
    this.momentum = read.momentum
    addAffine(this, [channels], { ...read, bias: true })
    this.running_mean = ops.zeros([channels], read.dtype)
    this.running_var = ops.ones([channels], read.dtype)
    this.num_batches_tracked = ops.zeros([], 'int64')
  }

  forward(x) {
    if (x.ndim !== 4 || x.shape[1] !== this.channels) throw shapeMismatch('BatchNorm2d', `[N, C, H, W] with ${this.channels} channels`, x)
    if (!this.training) return ops.batchNorm(x, this.running_mean, this.running_var, this.weight, this.bias, this.epsilon)
    if (x.elements < 2 * this.channels) throw shapeMismatch('BatchNorm2d', 'more than one value for each channel in train mode', x)
    const [mean, variance] = [x.mean(kAxes), x.variance(kAxes, false, 0)]
    noGrad(() => this.#remember(mean, variance, x.elements / this.channels))
    return ops.batchNorm(x, mean, variance, this.weight, this.bias, this.epsilon)
  }

  #remember(mean, variance, count) {
    const share = this.momentum
    this.running_mean.update(this.running_mean.mul(1 - share).add(mean.mul(share)))
    this.running_var.update(this.running_var.mul(1 - share).add(variance.mul((share * count) / (count - 1))))
    this.num_batches_tracked.update(this.num_batches_tracked.add(1))
  }
}
