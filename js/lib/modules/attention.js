import { ShumaiError } from '../native.js'
import { ops, Tensor } from '../tensor.js'
import { checkPositive, checkProbability, glorotUniform, readOptions, shapeMismatch, shown } from './initial.js'
import { Linear } from './layers.js'
import { Module } from './module.js'

// A tensor alone could mean what is seen, as here and in C++, or what isn't, as in the original and PyTorch.
function readMask(module, mask) {
  if (mask instanceof Tensor) throw new ShumaiError(`${module}: the mask must be {causal, padding, mask}, got a tensor: {mask} is true for what a query sees`)
  return readOptions(module, mask, { causal: false, padding: undefined, mask: undefined })
}

/** `mask` for scores of rank `ndim`, where the first axis of [batch, L, S] is the batch's. */
function forScores(mask, ndim) {
  if (mask.ndim < 3 || mask.ndim >= ndim) return mask
  const [batch, ...rest] = mask.shape
  return mask.reshape([batch, ...Array(ndim - mask.ndim).fill(1), ...rest])
}

/** Both masks in one; undefined when there is none. */
function joined({ mask, padding }, query, key) {
  const ndim = query.ndim
  const given = mask && forScores(mask, ndim)
  if (!padding) return given
  const [batch, keys] = [key.shape[0], key.shape.at(-2)]
  if (ndim < 3 || shown(padding.shape) !== shown([batch, keys]))
    throw new ShumaiError(`attention: padding must have shape [batch, keys], which is ${shown([batch, keys])}, got ${shown(padding.shape)}`, 'shape_mismatch')
  const visible = forScores(padding.logicalNot().reshape([batch, 1, keys]), ndim)
  if (!given) return visible
  const isAdded = given.dtype >= 9
  return isAdded ? ops.where(visible, given, -Infinity) : ops.logicalAnd(given, visible)
}

/**
 * softmax(Q K' scale) V for [batch, ..., L, E], [batch, ..., S, E] and [batch, ..., S, Ev]. A query that sees no key
 * gets zeros.
 */
export class DotProductAttention extends Module {
  constructor(options = {}) {
    super()
    Object.assign(this, readOptions('DotProductAttention', options, { scale: 0, dropout: 0 }))
    checkProbability('DotProductAttention', this.dropout)
  }

  forward(query, key, value, mask = {}) {
    const read = readMask('DotProductAttention', mask)
    const both = joined(read, query, key)
    if (this.dropout === 0 || !this.training) return ops.attention(query, key, value, both, read.causal, this.scale)
    return ops.attentionWeights(query, key, both, read.causal, this.scale).dropout(this.dropout).matmul(value)
  }
}

/**
 * Attention by `heads` heads of width / heads each, or of `attentionDim`, between a projection of query, key and value
 * and one of the outcome: [..., L, width] with [..., S, width] to [..., L, width].
 */
export class MultiheadAttention extends Module {
  #title

