import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close } from './common.js'

const m = sm.module
const f64 = { dtype: 'float64' }

/** A module with its float32 weights set to 0, 1, 2, ... divided by their number. */
function counted(module) {
  for (const tensor of module.parameters()) tensor.update(sm.arange(0, tensor.elements).div(tensor.elements).reshape(tensor.shape))
  return module
}

test('linear is x W + b, with W of shape [inputs, outputs]', () => {
  const layer = m.linear(2, 3)
  layer.weight.update(sm.tensor([[1, 2, 3], [4, 5, 6]]))
  layer.bias.update(sm.tensor([0.5, 0, -1]))
  close(layer(sm.tensor([[1, 10]])), [41.5, 52, 62])
  assert.deepEqual(layer(sm.ones([2])).shape, [3])
  assert.equal(new m.Linear(2, 3, { bias: false }).parameters().length, 1)
  close(layer.state().weight, [1, 4, 2, 5, 3, 6], 0)
})

test('convolutions sum over windows', () => {
  const one = counted(new m.Conv1d(1, 1, 2, { bias: false, padding: 1 }))
  close(one(sm.tensor([[[1, 2, 4]]])), [0.5, 1, 2, 0])
  const two = new m.Conv2d(1, 1, 2, { stride: 2, bias: false })
  two.weight.update(sm.ones([1, 1, 2, 2]))
  close(two(sm.arange(0, 16).reshape([1, 1, 4, 4])), [10, 18, 42, 50])
  assert.deepEqual(new m.Conv2d(8, 12, 3, { stride: 2 })(sm.randn([1, 8, 64, 64])).shape, [1, 12, 31, 31])
  assert.deepEqual(new m.Conv1d(4, 6, [3], { dilation: 2, groups: 2 })(sm.ones([2, 4, 9])).shape, [2, 6, 5])
})

test('pools take the mean or the maximum of windows', () => {
  const x = sm.arange(0, 16).reshape([1, 1, 4, 4])
  close(m.avgPool2d(2)(x), [2.5, 4.5, 10.5, 12.5])
  close(m.maxPool2d(2, { stride: 1 })(x), [5, 6, 7, 9, 10, 11, 13, 14, 15])
  assert.deepEqual(new m.Flatten()(sm.ones([2, 3, 4])).shape, [2, 12])
})

test('norms give mean 0 and variance 1', () => {
  const deviation = Math.sqrt(26 / 3)
  close(new m.LayerNorm([3])(sm.tensor([2, 4, 9])), [-3 / deviation, -1 / deviation, 4 / deviation])
  close(new m.LayerNorm([3], 1)(sm.tensor([2, 4, 9])), [-3, -1, 4].map((value) => value / Math.sqrt(26 / 3 + 1)))
  close(new m.RMSNorm(2, { epsilon: 1e-12 })(sm.tensor([3, 4])), [3, 4].map((value) => value / Math.sqrt(12.5)))
  close(new m.GroupNorm(1, 2)(sm.tensor([[1, 3]])), [-1, 1])
})

test('batch norm takes the batch in train mode and remembers it for eval mode', () => {
  const norm = new m.BatchNorm2d(1)
  const x = sm.tensor([1, 3]).reshape([2, 1, 1, 1])
  close(norm(x), [-1, 1])
  close(norm.running_mean, [0.2])
  close(norm.running_var, [0.9 + 0.1 * 2])
  assert.equal(norm.num_batches_tracked.toInt64(), 1n)
  close(norm.eval()(x), [0.8, 2.8].map((value) => value / Math.sqrt(1.1 + 1e-5)))
  close(norm.running_mean, [0.2])
  assert.throws(() => norm.train()(sm.ones([1, 1, 1, 1])), { message: /more than one value.*\[1, 1, 1, 1\]/, code: 'shape_mismatch' })
})

test('dropout drops in train mode only', () => {
  sm.manual_seed(1)
  const x = sm.ones([1000])
  const values = new Set(new m.Dropout(0.75)(x).toFloat32Array())
  assert.deepEqual([...values].sort(), [0, 4])
  close(new m.Dropout(0.75).eval()(x), x, 0)
})

test('an embedding gives rows, and its gradient is theirs', () => {
  const layer = counted(new m.Embedding(3, 2))
  const out = layer(sm.tensor([[2n, 0n, 2n]]))
  assert.deepEqual(out.shape, [1, 3, 2])
  close(out.mul(6), [4, 5, 0, 1, 4, 5])
  out.sum().backward()
  close(layer.weight.grad, [1, 1, 0, 0, 2, 2])
})

