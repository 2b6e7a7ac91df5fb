import { ShumaiError } from '../native.js'
import { ops, Tensor } from '../tensor.js'
import { checkPositive, checkProbability, readOptions, shapeMismatch, shown, uniformFor } from './initial.js'
import { Module } from './module.js'

const kOptions = { layers: 1, bias: true, batchFirst: true, dropout: 0, bidirectional: false, dtype: 'float32' }
const kSwapped = [1, 0, 2]

/** Part `index` of `parts` equal ones of the last axis. */
function part(x, index, parts) {
  const size = x.shape.at(-1) / parts
  return x.slice(-1, index * size, (index + 1) * size)
}

const row = (x, index) => x.slice(0, index, index + 1).squeeze(0)

/**
 * What LSTM and GRU share. A carry is {hidden, cell}, the cell only for LSTM. Weights have PyTorch's names and layouts:
 * weight_ih_l0 [gates * hidden, inputs], weight_hh_l0, bias_ih_l0, bias_hh_l0, and the same with _reverse.
 */
class Recurrent extends Module {
  #title
  #inputs
  #hidden
  #options
  #suffixes = []

  constructor(title, gates, inputs, hidden, options) {
    super()
    checkPositive(title, 'inputs', inputs)
    checkPositive(title, 'hidden', hidden)
    this.#title = title
    this.#inputs = inputs
    this.#hidden = hidden
    this.#options = readOptions(title, options, kOptions)
    const { layers, dropout } = this.#options
    checkPositive(title, 'layers', layers)
    checkProbability(title, dropout)
    for (let layer = 0; layer < layers; ++layer)
      for (let direction = 0; direction < this.#directions; ++direction)
        this.#addWeights(gates * hidden, layer === 0 ? inputs : hidden * this.#directions, `_l${layer}${direction ? '_reverse' : ''}`)
  }

  get #directions() {
    return this.#options.bidirectional ? 2 : 1
  }

