import { checkNames, decodeNamed } from './content.js'
import { Module } from './module.js'
import { ShumaiError } from './native.js'
import { Tensor } from './tensor.js'

const kOptions = ['directory', 'weights', 'optimizer', 'interval', 'durability', 'keep']

/** {name: tensor} of a module, an array or an object of tensors. */
function named(weights) {
  if (weights instanceof Module) return Object.fromEntries(weights.namedParameters())
  const found = weights instanceof Tensor ? { 0: weights } : { ...weights }
  for (const [name, weight] of Object.entries(found))
    if (!(weight instanceof Tensor)) throw new ShumaiError(`serve: checkpoint.weights must be a module, or tensors in an object or array; "${name}" is none`)
  if (Object.keys(found).length === 0) throw new ShumaiError('serve: checkpoint.weights has no tensors: without them nothing could be resumed')
  return found
}

/** What a server's checkpoints save: the weights, and what the optimizer remembers of them. */
export class Learner {
  #optimizer

  constructor(checkpoint) {
    checkNames(checkpoint, kOptions, 'serve: no option checkpoint.')
    this.weights = named(checkpoint.weights)
    this.#optimizer = checkpoint.optimizer
    if (this.#optimizer === undefined || this.#optimizer === null) return
    for (const method of ['state', 'loadState'])
      if (typeof this.#optimizer[method] !== 'function') throw new ShumaiError(`serve: checkpoint.optimizer must have ${method}()`)
  }

  /** For the core: [[name, handle], ...]. */
  handles = () => toHandles(this.weights)

  /** Of the optimizer, likewise. */
  state = () => (this.#optimizer ? toHandles(this.#optimizer.state(this.weights)) : [])

  load = (entries) => {
    this.#optimizer?.loadState(decodeNamed(entries), this.weights)
  }
}

const toHandles = (tensors) => Object.entries(tensors).map(([name, tensor]) => [name, tensor.__handle])
