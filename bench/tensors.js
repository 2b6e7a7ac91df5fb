// Our side of the workloads in JavaScript, as small.cpp has them: see worker.hpp.
import * as sm from '../js/index.js'
import { fill, repeat, run } from './worker.js'

const noise = (shape, seed, scale = 1) => sm.tensor(fill(shape.reduce((a, b) => a * b, 1), seed, scale)).reshape(shape)
const meanSquare = (tensor) => tensor.square().mean().toFloat32Array()[0]
const operation = (work) => repeat(work, () => [meanSquare(work())])

/** Seconds for one call of an async `work`. */
async function secondsEach(seconds, work) {
  const start = performance.now()
  let calls = 0
  while (performance.now() - start < seconds * 1e3) {
    await work()
    ++calls
  }
  return (performance.now() - start) / 1e3 / calls
}

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
  matmul_8() {
    const a = noise([8, 8], 1)
    return operation(() => a.matmul(a))
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
  /** A training step as in remote.cpp, of the scalar model. */
  remote_step({ port }) {
    const model = sm.io.remote_model(`http://127.0.0.1:${port}`)
    const input = noise([128], 1)
    const reference = input.mul(3)
    const step = async () => {
      const loss = sm.loss.mse(await model(input), reference)
      await loss.backward()
      return loss.toFloat32Array()[0]
    }
    const check = async () => {
      const losses = []
      for (let i = 0; i < 21; ++i) losses.push(await step())
      return [losses[20] < losses[0] || losses[20] < 1e-6 ? 1 : 0]
    }
    return { measure: (seconds) => secondsEach(seconds, step), check }
  },
})
