import { native, ShumaiError } from '../native.js'
import { load, ops } from '../tensor.js'
import { MultiheadAttention } from './attention.js'
import { AvgPool2d, Conv1d, Conv2d, Dropout, Embedding, Flatten, Linear, MaxPool2d } from './layers.js'
import { description } from './module.js'
import { BatchNorm2d, GroupNorm, LayerNorm, RMSNorm } from './norm.js'
import { GRU, LSTM } from './recurrent.js'
import { Sequential } from './sequential.js'
import { TransformerEncoder, TransformerEncoderLayer, TransformerPositionalEncoding } from './transformer.js'

// Layers of several inputs or outputs, as functions of one tensor.
const lastStep = (x) => x.slice(1, x.shape[1] - 1, x.shape[1]).squeeze(1)
const outputOf = (Cell) =>
  class extends Cell {
    #last
    constructor({ inputs, hidden, last, ...options }) {
      super(inputs, hidden, options)
      this.#last = last
    }
    forward(x) {
      const { output } = super.forward(x)
      return this.#last ? lastStep(output) : output
    }
  }
const toItself = (Attention) =>
  class extends Attention {
    #causal
    constructor(causal, ...rest) {
      super(...rest)
      this.#causal = causal
    }
    forward(x, mask) {
      return super.forward(x, mask ?? { causal: this.#causal })
    }
  }
const [LSTMOutput, GRUOutput] = [outputOf(LSTM), outputOf(GRU)]
const [EncoderLayer, Encoder] = [toItself(TransformerEncoderLayer), toItself(TransformerEncoder)]

/** Attention of a sequence to itself. */
class SelfAttention extends MultiheadAttention {
  #causal
  constructor({ width, heads, causal, ...options }) {
    super(width, heads, options)
    this.#causal = causal
  }
  forward(x) {
    return super.forward(x, { causal: this.#causal })
  }
}

/** x + f(x) */
class Residual extends Sequential {
  forward(x) {
    return x.add(super.forward(x))
  }
}

const activationOf = (name) => stepOf(JSON.parse(native.describeModel(JSON.stringify([name]))).layers[0])
const withActivation = ({ activation, ...rest }) => ({ ...rest, activation: activationOf(activation) })
const stepsOf = (layers) => layers.map(stepOf)

const kLayers = {
  Linear: ({ inputs, outputs, ...options }) => new Linear(inputs, outputs, options),
  Conv1d: ({ inputs, outputs, kernel, ...options }) => new Conv1d(inputs, outputs, kernel, options),
  Conv2d: ({ inputs, outputs, kernel, ...options }) => new Conv2d(inputs, outputs, kernel, options),
  AvgPool2d: ({ kernel, ...options }) => new AvgPool2d(kernel, options),
  MaxPool2d: ({ kernel, ...options }) => new MaxPool2d(kernel, options),
  Flatten: () => new Flatten(),
  LayerNorm: ({ shape, ...options }) => new LayerNorm(shape, options),
  RMSNorm: ({ shape, ...options }) => new RMSNorm(shape, options),
  GroupNorm: ({ groups, channels, ...options }) => new GroupNorm(groups, channels, options),
  BatchNorm2d: ({ channels, ...options }) => new BatchNorm2d(channels, options),
  Dropout: ({ p }) => new Dropout(p),
  Embedding: ({ count, width, ...options }) => new Embedding(count, width, options),
  LSTM: (options) => new LSTMOutput(options),
  GRU: (options) => new GRUOutput(options),
  MultiheadAttention: (options) => new SelfAttention(options),
  TransformerPositionalEncoding: ({ width, dropout }) => new TransformerPositionalEncoding(width, { dropout }),
  TransformerEncoderLayer: ({ width, heads, causal, ...options }) => new EncoderLayer(causal, width, heads, withActivation(options)),
  TransformerEncoder: ({ layers, width, heads, causal, ...options }) => new Encoder(causal, width, heads, layers, withActivation(options)),
  Sequential: ({ layers }) => new Sequential(...stepsOf(layers)),
  Residual: ({ layers }) => new Residual(...stepsOf(layers)),
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())

/** What the core's description, complete and in the order of arguments, says of one layer. */
function stepOf({ layer, ...fields }) {
  const given = Object.entries(fields).map(([name, value]) => [camel(name), value ?? undefined])
  if (Object.hasOwn(kLayers, layer)) return kLayers[layer](Object.fromEntries(given))
  const run = ops[camel(layer)]
  if (run === undefined) throw new ShumaiError(`model: there is no operation ${JSON.stringify(layer)} here`)
  const values = given.map(([, value]) => value)
  return values.length === 0 ? run : (x) => run(x, ...values)
}

/**
 * A model from its description in JSON, as an object or as text: `{layers: [{layer: 'Linear', inputs: 2, outputs: 1},
 * 'relu', ...]}`. The same description gives the same model in C++ and to the program `shumai`, and the files that the
 * model saves hold it.
 */
export function fromJSON(model) {
  const text = native.describeModel(typeof model === 'string' ? model : JSON.stringify(model))
  const out = new Sequential(...stepsOf(JSON.parse(text).layers))
  out[description] = text
  return out
}

/** The description of a model that fromJSON or openModel made, with every default; undefined for another. */
export const describe = (model) => (model[description] === undefined ? undefined : JSON.parse(model[description]))

/** The model in a file that holds its description: alone, as JSON, or beside its weights. */
export function openModel(file) {
  const [text, alone] = native.readDescription(String(file))
  const model = fromJSON(text)
  if (alone) return model
  const isOwn = (name) => name.startsWith('shumai.') || name.startsWith('optimizer.')
  return model.loadState(Object.fromEntries(Object.entries(load(file)).filter(([name]) => !isOwn(name))))
}