test('LSTM goes over a sequence as it does step by step', () => {
  const lstm = m.lstm(2, 3)
  const x = sm.randn([4, 5, 2])
  let [h, c] = [sm.zeros([4, 3]), sm.zeros([4, 3])]
  for (let i = 0; i < 5; ++i) [h, c] = lstm(x.slice(1, i, i + 1).squeeze(1), h, c)
  const { output, state } = lstm(x)
  assert.deepEqual([output.shape, state.hidden.shape], [[4, 5, 3], [1, 4, 3]])
  close(state.hidden, h)
  close(state.cell, c)
  const [first, rest] = [lstm(x.slice(1, 0, 2)), x.slice(1, 2, 5)]
  close(lstm(rest, first.state).output, output.slice(1, 2, 5))
  assert.throws(() => lstm(x, h), /\(x, h, c\)/)
  assert.throws(() => m.lstm(2, 3, { layers: 2 })(x.slice(1, 0, 1).squeeze(1), h, c), /one layer/)
})

test('a step of LSTM and of GRU, worked out', () => {
  const sigmoid = (x) => 1 / (1 + Math.exp(-x))
  const ones = (module) => {
    for (const tensor of module.parameters()) tensor.update(sm.ones(tensor.shape))
    return module
  }
  // Each gate sees x + h + 2 = 3.5.
  const [h, c] = ones(m.lstm(1, 1))(sm.tensor([[1]]), sm.tensor([[0.5]]), sm.tensor([[2]]))
  const cell = sigmoid(3.5) * 2 + sigmoid(3.5) * Math.tanh(3.5)
  close(c, [cell])
  close(h, [sigmoid(3.5) * Math.tanh(cell)])
  const [r, z] = [sigmoid(3.5), sigmoid(3.5)]
  const { hidden } = ones(m.gru(1, 1))(sm.tensor([[[1]]]), sm.tensor([[[0.5]]]))
  close(hidden, [(1 - z) * Math.tanh(2 + r * 1.5) + z * 0.5])
})

test('attention weighs the values; masks say what is seen', () => {
  const [q, k] = [sm.zeros([1, 3, 4]), sm.zeros([1, 3, 4])]
  const v = sm.tensor([[[3], [6], [12]]])
  const attention = new m.DotProductAttention()
  close(attention(q, k, v), [7, 7, 7])
  close(attention(q, k, v, { causal: true }), [3, 4.5, 7])
  close(attention(q, k, v, { padding: sm.tensor([[true, false, false]]) }), [9, 9, 9])
  close(attention(q, k, v, { mask: sm.tensor([false, true, true]), causal: true }), [0, 6, 9])
  close(attention(q, k, v, { mask: sm.tensor([0, -Infinity, 0]), padding: sm.tensor([[true, false, false]]) }), [12, 12, 12])
  assert.throws(() => attention(q, k, v, sm.ones([3, 3])), /\{causal, padding, mask\}/)
  assert.throws(() => attention(q, k, v, { padding: sm.ones([3]) }), { message: /\[batch, keys\].*\[1, 3\], got \[3\]/, code: 'shape_mismatch' })
})

test('a mask that is a tensor forbids, in the classes of the original', () => {
  const mask = m.TransformerDecoderLayer.getSelfAttentionMask(3)
  assert.deepEqual([...mask.toUint8Array()], [0, 1, 1, 0, 0, 1, 0, 0, 0])
  const x = sm.randn([2, 3, 4])
  const original = new m.TransformerMultiheadAttention(4, 2, 5)
  assert.deepEqual(original.in_proj_weight.shape, [30, 4])
  close(original(x, x, x, mask), original(x, x, x, { causal: true }))
  const dot = new m.TransformerDotProductAttention(4)
  close(dot(x, x, x, mask), new m.DotProductAttention()(x, x, x, { causal: true }))
  assert.throws(() => dot(x, x, x, sm.ones([2, 2])), /must have shape \[3, 3\], got \[2, 2\]/)
})

test('attention of a sequence to itself is that of query, key and value', () => {
  const attention = new m.MultiheadAttention(6, 2)
  const x = sm.randn([2, 4, 6])
  close(attention(x, { causal: true }), attention(x, x, x.copy(), { causal: true }))
  close(attention(x).slice(0, 1, 2), attention(x.slice(0, 1, 2).squeeze(0)), 1e-5)
})