  #addWeights(rows, inputs, suffix) {
    const make = (shape) => uniformFor(shape, this.#hidden, this.#options.dtype).requireGrad()
    this.#suffixes.push(suffix)
    this[`weight_ih${suffix}`] = make([rows, inputs])
    this[`weight_hh${suffix}`] = make([rows, this.#hidden])
    if (!this.#options.bias) return
    this[`bias_ih${suffix}`] = make([rows])
    this[`bias_hh${suffix}`] = make([rows])
  }

  #fromInput(x, suffix) {
    return ops.linear(x, this[`weight_ih${suffix}`].transpose(), this[`bias_ih${suffix}`])
  }

  #fromHidden(suffix) {
    const [weight, bias] = [this[`weight_hh${suffix}`].transpose(), this[`bias_hh${suffix}`]]
    return (hidden) => ops.linear(hidden, weight, bias)
  }

  #check(x, states) {
    const time = this.#options.batchFirst ? 1 : 0
    const layout = this.#options.batchFirst ? '[batch, time' : '[time, batch'
    if (x?.ndim !== 3 || x.shape[2] !== this.#inputs || x.shape[time] < 1) throw shapeMismatch(this.#title, `${layout}, ${this.#inputs}] of at least one step`, x)
    const expected = shown([this.#suffixes.length, x.shape[1 - time], this.#hidden])
    for (const state of states)
      if (state && shown(state.shape) !== expected) throw new ShumaiError(`${this.#title}: a state must have shape ${expected}, got ${shown(state.shape)}`, 'shape_mismatch')
  }

  // Over [time, batch, features]: the outputs, and the last carry.
  #walkOne(x, suffix, reverse, carry) {
    const [fromInput, fromHidden] = [this.#fromInput(x, suffix), this.#fromHidden(suffix)]
    const steps = x.shape[0]
    const outputs = Array(steps)
    for (let i = 0; i < steps; ++i) {
      const at = reverse ? steps - 1 - i : i
      carry = this.step(row(fromInput, at), fromHidden(carry.hidden), carry)
      outputs[at] = carry.hidden
    }
    return [ops.stack(outputs, 0), carry]
  }

  /** [output, last carry] of a sequence, from a carry whose tensors may be missing. */
  walk(x, initial) {
    this.#check(x, [initial.hidden, initial.cell])
    const { batchFirst, dropout, dtype } = this.#options
    let out = batchFirst ? x.transpose(kSwapped) : x
    const nothing = ops.zeros([out.shape[1], this.#hidden], dtype)
    const initialOf = (name, index) => (initial[name] ? row(initial[name], index) : nothing)
    const carries = []
    while (carries.length < this.#suffixes.length) {
      if (carries.length > 0) out = ops.dropout(out, dropout, this.training)
      const outputs = []
      for (let direction = 0; direction < this.#directions; ++direction) {
        const index = carries.length
        const [output, carry] = this.#walkOne(out, this.#suffixes[index], direction === 1, { hidden: initialOf('hidden', index), cell: initialOf('cell', index) })
        outputs.push(output)
        carries.push(carry)
      }
      out = outputs.length === 1 ? outputs[0] : ops.concatenate(outputs, -1)
    }
    const stacked = (name) => (carries[0][name] ? ops.stack(carries.map((carry) => carry[name]), 0) : undefined)
    return [batchFirst ? out.transpose(kSwapped) : out, { hidden: stacked('hidden'), cell: stacked('cell') }]
  }

  /** One step of the only layer. */
  once(x, carry) {
    if (this.#suffixes.length !== 1) throw new ShumaiError(`${this.#title}: a single step is for one layer in one direction, got ${this.#suffixes.length}`)
    return this.step(this.#fromInput(x, '_l0'), this.#fromHidden('_l0')(carry.hidden), carry)
  }
}

/**
 * Long short-term memory: [batch, time, inputs] to {output: [batch, time, hidden], state: {hidden, cell}}. As in the
 * original, (x, h, c) makes one step of [batch, inputs] and returns [h, c].
 */
export class LSTM extends Recurrent {
  constructor(inputs, hidden, options = {}) {
    super('LSTM', 4, inputs, hidden, options)
  }

  // The gates are stacked as i, f, g, o.
  step(fromInput, fromHidden, last) {
    const gates = fromInput.add(fromHidden)
    const gate = (index) => part(gates, index, 4).sigmoid()
    const cell = gate(1).mul(last.cell).add(gate(0).mul(part(gates, 2, 4).tanh()))
    return { hidden: gate(3).mul(cell.tanh()), cell }
  }

  forward(x, state = {}, cell) {
    if (state instanceof Tensor && cell instanceof Tensor) {
      const next = this.once(x, { hidden: state, cell })
      return [next.hidden, next.cell]
    }
    if (state instanceof Tensor || cell !== undefined) throw new ShumaiError('LSTM: expects (x), (x, {hidden, cell}) or (x, h, c)')
    const [output, last] = this.walk(x, state)
    return { output, state: last }
  }
}

/** Gated recurrent unit: [batch, time, inputs] to {output: [batch, time, hidden], hidden}, as PyTorch has it. */
export class GRU extends Recurrent {
  constructor(inputs, hidden, options = {}) {
    super('GRU', 3, inputs, hidden, options)
  }

  // The gates are stacked as r, z, n.
  step(fromInput, fromHidden, last) {
    const gate = (index) => part(fromInput, index, 3).add(part(fromHidden, index, 3)).sigmoid()
    const fresh = part(fromInput, 2, 3).add(gate(0).mul(part(fromHidden, 2, 3))).tanh()
    return { hidden: fresh.add(gate(1).mul(last.hidden.sub(fresh))) }
  }

  forward(x, hidden) {
    if (hidden !== undefined && !(hidden instanceof Tensor)) throw new ShumaiError('GRU: expects (x) or (x, hidden)')
    const [output, last] = this.walk(x, { hidden })
    return { output, hidden: last.hidden }
  }
}
