import { ShumaiError } from '../native.js'
import { Tensor } from '../tensor.js'
import { members, Module } from './module.js'
import { isClass, kindOf } from '../kinds.js'

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
    const [first, ...others] = this.modules
    return others.reduce((output, step) => (Array.isArray(output) ? step(...output) : step(output)), first(...inputs))
  }
}