test('positional encodings by length, and added; longer sequences extend them', () => {
  const positions = new m.TransformerPositionalEncoding(3, 2)
  const expected = [0, 1, 2].flatMap((t) => [Math.sin(t), Math.cos(t), Math.sin(t / 10000 ** (2 / 3))])
  close(positions(3), expected)
  close(positions(sm.ones([1, 3, 3])), expected.map((value) => value + 1))
  assert.deepEqual(positions(100).shape, [100, 3])
  assert.deepEqual(Object.keys(positions.state()), [])
  const kept = sm.util.tidy(() => new m.TransformerPositionalEncoding(2, 1))
  sm.util.tidy(() => { kept(5) })
  close(kept(1), [0, 1])
})

test('an encoder sees no later step when causal; a decoder never does unless told', () => {
  const options = { feedforward: 8, dropout: 0 }
  const [x, memory] = [sm.randn([2, 4, 6]), sm.randn([2, 3, 6])]
  const changed = sm.concatenate([x.slice(1, 0, 2), sm.randn([2, 2, 6])], 1)
  const early = (y) => y.slice(1, 0, 2)
  const encoder = new m.TransformerEncoder(6, 2, 2, options)
  close(early(encoder(x, { causal: true })), early(encoder(changed, { causal: true })))
  assert.throws(() => close(early(encoder(x)), early(encoder(changed))))
  const decoder = new m.TransformerDecoder(6, 2, 2, options)
  close(early(decoder(x, memory)), early(decoder(changed, memory)))
  assert.throws(() => close(early(decoder(x, memory, {})), early(decoder(changed, memory, {}))))
})

test('transformers take the original\'s numbers, with its defaults, or options', () => {
  const original = new m.TransformerEncoder(6, 2, 1, 7, 12, 4)
  const [layer] = original.layers
  assert.deepEqual([layer.self_attn.in_proj_weight.shape, layer.linear1.weight.shape], [[42, 6], [6, 12]])
  const x = sm.randn([1, 5, 6])
  close(original(x), original.layers[0](x.add(new m.TransformerPositionalEncoding(6)(5))))
  const ours = new m.TransformerEncoder(6, 2, 1, { normFirst: true, activation: (x) => x.tanh() })
  assert.deepEqual([ours.layers[0].linear1.weight.shape, ours.norm.weight.shape], [[6, 2048], [6]])
  assert.equal(new m.TransformerEncoder(6, 2, 1, { positional: true, dropout: 0, feedforward: 4 })(x).ndim, 3)
  assert.throws(() => new m.TransformerEncoder(6, 2, 1, { heads: 3 }), /no option "heads"/)
})

// Backward against central differences along a random direction of each weight and input, in float64.
function checkGradients(module, inputs, call = module) {
  const leaves = [...module.namedParameters(), ...inputs.map((input, i) => [`input ${i}`, input.requireGrad()])]
  const output = call(...inputs)
  const weights = sm.rand(output.shape, 'float64').sub(0.5)
  output.backward(weights)
  const step = 1e-6
  for (const [name, leaf] of leaves) {
    assert.equal(leaf.dtype, sm.dtype.float64, name)
    const [before, direction] = [leaf.detach().copy(), sm.rand(leaf.shape, 'float64').sub(0.5)]
    const at = (scale) => sm.noGrad(() => {
      leaf.update(before.add(direction.mul(scale)))
      return call(...inputs).mul(weights).sum().toFloat64()
    })
    const difference = (at(step) - at(-step)) / 2 / step
    leaf.update(before)
    const found = leaf.grad.mul(direction).sum().toFloat64()
    assert.ok(Math.abs(found - difference) < 1e-6 * Math.max(1, Math.abs(difference)), `${name}: expected ${difference}, got ${found}`)
  }
}

