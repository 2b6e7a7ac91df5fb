import { ShumaiError } from '../native.js'
import { ops, Tensor } from '../tensor.js'
import { MultiheadAttention } from './attention.js'
import { checkPositive, checkProbability, readOptions, shapeMismatch } from './initial.js'
import { Dropout, Linear } from './layers.js'
import { LayerNorm } from './norm.js'
import { Module } from './module.js'

/**
 * Where each step of a sequence stands:
 *
 *   encoding[t, 2 i]     = sin(t / 10000^(2 i / dim))
 *   encoding[t, 2 i + 1] = cos(t / 10000^(2 i / dim))
 *
 * Called with a length it gives the encoding [length, dim], as in the original; called with [..., time, dim] it adds it.
 */
export class TransformerPositionalEncoding extends Module {
  static DEFAULT_SEQUENCE_LENGTH = 256
  static ENCODING_BASE = 10000
  #table

  constructor(dim, options = {}) {
    super()
    const given = typeof options === 'number' ? { sequenceLength: options } : options
    const defaults = { dropout: 0, sequenceLength: TransformerPositionalEncoding.DEFAULT_SEQUENCE_LENGTH }
    const { dropout, sequenceLength } = readOptions('TransformerPositionalEncoding', given, defaults)
    if (!(dim > 0)) throw new ShumaiError(`TransformerPositionalEncoding: dimension must be > 0, got ${dim}`)
    if (!(sequenceLength > 0)) throw new ShumaiError(`TransformerPositionalEncoding: sequenceLength must be > 0, got ${sequenceLength}`)
    checkProbability('TransformerPositionalEncoding', dropout)
    this.dim = dim
    this.dropout = dropout
    this.#extend(sequenceLength)
  }

  // The module keeps the table, whichever tidy it is made or called in.
  #extend(length) {
    this.#table = this.calculate(0, length).untidy()
  }

  /** The encoding of the steps from `start` to before `end`: [end - start, dim]. */
  calculate(start, end) {
    const even = ops.arange(0, this.dim, 2, 'float64')
    const factors = even.mul(-Math.log(TransformerPositionalEncoding.ENCODING_BASE) / this.dim).exp()
    const angle = ops.arange(start, end, 1, 'float64').unsqueeze(1).mul(factors)
    const both = ops.stack([angle.sin(), angle.cos()], 2).reshape([end - start, 2 * factors.elements])
    return both.slice(1, 0, this.dim).astype('float32').contiguous()
  }

  #encoding(length) {
    const known = this.#table.shape[0]
    if (length > known) this.#extend(Math.max(length, 2 * known))
    return this.#table.slice(0, 0, length)
  }

  forward(x) {
    if (!(x instanceof Tensor)) return this.#encoding(x)
    if (x.ndim < 2 || x.shape.at(-1) !== this.dim) throw shapeMismatch('TransformerPositionalEncoding', `[..., time, ${this.dim}]`, x)
    return x.add(this.#encoding(x.shape.at(-2)).astype(x.dtype)).dropout(this.dropout, this.training)
  }
}

const kDefaults = {
  feedforward: 2048, dropout: 0.1, activation: ops.relu, normFirst: false, finalNorm: undefined, epsilon: 1e-5, dtype: 'float32',
  attentionDim: undefined, positional: false,
}

// The options of C++, or the original's numbers (attentionDim, feedForwardDim, initSequenceLength) with its defaults.
function readTransformer(module, dim, heads, [first, feedForwardDim, sequenceLength]) {
  checkPositive(module, 'dim', dim)
  checkPositive(module, 'heads', heads)
  if (typeof first === 'object') return readOptions(module, first, kDefaults)
  return { ...kDefaults, attentionDim: first ?? dim, feedforward: feedForwardDim ?? dim, dropout: 0, positional: sequenceLength ?? true }
}

const attentionOf = (dim, heads, { dropout, dtype, attentionDim }) => new MultiheadAttention(dim, heads, { dropout, dtype, attentionDim })
const normOf = (dim, { epsilon, dtype }) => new LayerNorm([dim], { epsilon, dtype })

