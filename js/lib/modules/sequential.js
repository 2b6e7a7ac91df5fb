import { ShumaiError } from '../native.js'
import { ops, Tensor } from '../tensor.js'
import { MaxPool2d } from './layers.js'
import { members, Module } from './module.js'
import { isClass, kindOf } from '../kinds.js'

const isMaxPool = (step) => step instanceof MaxPool2d && step.forward === MaxPool2d.prototype.forward

// A max pool before the relu that it follows: the same, gradients included, and relu has fewer elements.
function poolsFirst(steps) {
  const out = [...steps]
  for (let i = 0; i + 1 < out.length; ++i) {
    if (out[i] === ops.relu && isMaxPool(out[i + 1])) [out[i], out[i + 1]] = [out[i + 1], out[i]]
  }
  return out
}

/** Modules and functions one after another, named by their position: "0.weight". An array that one returns is spread. */
export class Sequential extends Module {
  constructor(...modules) {
    super()
    // Else this function's own length would hide the number of modules.
    delete this.length
    this.modules = []
    for (const step of modules) this.add(step)
  }

  get length() {
    return this.modules.length
  }

  add(step) {
    if (typeof step !== 'function' || isClass(step)) throw new ShumaiError(`Sequential: expected a module or a function, got ${kindOf(step)}`)
    this.modules.push(step)
    return this
  }

  [members]() {
    const others = Object.entries(this).filter(([name]) => name !== 'modules')
    return [...others, ...Object.entries(this.modules)]
  }

  forward(...inputs) {
    if (this.modules.length === 0) {
      const wrong = inputs.findIndex((input) => !(input instanceof Tensor))
      if (wrong >= 0) throw new ShumaiError(`Sequential: No-op can only be performed on Tensor inputs: arg at index ${wrong}`)
      return inputs.length === 0 ? null : inputs.length === 1 ? inputs[0] : inputs
    }
    const [first, ...others] = poolsFirst(this.modules)
    return others.reduce((output, step) => (Array.isArray(output) ? step(...output) : step(output)), first(...inputs))
  }
}
