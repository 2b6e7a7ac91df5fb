// A small transformer learns to write, a character at a time, from one text: the GPL, which every Debian has. A tenth
// of the text is held out; how well it is foreseen is the score. The same as examples/text in C++.
// Run: node text.js [--file PATH] [--steps N] [--seconds N] [--seed N]
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

const kContext = 64 // characters that the model sees; longer ones learn more slowly here
const kBatch = 32
const kWidth = 128
const kLearningRate = 3e-3
const kBlocks = 100

/** @typedef {{ input: sm.Tensor, target: sm.Tensor, scored: sm.Tensor }} Batch each [windows, context]; `scored` is 1 where the target counts */

/** A text as numbers. Of its hundred blocks (the last takes what is left) numbers 9, 19, ..., 99 are held out. */
class Corpus {
  /** @param {string} file */
  constructor(file) {
    const bytes = readFileSync(file)
    // Else no window fits between two held-out blocks.
    const needed = 2 * kBlocks * (kContext + 1)
    if (bytes.length < needed) throw new Error(`'${file}' has ${bytes.length} characters, needs ${needed}`)
    this.characters = [...new Set(bytes)].sort((a, b) => a - b)
    this.ids = Array.from(bytes, (byte) => this.characters.indexOf(byte))
    this.blockSize = Math.floor(this.ids.length / kBlocks)
    const heldOut = this.ids.map((_, position) => this.isHeldOut(position))
    this.heldOutSize = heldOut.filter((held) => held).length
    /** @type {number[]} of the windows without a character of the held-out tenth */
    this.starts = []
    for (let start = 0; start + kContext < this.ids.length; ++start)
      if (!heldOut.slice(start, start + kContext + 1).includes(true)) this.starts.push(start)
  }

  /** @param {number} position */
  isHeldOut(position) {
    return Math.min(Math.floor(position / this.blockSize), kBlocks - 1) % 10 === 9
  }

  /**
   * Of the windows at `starts`, held-out targets from position scoredFrom[i] of the text on count.
   * @param {number[]} starts
   * @param {number[]} scoredFrom
   * @returns {Batch}
   */
  makeBatch(starts, scoredFrom) {
    const positions = starts.map((start) => Array.from({ length: kContext }, (_, i) => start + i))
    /** @param {(at: number, window: number) => number} value */
    const matrix = (value) => sm.tensor(positions.map((row, window) => row.map((at) => value(at, window))))
    return {
      input: matrix((at) => this.ids[at]).astype('int64'),
      target: matrix((at) => this.ids[at + 1]).astype('int64'),
      scored: matrix((at, window) => (at + 1 >= scoredFrom[window] && this.isHeldOut(at + 1) ? 1 : 0)),
    }
  }

  /** Random windows for training. */
  sample() {
    const where = sm.rand([kBatch], 'float64').toFloat64Array()
    const starts = Array.from(where, (part) => this.starts[Math.floor(part * this.starts.length)])
    return this.makeBatch(starts, starts)
  }

  /** Windows that score each held-out character once, with half a context before it wherever the text has that much. */
  *heldOut() {
    const last = this.ids.length - kContext - 1
    let [starts, scoredFrom] = /** @type {number[][]} */ ([[], []])
    for (let start = 0, seen = 1; seen < this.ids.length; start = Math.min(start + kContext / 2, last)) {
      starts.push(start)
      scoredFrom.push(seen)
      seen = start + kContext + 1
      if (starts.length < kBatch && seen < this.ids.length) continue
      yield this.makeBatch(starts, scoredFrom)
      ;[starts, scoredFrom] = [[], []]
    }
  }

  /** @param {number[]} ids */
  decode(ids) {
    return Buffer.from(ids.map((id) => this.characters[id])).toString('latin1')
  }
}

/** Characters [batch, time] to logits [batch, time, alphabet] of the one after each. */
class Writer extends sm.module.Module {
  positions = new sm.module.TransformerPositionalEncoding(kWidth, { dropout: 0.2, sequenceLength: kContext })

  /** @param {number} alphabet */
  constructor(alphabet) {
    super()
    this.characters = new sm.module.Embedding(alphabet, kWidth)
    this.encoder = new sm.module.TransformerEncoder(kWidth, 4, 2, { feedforward: 4 * kWidth, dropout: 0.2, normFirst: true })
    this.logits = new sm.module.Linear(kWidth, alphabet)
  }

  /** @param {sm.Tensor} x */
  forward(x) {
    return this.logits(this.encoder(this.positions(this.characters(x)), { causal: true }))
  }
}

/**
 * @param {Writer} model
 * @param {Batch} batch
 * @param {'mean' | 'none'} reduction
 */
function lossOf(model, { input, target }, reduction) {
  const logits = model(input)
  return sm.loss.crossEntropyWithLogits(logits.reshape([-1, logits.shape[2]]), target.reshape([-1]), { reduction })
}

