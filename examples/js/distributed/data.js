// The dataset team: knows that y = 4 x - 7, trains the model behind a URL with
// that, and reads off what was learned. Start several at once: they train together.
// Run: node data.js URL [--steps N]
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { steps: { type: 'string' } } })
const model = sm.io.remote_model(positionals[0], { reportLoss: true })

for (const _ of sm.util.viter(Number(values.steps ?? 300))) {
  const x = sm.randn([64])
  const y = x.mul(4).sub(7)
  const loss = sm.loss.mse(await model(x), y)
  await loss.backward()
}

// The model at 0 is b, and at 1 it is m + b.
const [at0, at1] = (await model(sm.tensor([0, 1]))).toFloat32Array()
console.log(`learned m ${(at1 - at0).toFixed(4)}, b ${at0.toFixed(4)}`)