// The linear layers and norms of an encoder's or a decoder's layer.
class Layer extends Module {
  #options

  constructor(dim, heads, options, attentions) {
    super()
    this.#options = options
    for (const name of attentions) this[name] = attentionOf(dim, heads, options)
    this.linear1 = new Linear(dim, options.feedforward, { dtype: options.dtype })
    this.linear2 = new Linear(options.feedforward, dim, { dtype: options.dtype })
    for (let i = 1; i <= attentions.length + 1; ++i) this[`norm${i}`] = normOf(dim, options)
    this.dropout = new Dropout(options.dropout)
  }

  // x + dropout(run(x)) with a norm before `run`, or after the sum.
  part(x, norm, run) {
    return this.#options.normFirst ? x.add(this.dropout(run(norm(x)))) : norm(x.add(this.dropout(run(x))))
  }

  feedForward(x) {
    return this.linear2(this.dropout(this.#options.activation(this.linear1(x))))
  }
}

/**
 * Attention of [..., time, dim] to itself, then two linear layers, each added to what went in and normalised. After
 * `heads` come options as in C++, or the original's numbers: attentionDim, feedForwardDim.
 */
export class TransformerEncoderLayer extends Layer {
  constructor(dim, heads, ...rest) {
    super(dim, heads, readTransformer('TransformerEncoderLayer', dim, heads, rest), ['self_attn'])
  }

  forward(x, mask = {}) {
    const seen = this.part(x, this.norm1, (input) => this.self_attn(input, mask))
    return this.part(seen, this.norm2, (input) => this.feedForward(input))
  }
}

/** An encoder layer with attention to `memory`, an encoder's output, in between. */
export class TransformerDecoderLayer extends Layer {
  constructor(dim, heads, ...rest) {
    super(dim, heads, readTransformer('TransformerDecoderLayer', dim, heads, rest), ['self_attn', 'multihead_attn'])
  }

  /** The original's mask [length, length]: true for what a step must not see. */
  static getSelfAttentionMask(length) {
    return ops.ones([length, length], 'bool').tril().logicalNot()
  }

  /** `mask` is for x, causal unless given; `memoryMask` for what x sees of memory. */
  forward(x, memory, mask = { causal: true }, memoryMask = {}) {
    const seen = this.part(x, this.norm1, (input) => this.self_attn(input, mask))
    const told = this.part(seen, this.norm2, (input) => this.multihead_attn(input, memory, memory, memoryMask))
    return this.part(told, this.norm3, (input) => this.feedForward(input))
  }
}

// `count` layers, with a positional encoding before them and a norm after them if there are to be any.
class Stack extends Module {
  #positional

  constructor(Layer_, dim, heads, count, rest) {
    super()
    checkPositive(new.target.name, 'depth', count)
    const options = readTransformer(new.target.name, dim, heads, rest)
    const { positional } = options
    this.#positional = positional === false ? null : new TransformerPositionalEncoding(dim, positional === true ? {} : positional)
    this.layers = Array.from({ length: count }, () => new Layer_(dim, heads, { ...options, finalNorm: undefined, positional: false }))
    this.norm = options.finalNorm ?? options.normFirst ? normOf(dim, options) : null
  }

  forward(x, ...rest) {
    let out = this.#positional ? this.#positional(x) : x
    for (const layer of this.layers) out = layer(out, ...rest)
    return this.norm ? this.norm(out) : out
  }
}

/**
 * `depth` encoder layers. After them come options as in C++, or the original's numbers: attentionDim, feedForwardDim,
 * initSequenceLength. In the original's form, or with the option `positional`, the positional encoding is added first.
 */
export class TransformerEncoder extends Stack {
  constructor(dim, heads, depth, ...rest) {
    super(TransformerEncoderLayer, dim, heads, depth, rest)
  }
}

/** `depth` decoder layers, called with (x, memory, mask, memoryMask); otherwise as TransformerEncoder. */
export class TransformerDecoder extends Stack {
  constructor(dim, heads, depth, ...rest) {
    super(TransformerDecoderLayer, dim, heads, depth, rest)
  }
}
