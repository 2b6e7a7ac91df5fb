// Our side of the workloads in JavaScript, as small.cpp has them: see worker.hpp.
import * as sm from '../js/index.js'
import { fill, repeat, run } from './worker.js'

const noise = (shape, seed, scale = 1) => sm.tensor(fill(shape.reduce((a, b) => a * b, 1), seed, scale)).reshape(shape)
const meanSquare = (tensor) => tensor.square().mean().toFloat32Array()[0]
const operation = (work) => repeat(work, () => [meanSquare(work())])

run({
  add() {
    const a = noise([32], 1)
    const b = noise([32], 2)
    return operation(() => a.add(b))
  },
  mul_number() {
    const a = noise([32], 1)
    return operation(() => a.mul(2))
  },
  exp() {
    const a = noise([32], 1)
    return operation(() => a.exp())
  },
  sum() {
    const a = noise([32], 1)
    return operation(() => a.sum())
  },
  scalar_step() {
    const weight = sm.scalar(1.5).requireGrad()
    const x = sm.scalar(2)
    const step = () => x.mul(weight).square().backward()
    return repeat(step, () => {
      step()
      return [weight.grad.toFloat32Array()[0]]
    })
  },
})
