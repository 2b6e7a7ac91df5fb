import { load as loadTensors, ops, save as saveTensors, Tensor } from './tensor.js'

/** A layer or a model: subclass it, give it tensors and modules as fields, and call it like a function. */
export class Module extends Function {
  // Not super(): it would compile a function from text, which hardened runtimes forbid.
  constructor() {
    const call = (...args) => call.forward(...args)
    // A function's own are read-only, and fields may be called like that.
    Object.defineProperty(call, 'name', { value: new.target.name, writable: true })
    Object.defineProperty(call, 'length', { value: 0, writable: true })
    return Object.setPrototypeOf(call, new.target.prototype)
  }

  /** What calling the module does. */
  forward() {
    throw new Error(`${this.constructor.name}: a module must have a forward() method`)
  }

  /** [name, tensor] of every tensor that requires gradients, in this module and those within. */
  *namedParameters(prefix = '') {
    for (const [key, value] of Object.entries(this)) {
      const name = prefix ? `${prefix}.${key}` : key
      if (value instanceof Tensor) {
        if (value.requires_grad) yield [name, value]
      } else if (value instanceof Module) yield* value.namedParameters(name)
      else if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          if (item instanceof Module) yield* item.namedParameters(`${name}.${i}`)
          else if (item instanceof Tensor && item.requires_grad) yield [`${name}.${i}`, item]
        }
      }
    }
  }

  parameters() {
    return [...this.namedParameters()].map(([, tensor]) => tensor)
  }

  /** Writes the parameters to a safetensors file, atomically. */
  save(file) {
    saveTensors(file, Object.fromEntries(this.namedParameters()))
  }

  /** Reads what save() wrote into the parameters of the same names. */
  load(file) {
    const found = loadTensors(file)
    for (const [name, tensor] of this.namedParameters()) {
      if (!found[name]) throw new Error(`${this.constructor.name}: no "${name}" in ${file}`)
      tensor.update(found[name])
    }
    return this
  }
}

/** Uniform weights for layers followed by ReLU (Glorot and Bengio, 2010, with gain sqrt 2). */
function xavier(shape, fanIn, fanOut, gain) {
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut))
  return ops.sub(ops.mul(ops.rand(shape), 2 * bound), bound)
}

/** x W + b, with W of shape [inputs, outputs]. */
export class Linear extends Module {
  constructor(inputs, outputs) {
    super()
    this.weight = xavier([inputs, outputs], inputs, outputs, Math.SQRT2).requireGrad()
    this.bias = ops.zeros([outputs]).requireGrad()
  }
  forward(x) {
    return x.matmul(this.weight).add(this.bias)
  }
}
export const linear = (inputs, outputs) => new Linear(inputs, outputs)

/** Modules and functions one after another. */
export class Sequential extends Module {
  constructor(...modules) {
    super()
    this.modules = modules
  }
  forward(...inputs) {
    let output = inputs.length === 1 ? inputs[0] : inputs
    for (const step of this.modules) output = Array.isArray(output) ? step(...output) : step(output)
    return output
  }
}
export const sequential = (...modules) => new Sequential(...modules)
