// Fine-tuning: opens the checkpoint of a network that reads digits, gives it a new last layer for another task, the signs
// of arithmetic drawn by hand, and trains that layer alone. The network is served; whoever has the drawings trains it over
// HTTP. The same training of a network that starts from random weights shows what the checkpoint is worth.
// Run after ./dev build: node examples/finetune/finetune.js [--steps N] [--directory FOLDER]
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as sm from '../../js/index.js'
import { newModel, trainedModel } from '../digits/training.js'
import { kSide, variations } from '../draw/page/picture.js'

const text = { type: 'string' }
const { values } = parseArgs({ options: { steps: text, directory: text, seed: text } })
const steps = Number(values.steps ?? 10)
const seed = Number(values.seed ?? 1)
const directory = path.resolve(values.directory ?? fileURLToPath(new URL('../../build/draw', import.meta.url)))

const line = (...points) => points.map(([x, y]) => ({ x, y }))
const ring = (x, y, radius) => Array.from({ length: 13 }, (_, i) => ({ x: x + radius * Math.cos((i * Math.PI) / 6), y: y + radius * Math.sin((i * Math.PI) / 6) }))
// Strokes of each sign, as one hand draws it and as another does.
const kSigns = {
  plus: [[line([0.5, 0.2], [0.5, 0.8]), line([0.2, 0.5], [0.8, 0.5])], [line([0.15, 0.45], [0.8, 0.5]), line([0.55, 0.15], [0.45, 0.85])]],
  minus: [[line([0.2, 0.5], [0.8, 0.5])], [line([0.15, 0.55], [0.5, 0.48], [0.85, 0.5])]],
  times: [[line([0.25, 0.25], [0.75, 0.75]), line([0.75, 0.25], [0.25, 0.75])], [line([0.2, 0.3], [0.8, 0.8]), line([0.7, 0.2], [0.3, 0.8])]],
  divided: [[line([0.2, 0.5], [0.8, 0.5]), ring(0.5, 0.25, 0.03), ring(0.5, 0.75, 0.03)], [line([0.2, 0.52], [0.8, 0.48]), ring(0.48, 0.22, 0.05), ring(0.52, 0.8, 0.05)]],
  equals: [[line([0.2, 0.38], [0.8, 0.38]), line([0.2, 0.62], [0.8, 0.62])], [line([0.15, 0.4], [0.8, 0.35]), line([0.2, 0.65], [0.8, 0.6])]],
}
const signs = Object.values(kSigns)

/** `count` drawings of each sign by one of the hands: {images, labels}. */
function draw(hand, count) {
  const pictures = signs.flatMap((hands) => variations(hands[hand], count))
  const labels = signs.flatMap((_, label) => Array(count).fill(label))
  const images = sm.tensor(Float32Array.from(pictures.flatMap((pixels) => [...pixels]))).reshape([pictures.length, 1, kSide, kSide])
  return { images, labels: sm.tensor(labels, 'int64') }
}

/** The same network with a new last layer. */
function withNewHead(network) {
  const { layers } = sm.module.describe(network)
  const changed = sm.module.fromJSON([...layers.slice(0, -1), { ...layers.at(-1), outputs: signs.length }])
  const kept = Object.entries(network.state()).filter(([name]) => !name.startsWith(`${layers.length - 1}.`))
  return changed.loadState({ ...changed.state(), ...Object.fromEntries(kept) })
}

/** Serves a network, trains it as a client does, and tells how much of another hand's drawings it read before and after. */
async function train(network) {
  const server = sm.io.serve_model(network, new sm.optim.Adam({ lr: 2e-3 }), { port: 0 })
  const model = sm.io.remote_model(server.url)
  const right = async () => {
    const { images, labels } = draw(1, 40)
    return (await model(images)).argmax([1]).eq(labels).sum().valueOf() / labels.elements
  }
  const before = await right()
  for (let step = 0; step < steps; ++step) {
    const { images, labels } = draw(0, 2)
    await sm.loss.crossEntropyWithLogits(await model(images), labels).backward()
  }
  const after = await right()
  await server.stop()
  return { before, after }
}

const count = (network) => network.parameters().reduce((sum, weight) => sum + (weight.requires_grad ? weight.elements : 0), 0)
const percent = (part) => `${Math.round(100 * part)}%`
const told = (network, { before, after }) => `${percent(before)} of another hand's signs read right before, ${percent(after)} after ${steps} steps on ${count(network)} weights`

const tuned = withNewHead(await trainedModel(directory, { seed }))
for (const layer of tuned.modules.slice(0, -1)) if (layer instanceof sm.module.Module) layer.requireGrad(false)
const fromCheckpoint = await train(tuned)
console.log(`from the checkpoint:      ${told(tuned, fromCheckpoint)}`)
const fresh = withNewHead(newModel())
console.log(`from random weights:      ${told(fresh, await train(fresh))}`)
const file = path.join(directory, 'signs.safetensors')
tuned.save(file)
console.log(`finetune: ${percent(fromCheckpoint.before)} -> ${percent(fromCheckpoint.after)}; the tuned network is in ${file}`)
