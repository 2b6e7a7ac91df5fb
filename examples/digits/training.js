// Training on drawn digits within this process, for examples that start from a trained network.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as sm from '../../js/index.js'

const file = (name) => fileURLToPath(new URL(name, import.meta.url))

/** The network of model.json, with random weights. */
export const newModel = () => sm.module.fromJSON(readFileSync(file('model.json'), 'utf8'))

function feedProgram() {
  const folders = process.env.SHUMAI_BIN_DIR ? [process.env.SHUMAI_BIN_DIR] : [file('../../build/release/bin')]
  const found = folders.map((folder) => `${folder}/digits_feed`).find((program) => existsSync(program))
  if (!found) throw new Error(`expected the program digits_feed in ${folders[0]}, which draws what is trained on: run ./dev build first`)
  return found
}

/** Starts the program that draws digits: {draw(from, count), stop()}. It ends with this process. */
export async function startFeed(...args) {
  const child = spawn(feedProgram(), ['--port', '0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = () => child.kill()
  process.once('exit', stop)
  const url = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => reject(new Error('digits_feed ended before it listened: its message is above')))
    createInterface({ input: child.stdout }).on('line', (line) => resolve(line.split(' ').at(-1)))
  })
  return { draw: (from, count) => sm.io.tfetch(`${url}/${from}`, sm.scalar(count)), stop }
}

/** Trains on `steps` batches that `draw()` gives, the next being drawn meanwhile; calls `told(step, loss)` after each. */
export async function train(model, draw, steps, { told = () => {} } = {}) {
  const optimizer = new sm.optim.SGD({ lr: 0.02, momentum: 0.9, nesterov: true, weightDecay: 5e-4, schedule: sm.optim.cosineAnnealingLR(steps) })
  let next = draw()
  for (let step = 1; step <= steps; ++step) {
    const { images, labels } = await next
    if (step < steps) next = draw()
    const loss = sm.loss.crossEntropyWithLogits(model(images), labels)
    optimizer(loss.backward())
    told(step, loss.toFloat32())
  }
}

/** The part of `count` pictures that `answer` reads right. */
export async function accuracy(answer, draw, count = 2000) {
  const batch = 250
  let right = 0
  for (let seen = 0; seen < count; seen += batch) {
    const { images, labels } = await draw(batch)
    right += (await answer(images)).argmax([1]).eq(labels).sum().valueOf()
  }
  return right / count
}

/** The network that an earlier call left in the folder as trained.safetensors; trained now when this is the first one. */
export async function trainedModel(directory, { steps = 1500, seed = 1 } = {}) {
  const saved = path.join(directory, 'trained.safetensors')
  sm.manual_seed(seed)
  if (existsSync(saved)) return sm.module.openModel(saved)
  const model = newModel()
  mkdirSync(directory, { recursive: true })
  const feed = await startFeed('--seed', String(seed))
  const start = performance.now()
  const bar = sm.util.viter(steps, () => 'training, at the first start only')
  bar.next()
  await train(model, () => feed.draw('train', 64), steps, { told: () => bar.next() })
  const seconds = (performance.now() - start) / 1000
  const right = await accuracy(model, (count) => feed.draw('held_out', count))
  feed.stop()
  model.save(saved)
  console.log(`trained: ${(100 * right).toFixed(1)}% of digits in typefaces that it never saw are read right, after ${steps} steps in ${seconds.toFixed(0)} s`)
  return model
}