test('gradients are exact', () => {
  sm.manual_seed(3)
  const noise = (...shape) => sm.rand(shape, 'float64').sub(0.5)
  const deep = { feedforward: 5, dropout: 0, activation: (x) => x.tanh(), ...f64 }
  checkGradients(new m.Linear(3, 4, f64), [noise(2, 3)])
  checkGradients(new m.Conv1d(2, 3, 3, { padding: 1, ...f64 }), [noise(2, 2, 5)])
  checkGradients(new m.Conv2d(2, 3, 2, { stride: 2, ...f64 }), [noise(2, 2, 4, 4)])
  checkGradients(m.avgPool2d(2), [noise(1, 2, 4, 4)])
  checkGradients(m.maxPool2d(2), [noise(1, 2, 4, 4)])
  checkGradients(new m.LayerNorm([2, 3], f64), [noise(4, 2, 3)])
  checkGradients(new m.RMSNorm([3], f64), [noise(4, 3)])
  checkGradients(new m.GroupNorm(2, 4, f64), [noise(2, 4, 3)])
  checkGradients(new m.BatchNorm2d(2, f64), [noise(2, 2, 2, 2)])
  const embedding = new m.Embedding(4, 2, f64)
  checkGradients(embedding, [], () => embedding(sm.tensor([1n, 3n, 1n])))
  const lstm = m.lstm(2, 3, { layers: 2, bidirectional: true, ...f64 })
  checkGradients(lstm, [noise(2, 3, 2), noise(4, 2, 3), noise(4, 2, 3)], (x, hidden, cell) => lstm(x, { hidden, cell }).output)
  const gru = m.gru(2, 3, f64)
  checkGradients(gru, [noise(2, 3, 2), noise(1, 2, 3)], (x, hidden) => gru(x, hidden).output)
  const attention = new m.MultiheadAttention(4, 2, f64)
  checkGradients(attention, [noise(2, 3, 4), noise(2, 2, 4), noise(2, 2, 4)])
  checkGradients(new m.TransformerEncoder(4, 2, 1, { ...deep, positional: true, normFirst: true }), [noise(2, 3, 4)])
  checkGradients(new m.TransformerDecoder(4, 2, 1, deep), [noise(2, 3, 4), noise(2, 2, 4)])
})

test('what doesn\'t fit is named, with what was expected', () => {
  const mistakes = [
    [() => new m.Linear(0, 3), /Linear: inputs must be a whole number of 1 or more, got 0/],
    [() => new m.Linear(2, 3, { biass: true }), /Linear: no option "biass", there is bias, dtype/],
    [() => new m.Linear(2, 3)(sm.ones([4])), /\[4\]/],
    [() => new m.Conv2d(3, 4, [1, 2, 3]), /Conv2d: kernel must have one size or 2, got \[1, 2, 3\]/],
    [() => new m.Conv1d(3, 4, 2, { groups: 2 }), /Conv1d: groups must divide inputs and outputs, got 2 for 3 and 4/],
    [() => new m.Conv2d(3, 4, 2)(sm.ones([1, 2, 4, 4])), /conv2d/],
    [() => new m.LayerNorm([]), /LayerNorm: cannot be applied to scalars/],
    [() => new m.LayerNorm([3])(sm.ones([2, 2])), /LayerNorm: the last axes must match module dimensions \[3\], got \[2, 2\]/],
    [() => new m.LayerNorm([3], 0), /LayerNorm: epsilon must be greater than 0, got 0/],
    [() => new m.RMSNorm([3])(sm.scalar(1)), /RMSNorm: .*\[3\], got \[\]/],
    [() => new m.GroupNorm(2, 3), /GroupNorm: groups must divide channels, got 2 for 3/],
    [() => new m.GroupNorm(2, 4)(sm.ones([1, 3])), /GroupNorm: expects \[N, C, ...\] with 4 channels, got \[1, 3\]/],
    [() => new m.BatchNorm2d(3)(sm.ones([2, 3])), /BatchNorm2d: expects \[N, C, H, W\] with 3 channels, got \[2, 3\]/],
    [() => new m.Dropout(1.5), /Dropout: a probability must be from 0 to 1, got 1.5/],
    [() => new m.Embedding(3, 2)(sm.tensor([3n])), /3/],
    [() => new m.LSTM(2, 3)(sm.ones([4, 5])), /LSTM: expects \[batch, time, 2\] of at least one step, got \[4, 5\]/],
    [() => new m.GRU(2, 3)(sm.ones([4, 5, 2]), sm.ones([4, 3])), /GRU: a state must have shape \[1, 4, 3\], got \[4, 3\]/],
    [() => new m.MultiheadAttention(5, 2), /MultiheadAttention: width must be divisible by the number of heads, got 5 for 2/],
    [() => new m.MultiheadAttention(4, 2)(sm.ones([2, 3])), /MultiheadAttention: expects \[..., time, 4\], got \[2, 3\]/],
    [() => new m.TransformerPositionalEncoding(3)(sm.ones([2, 2])), /expects \[..., time, 3\], got \[2, 2\]/],
    [() => new m.Sequential(3), /Sequential: expected a module or a function, got 3/],
  ]
  for (const [make, message] of mistakes) assert.throws(make, message)
})
