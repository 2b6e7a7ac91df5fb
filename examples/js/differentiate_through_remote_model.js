// Differentiates through a model on another machine: searches the input for which
// a served function gives a wanted output. The client sees neither the function
// nor its weights. Run: node differentiate_through_remote_model.js [--steps N]
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

const { values } = parseArgs({ options: { steps: { type: 'string' } } })

// Elsewhere: a rotation by 30 degrees, then a stretch. Nothing in it learns.
const [cos, sin] = [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6)]
const matrix = sm.tensor([[2 * cos, 2 * sin], [-sin, cos]])
const server = sm.io.serve_model((x) => x.matmul(matrix), undefined, { port: 0 })

const model = sm.io.remote_model(server.url)
const wanted = sm.tensor([1, 1])
const input = sm.tensor([0, 0]).requireGrad()
for (const _ of sm.util.viter(Number(values.steps ?? 100))) {
  const loss = sm.loss.mse(await model(input), wanted)
  sm.optim.sgd(await loss.backward(), 0.25)
}
console.log(`model(${input.toFloat32Array().join(', ')}) = ${(await model(input)).toFloat32Array().join(', ')}`)
await server.stop()
