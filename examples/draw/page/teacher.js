// The data team: asks the model over HTTP, and teaches it by gradients. The loss and its gradient are worked out here;
// the model's weights stay where they are.
import { ownDrawings } from './own_drawings.js'
import { kSide, picture, variations } from './picture.js'

const kCopies = 16 // of a corrected drawing in each step
const kRemembered = 10 // earlier corrections that are practised with it
const kMostSteps = 30
const kSure = 0.9 // the probability that ends a correction
const kTries = 5 // of a request that the server is too busy for, or a step that it wants a new forward for

/** What a server answers instead of a result. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message)
    Object.assign(this, { status, code })
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Probabilities, from a row of logits. @param {number[]} logits */
export function softmax(logits) {
  const highest = Math.max(...logits) // exp(710) is already infinite
  const powers = logits.map((logit) => Math.exp(logit - highest))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/**
 * The gradient of the mean cross-entropy with respect to the logits, from their softmax.
 * @param {number[][]} probabilities
 * @param {number[]} labels
 */
export const crossEntropyGradient = (probabilities, labels) =>
  probabilities.map((row, i) => row.map((p, digit) => (p - (digit === labels[i] ? 1 : 0)) / labels.length))

async function refusalOf(response) {
  const problem = await response.json().catch(() => ({}))
  return new Refusal(response.status, problem.code ?? '', problem.detail ?? `The model answers ${response.status}.`)
}

/** A served model, and who draws for it. */
export class Teacher {
  token = ''
  #url
  #session = ''
  #corrections = []
  #steps = 0

  /** @param {string} url */
  constructor(url) {
    this.#url = url
  }

  async #post(route, body, more = {}) {
    const headers = { 'Content-Type': 'application/json', 'Shumai-Input-Gradient': 'none', ...more }
    if (this.token) headers.Authorization = `Bearer ${this.token}`
    if (this.#session) headers['Shumai-Session'] = this.#session
    for (let attempt = 1; ; ++attempt) {
      const response = await fetch(this.#url + route, { method: 'POST', headers, body: JSON.stringify(body) }).catch(() => {
        throw new Error(`The model at ${this.#url} can't be reached: is its server running?`)
      })
      this.#session = response.headers.get('Shumai-Session') ?? this.#session
      if (response.ok) return response
      if (![429, 503].includes(response.status) || attempt === kTries) throw await refusalOf(response)
      await wait(1000 * Number(response.headers.get('Retry-After') ?? 1))
    }
  }

  async #forward(pictures) {
    const data = pictures.flatMap((pixels) => Array.from(pixels, (value) => Math.round(value * 1000) / 1000))
    const response = await this.#post('/forward', { dtype: 'float32', shape: [pictures.length, 1, kSide, kSide], data })
    return { probabilities: (await response.json()).map(softmax), ticket: response.headers.get('Shumai-Ticket') }
  }

  /** The probabilities of the ten digits. @param {import('./picture.js').Point[][]} strokes */
  async ask(strokes) {
    return (await this.#forward([picture(strokes)])).probabilities[0]
  }

  // Copies of the drawing, of earlier corrections and of the page's own drawings.
  #practice(strokes, digit) {
    const pictures = variations(strokes, kCopies)
    const labels = pictures.map(() => digit)
    for (const [label, drawing] of [...this.#corrections, ...ownDrawings, ...ownDrawings]) {
      pictures.push(variations(drawing, 1)[0])
      labels.push(label)
    }
    return { pictures, labels }
  }

  // True once the model is sure of both the new drawing and the others, in the mean.
  async #step(strokes, digit) {
    const { pictures, labels } = this.#practice(strokes, digit)
    const { probabilities, ticket } = await this.#forward(pictures)
    const right = probabilities.map((row, i) => row[labels[i]])
    const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length
    if (mean(right.slice(0, kCopies)) > kSure && mean(right.slice(kCopies)) > kSure) return true
    const loss = mean(right.map((p) => -Math.log(Math.max(p, 1e-30))))
    // The loss is for the curves of the server's dashboard.
    const headers = { 'Shumai-Ticket': ticket, 'Shumai-Loss': String(loss), 'Shumai-Step': String(++this.#steps) }
    await this.#post('/optimize', crossEntropyGradient(probabilities, labels), headers)
    return false
  }

  /**
   * Takes gradient steps until the model is sure that the drawing is that digit.
   * @param {import('./picture.js').Point[][]} strokes
   * @param {number} digit
   * @returns {Promise<{ steps: number, before: number, after: number }>} with the digit's probability
   */
  async teach(strokes, digit) {
    const before = (await this.ask(strokes))[digit]
    let [steps, renewed] = [0, 0]
    while (steps < kMostSteps) {
      try {
        if (await this.#step(strokes, digit)) break
        ++steps
      } catch (error) {
        // The server doesn't know the forward any more: nothing happened.
        if (!['gone', 'stale'].includes(error.code) || ++renewed === kTries) throw error
      }
    }
    this.#corrections = [...this.#corrections, [digit, strokes]].slice(-kRemembered)
    return { steps, before, after: (await this.ask(strokes))[digit] }
  }
}