/**
 * Nats a character.
 * @param {Writer} model
 * @param {Corpus} corpus
 */
function evaluate(model, corpus) {
  let [total, count] = [0, 0]
  model.eval()
  for (const batch of corpus.heldOut())
    sm.noGrad(() => {
      total += lossOf(model, batch, 'none').mul(batch.scored.reshape([-1])).sum().toFloat64()
      count += batch.scored.sum().toFloat64()
    })
  model.train()
  return total / count
}

/**
 * Up within the first 4%, then down to 0 along half a cosine.
 * @param {number} progress from 0 to 1
 */
function rateAt(progress) {
  const warmUp = 0.04
  if (progress < warmUp) return (kLearningRate * (progress + 1e-3)) / warmUp
  return kLearningRate * (0.5 + 0.5 * Math.cos((Math.PI * (progress - warmUp)) / (1 - warmUp)))
}

const secondsSince = (/** @type {number} */ start) => (performance.now() - start) / 1000

/**
 * The number of steps made, until so many or for so long.
 * @param {Writer} model
 * @param {Corpus} corpus
 * @param {{ steps: number, seconds: number }} limits
 */
function train(model, corpus, limits) {
  const adam = new sm.optim.AdamW({ betas: [0.9, 0.99], weightDecay: 0.1 })
  const start = performance.now()
  let [step, shown, shownStep, lossSum] = [0, 0, 0, 0]
  for (let done = 0; done < 1; done = Math.max(step / limits.steps, secondsSince(start) / limits.seconds)) {
    lossSum += sm.util.tidy(() => {
      const loss = lossOf(model, corpus.sample(), 'mean')
      adam(sm.optim.clipGradNorm(loss.backward(), 1).gradients, rateAt(done))
      return loss.toFloat32()
    })
    ++step
    const now = secondsSince(start)
    if (now - shown < 5) continue
    const [steps, seconds] = [step - shownStep, now - shown]
    console.log(`step ${step}: ${(lossSum / steps).toFixed(3)} nats a character in training, ${(steps / seconds).toFixed(1)} steps/s`)
    ;[shown, shownStep, lossSum] = [now, step, 0]
  }
  return step
}

/**
 * Continues `ids` by `count` characters, drawn as the model expects them, likely ones a little more often than that.
 * @param {Writer} model
 * @param {number[]} ids
 * @param {number} count
 */
function writeOn(model, ids, count) {
  const temperature = 0.7
  model.eval()
  for (let i = 0; i < count; ++i) {
    const seen = ids.slice(-kContext)
    const chances = sm.noGrad(() => {
      /** @type {sm.Tensor} */
      const logits = model(sm.tensor([seen], 'int64'))
      return logits.slice(1, seen.length - 1, seen.length).div(temperature).softmax(-1).toFloat64Array()
    })
    let point = sm.rand([1], 'float64').toFloat64()
    const drawn = chances.findIndex((chance) => (point -= chance) < 0)
    ids.push(drawn < 0 ? chances.length - 1 : drawn)
  }
}

const text = { type: /** @type {const} */ ('string') }
const { values } = parseArgs({ options: { file: text, steps: text, seconds: text, seed: text } })

/**
 * @param {'steps' | 'seconds' | 'seed'} name
 * @param {number} fallback
 * @param {number} low
 */
function number(name, fallback, low) {
  const value = Number(values[name] ?? fallback)
  if (Number.isSafeInteger(value) && value >= low) return value
  throw new Error(`--${name} must be a whole number of ${low} or more, got '${values[name]}'`)
}

function main() {
  sm.manual_seed(number('seed', 1, 0))
  const limits = { steps: number('steps', 2000, 1), seconds: number('seconds', 480, 1) }
  const corpus = new Corpus(values.file ?? '/usr/share/common-licenses/GPL-3')
  const model = new Writer(corpus.characters.length)
  const weights = model.parameters().reduce((sum, { elements }) => sum + elements, 0)
  console.log(`${corpus.ids.length} characters of ${corpus.characters.length} kinds; held out: every tenth of ${kBlocks} blocks of ${corpus.blockSize}, ${corpus.heldOutSize} characters; ${weights} weights`)
  const start = performance.now()
  const steps = train(model, corpus, limits)
  const seconds = secondsSince(start)
  console.log(`text: ${evaluate(model, corpus).toFixed(2)} nats a character on the held-out tenth after ${steps} steps, ${seconds.toFixed(0)} seconds`)
  const heldOut = 9 * corpus.blockSize
  const ids = corpus.ids.slice(heldOut, heldOut + kContext)
  writeOn(model, ids, 400)
  console.log(corpus.decode(ids))
}

try {
  main()
} catch (error) {
  console.error(`text: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