  constructor(width, heads, options = {}) {
    super()
    this.#title = new.target.name
    checkPositive(this.#title, 'width', width)
    checkPositive(this.#title, 'heads', heads)
    if (width % heads !== 0) throw new ShumaiError(`${this.#title}: width must be divisible by the number of heads, got ${width} for ${heads}`)
    const read = readOptions(this.#title, options, { dropout: 0, bias: true, dtype: 'float32', attentionDim: width / heads })
    checkPositive(this.#title, 'attentionDim', read.attentionDim)
    const inner = heads * read.attentionDim
    this.width = width
    this.heads = heads
    // Drawn in the order of C++'s, so that a seed gives the same weights.
    const out = new Linear(inner, width, { bias: read.bias, dtype: read.dtype })
    this.in_proj_weight = glorotUniform([3 * inner, width], read.dtype).requireGrad()
    this.in_proj_bias = read.bias ? ops.zeros([3 * inner], read.dtype).requireGrad() : null
    out.bias?.update(ops.zeros([width], read.dtype))
    this.out_proj = out
    this.attention = new DotProductAttention({ dropout: read.dropout })
  }

  // With parts `from` to `to` of the three of the weight: query, key, value.
  #project(x, from, to) {
    const inner = this.in_proj_weight.shape[0] / 3
    const parts = (all) => (to - from === 3 || all === null ? all : all.slice(0, from * inner, to * inner))
    return ops.linear(x, parts(this.in_proj_weight).transpose(), parts(this.in_proj_bias))
  }

  #projectAll(query, key, value) {
    if (query !== key || key !== value) return [query, key, value].map((x, i) => this.#project(x, i, i + 1))
    const all = this.#project(query, 0, 3)
    const inner = all.shape.at(-1) / 3
    return [0, 1, 2].map((i) => all.slice(-1, i * inner, (i + 1) * inner))
  }

  // [..., time, heads * size] to [..., heads, time, size].
  #splitHeads(x) {
    const shape = x.shape
    const split = x.reshape([...shape.slice(0, -1), this.heads, shape.at(-1) / this.heads])
    return split.transpose(swapped(split.ndim))
  }

  /** (query, key, value, mask), or (x, mask) for a sequence and itself. */
  forward(query, key, value, mask) {
    const alone = !(key instanceof Tensor)
    const seen = alone ? key ?? mask : mask
    const [k, v] = alone ? [query, query] : [key, value ?? key]
    for (const x of [query, k, v])
      if (!(x?.ndim >= 2) || x.shape.at(-1) !== this.width) throw shapeMismatch(this.#title, `[..., time, ${this.width}]`, x)
    const heads = this.#projectAll(query, k, v).map((x) => this.#splitHeads(x))
    const read = readMask(this.#title, seen ?? {})
    const outcome = this.attention(...heads, read)
    return this.out_proj(outcome.transpose(swapped(outcome.ndim)).reshape([...query.shape.slice(0, -1), -1]))
  }
}

/** The axes with the second and third from the end in each other's place. */
const swapped = (ndim) => [...Array(ndim - 3).keys(), ndim - 2, ndim - 3, ndim - 1]

// What the original demands of its arguments, and its mask: [queries, keys], non-zero for what a query must not see.
function checkOriginal(module, dim, [query, key, value], mask) {
  const others = ({ shape }) => shown(shape.with?.(-2, 0) ?? shape.map((size, i) => (i === shape.length - 2 ? 0 : size)))
  if ([key, value].some((x) => others(x) !== others(query)) || key.shape.at(-2) !== value.shape.at(-2))
    throw new ShumaiError(`${module}: queries, keys and values must have the same shape, but for the number of queries, got ${[query, key, value].map(({ shape }) => shown(shape)).join(', ')}`, 'shape_mismatch')
  if (query.shape.at(-1) !== dim) throw new ShumaiError(`${module}: the last axis must match attention dimension ${dim}, got ${shown(query.shape)}`, 'shape_mismatch')
  const expected = shown([query.shape.at(-2), key.shape.at(-2)])
  if (mask instanceof Tensor && shown(mask.shape) !== expected) throw new ShumaiError(`${module}: the mask must have shape ${expected}, got ${shown(mask.shape)}`, 'shape_mismatch')
}

const fromOriginal = (mask) => (mask instanceof Tensor ? { mask: mask.logicalNot() } : mask)

/** The original's attention over `dim` features: a mask is a tensor [queries, keys], non-zero for what a query must not see. */
export class TransformerDotProductAttention extends DotProductAttention {
  constructor(dim) {
    super()
    checkPositive('TransformerDotProductAttention', 'dim', dim)
    this.dim = dim
  }
  forward(queries, keys, values, mask) {
    checkOriginal('TransformerDotProductAttention', this.dim, [queries, keys, values], mask)
    return super.forward(queries, keys, values, fromOriginal(mask))
  }
}

/** The original's multi-head attention, with `attentionDim` features a head; its mask as in TransformerDotProductAttention. */
export class TransformerMultiheadAttention extends MultiheadAttention {
  constructor(dim, heads, attentionDim) {
    super(dim, heads, { attentionDim })
  }
  forward(queries, keys, values, mask) {
    checkOriginal('TransformerMultiheadAttention', this.width, [queries, keys, values], mask)
    return super.forward(queries, keys, values, fromOriginal(mask))
  }
}
