// Trains the model behind a URL on digits that a feed draws, until it is stopped, and reports the loss:
// node trainer.js URL FEED [STEPS_PER_SECOND]. SHUMAI_TOKEN is its token, if any.
import * as sm from '../../js/index.js'

const [url, feed, pace] = process.argv.slice(2)
const model = sm.io.remote_model(url, { reportLoss: true, token: process.env.SHUMAI_TOKEN })
const gap = pace ? 1000 / Number(pace) : 0

for (let due = performance.now(); ; due += gap) {
  const { images, labels } = await sm.io.tfetch(`${feed}/train`, sm.scalar(32))
  const loss = sm.loss.crossEntropyWithLogits(await model(images), labels)
  await loss.backward()
  due = Math.max(due, performance.now() - gap)
  if (gap) await new Promise((resolve) => setTimeout(resolve, due + gap - performance.now()))
}
