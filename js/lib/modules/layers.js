import { kindOf } from '../kinds.js'
import { ShumaiError } from '../native.js'
import { ops } from '../tensor.js'
import { checkPositive, checkProbability, readOptions, shown, uniformFor } from './initial.js'
import { Module, transposed } from './module.js'

/**
 * x W + b on the last axis: [..., inputs] to [..., outputs]. W is [inputs, outputs] here, as in the original, and
 * [outputs, inputs] in files, as in C++ and PyTorch.
 */
export class Linear extends Module {
  static [transposed] = ['weight']

  constructor(inputs, outputs, options = {}) {
    super()
    checkPositive('Linear', 'inputs', inputs)
    checkPositive('Linear', 'outputs', outputs)
    const { bias, dtype } = readOptions('Linear', options, { bias: true, dtype: 'float32' })
    this.weight = ops.transpose(uniformFor([outputs, inputs], inputs, dtype)).requireGrad()
    this.bias = bias ? uniformFor([outputs], inputs, dtype).requireGrad() : null
  }

  forward(x) {
    return ops.linear(x, this.weight, this.bias)
  }
}

const kConvOptions = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: true, dtype: 'float32' }

// The shape of the weight of a convolution over `axes` axes; one number in `kernel` stands for all of them.
function filterShape(module, inputs, outputs, kernel, groups, axes) {
  checkPositive(module, 'inputs', inputs)
  checkPositive(module, 'outputs', outputs)
  checkPositive(module, 'groups', groups)
  if (inputs % groups !== 0 || outputs % groups !== 0)
    throw new ShumaiError(`${module}: groups must divide inputs and outputs, got ${groups} for ${inputs} and ${outputs}`)
  const sizes = typeof kernel === 'number' ? Array(axes).fill(kernel) : kernel
  if (sizes?.length !== axes) throw new ShumaiError(`${module}: kernel must have one size or ${axes}, got ${Array.isArray(kernel) ? shown(kernel) : kindOf(kernel)}`)
  for (const size of sizes) checkPositive(module, 'kernel', size)
  return [outputs, inputs / groups, ...sizes]
}

class Convolution extends Module {
  constructor(module, axes, inputs, outputs, kernel, options) {
    super()
    const { bias, dtype, ...rest } = readOptions(module, options, kConvOptions)
    const shape = filterShape(module, inputs, outputs, kernel, rest.groups, axes)
    const fanIn = shape.slice(1).reduce((product, size) => product * size)
    this.weight = uniformFor(shape, fanIn, dtype).requireGrad()
    this.bias = bias ? uniformFor([outputs], fanIn, dtype).requireGrad() : null
    Object.assign(this, rest)
  }
}

/** The cross-correlation of [N, inputs, L] with a weight [outputs, inputs / groups, k]. */
export class Conv1d extends Convolution {
  constructor(inputs, outputs, kernel, options = {}) {
    super('Conv1d', 1, inputs, outputs, kernel, options)
  }

  forward(x) {
    const alone = (value) => (typeof value === 'number' ? value : value[0])
    const [stride, padding, dilation] = [[1, alone(this.stride)], [0, alone(this.padding)], [1, alone(this.dilation)]]
    return ops.conv2d(ops.unsqueeze(x, 2), this.weight.unsqueeze(2), this.bias, stride, padding, dilation, this.groups).squeeze(2)
  }
}

/** The cross-correlation of [N, inputs, H, W] with a weight [outputs, inputs / groups, kH, kW]. */
export class Conv2d extends Convolution {
  constructor(inputs, outputs, kernel, options = {}) {
    super('Conv2d', 2, inputs, outputs, kernel, options)
  }

  forward(x) {
    return ops.conv2d(x, this.weight, this.bias, this.stride, this.padding, this.dilation, this.groups)
  }
}

class Pool extends Module {
  constructor(module, kernel, options) {
    super()
    this.kernel = kernel
    Object.assign(this, readOptions(module, options, { stride: [], padding: 0 }))
  }
}

/** The mean of each window of [N, C, H, W]. */
export class AvgPool2d extends Pool {
  constructor(kernel, options = {}) {
    super('AvgPool2d', kernel, options)
  }
  forward(x) {
    return ops.avgPool2d(x, this.kernel, this.stride, this.padding)
  }
}

/** The maximum of each window of [N, C, H, W]. */
export class MaxPool2d extends Pool {
  constructor(kernel, options = {}) {
    super('MaxPool2d', kernel, options)
  }
  forward(x) {
    return ops.maxPool2d(x, this.kernel, this.stride, this.padding)
  }
}

/** [N, ...] to [N, everything else]. */
export class Flatten extends Module {
  forward(x) {
    return ops.reshape(x, [x.shape[0], -1])
  }
}

/** In train mode zeros with probability `p`, and the rest divided by 1 - p. */
export class Dropout extends Module {
  constructor(p = 0.5) {
    super()
    checkProbability('Dropout', p)
    this.p = p
  }
  forward(x) {
    return ops.dropout(x, this.p, this.training)
  }
}

/** Integers of any shape [...] to rows of a weight [count, width]: [..., width]. */
export class Embedding extends Module {
  constructor(count, width, options = {}) {
    super()
    checkPositive('Embedding', 'count', count)
    checkPositive('Embedding', 'width', width)
    const { dtype } = readOptions('Embedding', options, { dtype: 'float32' })
    this.weight = ops.randn([count, width], dtype).requireGrad()
  }
  forward(indices) {
    return ops.embedding(this.weight, indices)
  }
}
