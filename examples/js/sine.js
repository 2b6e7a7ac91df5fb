// Fits a sine with a small network, all in one process: a module with layers as
// its fields, a loss, and gradients that move the weights.
// Run: node sine.js [--steps N]
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

const { values } = parseArgs({ options: { steps: { type: 'string' } } })

class Network extends sm.module.Module {
  hidden = sm.module.linear(1, 32)
  deeper = sm.module.linear(32, 32)
  output = sm.module.linear(32, 1)
  /** @param {sm.Tensor} x */
  forward(x) {
    return this.output(this.deeper(this.hidden(x).tanh()).tanh())
  }
}

sm.manual_seed(1)
const network = new Network()
let loss = sm.scalar(1)
for (const _ of sm.util.viter(Number(values.steps ?? 5000), () => `loss ${loss.toFloat32().toFixed(4)}`)) {
  const x = sm.rand([128, 1]).sub(0.5).mul(2 * Math.PI)
  loss = sm.loss.mse(network(x), x.sin())
  sm.optim.sgd(loss.backward(), 0.05)
}

const points = sm.linspace(-3, 3, 13).reshape([13, 1])
const fitted = network(points).toFloat32Array()
points.toFloat32Array().forEach((x, i) => console.log(`${x.toFixed(1).padStart(5)} ${' '.repeat(Math.round(20 + 18 * fitted[i]))}*`))
console.log(`loss ${loss.toFloat32().toFixed(4)}`)
