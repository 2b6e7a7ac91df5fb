import { checkNames, decodeNamed } from './content.js'
import { Module } from './module.js'
import { ShumaiError } from './native.js'
import { Tensor } from './tensor.js'

const kOptions = ['directory', 'weights', 'optimizer', 'interval', 'durability', 'keep', 'model']
// Before the names of an optimizer's tensors, and of the core's own.
const kOptimizer = 'optimizer.'
const kOwn = 'shumai.'

function checkTensors(tensors, option) {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!(tensor instanceof Tensor)) throw new ShumaiError(`serve: ${option}.weights must be a module, or tensors in an object or array; "${name}" is none`)
    for (const prefix of [kOptimizer, kOwn])
      if (name.startsWith(prefix)) throw new ShumaiError(`serve: ${option}.weights: names don't begin with "${prefix}", got "${name}"`)
  }
  if (Object.keys(tensors).length === 0) throw new ShumaiError(`serve: ${option}.weights has no tensors`)
}

const shown = ({ dtype, shape }) => `dtype ${dtype} [${shape}]`

/** Tensors in an object or array, with a module's two methods. */
class Named {
  #tensors
  constructor(tensors) {
    this.#tensors = tensors
  }
  namedParameters = () => Object.entries(this.#tensors)
  state = () => this.#tensors
  loadState = (state) => {
    for (const [name, tensor] of this.namedParameters()) {
      const saved = state[name]
      if (!saved || shown(saved) !== shown(tensor)) throw new ShumaiError(`"${name}" is ${shown(tensor)} here and ${saved ? shown(saved) : 'missing'} there`)
    }
    for (const [name, tensor] of this.namedParameters()) tensor.update(state[name])
  }
}

const asModule = (weights) => (weights instanceof Module ? weights : new Named(weights instanceof Tensor ? [weights] : { ...weights }))

/** [[name, tensor], ...] of what an option names as weights. */
export function namedTensors(weights, option) {
  const state = asModule(weights).state()
  checkTensors(state, option)
  return Object.entries(state)
}

/** What a server's checkpoints save: the weights, and what the optimizer remembers of them. */
export class Learner {
  #model
  #optimizer
  #directory

  constructor(checkpoint) {
    checkNames(checkpoint, kOptions, 'serve: no option checkpoint.')
    const { weights, optimizer, directory } = checkpoint
    this.#model = asModule(weights)
    checkTensors(this.#model.state(), 'checkpoint')
    this.#optimizer = optimizer ?? { state: () => ({}), loadState: () => {} }
    this.#directory = directory
    for (const method of ['state', 'loadState'])
      if (typeof this.#optimizer[method] !== 'function') throw new ShumaiError(`serve: checkpoint.optimizer must have ${method}()`)
  }

  #weights = () => Object.fromEntries(this.#model.namedParameters())

  /** Handles of the weights, whose updates the core counts. */
  handles = () => Object.values(this.#weights()).map((tensor) => tensor.__handle)

  /** For the core: [[name, handle], ...]. */
  state = () => [
    ...Object.entries(this.#model.state()).map(([name, tensor]) => [name, tensor.__handle]),
    ...Object.entries(this.#optimizer.state(this.#weights())).map(([name, tensor]) => [kOptimizer + name, tensor.__handle]),
  ]

  load = (entries) => {
    const [model, optimizer] = [{}, {}]
    for (const [name, tensor] of Object.entries(decodeNamed(entries))) {
      if (name.startsWith(kOptimizer)) optimizer[name.slice(kOptimizer.length)] = tensor
      else model[name] = tensor
    }
    try {
      this.#model.loadState(model)
    } catch (error) {
      throw new ShumaiError(`checkpoint: "${this.#directory}" is of another model: ${error.message}`)
    }
    this.#optimizer.loadState(optimizer, this.#weights())
  }
}
