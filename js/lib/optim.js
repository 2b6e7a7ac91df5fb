import { native } from './native.js'
import { note } from './started.js'

/**
 * weight -= learningRate * gradient for every weight of a backward pass, which
 * may be a promise (of a graph that crosses the network): then so is the result.
 */
export function sgd(differentiated, learningRate = 1e-3) {
  if (typeof differentiated?.then === 'function') return note(differentiated.then((found) => sgd(found, learningRate)))
  const entries = Object.values(differentiated).filter(({ tensor }) => tensor.requires_grad)
  for (const { tensor } of entries) tensor.__grad = undefined
  native.sgd(entries.map(({ tensor }) => tensor.__handle), entries.map(({ grad }) => grad.__handle), learningRate)
}
