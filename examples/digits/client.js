// The dataset team's side of the demo in JavaScript: gets drawn digits from a
// feed, owns the loss, and trains the model behind a URL. Two batches are in
// flight, so that one is judged here while the other is computed there.
//
//   node client.js MODEL_URL FEED_URL [--steps N] [--batch N] [--in-flight N]
import { parseArgs } from 'node:util'
import * as sm from '../../js/index.js'

const number = { type: 'string' }
const { values, positionals } = parseArgs({ allowPositionals: true, options: { steps: number, batch: number, 'in-flight': number } })
const [modelUrl, feedUrl] = positionals
const steps = Number(values.steps ?? 5000)
const batch = Number(values.batch ?? 64)
const inFlight = Number(values['in-flight'] ?? 2)

const model = sm.io.remote_model(modelUrl, { reportLoss: true })
const draw = (from, count) => sm.io.tfetch(`${feedUrl}/${from}`, sm.scalar(count))

let started = 0
let smoothed = Math.log(10)

async function train(advance) {
  while (started < steps) {
    ++started
    const { images, labels } = await draw('train', batch)
    const loss = sm.loss.crossEntropyWithLogits(await model(images), labels)
    await loss.backward()
    smoothed += 0.02 * (loss.toFloat32() - smoothed)
    advance()
  }
}

/** The part of held-out pictures, from fonts that training never drew, that the model reads right. */
async function accuracy() {
  const kHeldOut = 4000
  const kBatch = 250
  let right = 0
  for (let seen = 0; seen < kHeldOut; seen += kBatch) {
    const { images, labels } = await draw('held_out', kBatch)
    right += (await model(images)).argmax([1]).eq(labels).sum().valueOf()
  }
  return right / kHeldOut
}

const begin = performance.now()
const bar = sm.util.viter(steps, () => `loss ${smoothed.toFixed(3)}`)
bar.next()
await Promise.all(Array.from({ length: inFlight }, () => train(() => bar.next())))
const seconds = (performance.now() - begin) / 1000
// Rounded down: 0.9699 isn't 0.97.
const part = Math.floor((await accuracy()) * 1000) / 1000
console.log(`demo: accuracy ${part.toFixed(3)} after ${steps} steps, ${(steps / seconds).toFixed(0)} steps/s`)
