import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, temporaryFolder } from './common.js'

const ramp = (...shape) => sm.arange(0, shape.reduce((product, size) => product * size, 1)).reshape(shape)
const same = (a, b) => {
  assert.deepEqual(a.shape, b.shape)
  close(a, b, 1e-4)
}

test('conv2d takes the original\'s numbers, x being the last axis', () => {
  const [x, w] = [ramp(1, 2, 7, 8), ramp(2, 1, 3, 2)]
  same(sm.conv2d(x, w, 2, 1, 1, 0, 3, 1, 2), sm.conv2d(x, w, null, [1, 2], [0, 1], [1, 3], 2))
  same(x.conv2d(w, 1, 1, 0, 0, 1, 1, 2), sm.conv2d(x, w, undefined, 1, 0, 1, 2))
  same(x.conv2d(w, [5, 6], 1, 0, 1, 2), x.conv2d(w, 1, 1, 0, 0, 1, 1, 2).add(sm.tensor([[[5]], [[6]]])))
})

test('conv2dBackwardData and conv2dBackwardFilter are the gradients of conv2d', () => {
  const numbers = [2, 1, 1, 0, 1, 2, 2]
  const [x, w] = [ramp(2, 2, 6, 5).requireGrad(), ramp(4, 1, 2, 3).requireGrad()]
  const y = sm.conv2d(x, w, ...numbers)
  const jacobian = ramp(...y.shape)
  y.backward(jacobian)
  same(sm.conv2dBackwardData(jacobian, x, w, ...numbers), x.grad)
  same(sm.conv2dBackwardFilter(jacobian, x, w, ...numbers), w.grad)
})

test('two numbers are a pool\'s kernel, and its strides are 1', () => {
  const x = ramp(1, 1, 4, 6)
  for (const name of ['avgPool2d', 'maxPool2d']) {
    same(x[name](2, 3), sm[name](x, [2, 3], 1))
    same(sm[name](x, 2, 2, 3, 1), x[name](2, [1, 3]))
    same(x[name](2), x[name]([2, 2], [2, 2]))
    assert.throws(() => x[name](2, 2, '1'), { code: 'invalid_argument', message: new RegExp(`${name}: expected up to 4 numbers`) })
  }
  assert.throws(() => sm.conv2d(x, x, 1, [1, 1]), /conv2d: expected up to 7 numbers in this form, got number, object/)
})

test('valueOf gives a number, or all elements', () => {
  assert.equal(sm.scalar(3) + 1, 4)
  assert.deepEqual(sm.tensor([[1, 2], [3, 4]]).valueOf(), Float32Array.of(1, 2, 3, 4))
  assert.deepEqual(sm.tensor([1n, 2n]).valueOf(), BigInt64Array.of(1n, 2n))
  assert.deepEqual(sm.tensor([1, 2.5], 'bfloat16').valueOf(), Float32Array.of(1, 2.5))
  const halves = sm.tensor([1, 1 + 2 ** -11, 2.5], 'float16').valueOf()
  assert.ok(halves instanceof sm.util.Float16Array)
  assert.deepEqual(Array.from(halves), [1, 1, 2.5])
})

test('a Float16Array becomes a float16 tensor and comes back rounded', () => {
  const t = sm.tensor(new sm.util.Float16Array([1, 2.5, -0.1]))
  assert.equal(t.dtype, sm.dtype.Float16)
  close(t, [1, 2.5, -0.0999755859375], 0)
  assert.deepEqual(Array.from(sm.tensor([0.1]).toFloat16Array()), [0.0999755859375])
  assert.equal(sm.tensor(new sm.util.Float16Array([1]), 'float64').dtype, sm.dtype.Float64)
})

test('tensor(file) reads a file with one tensor', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'one')
  ramp(2, 3).save(file)
  same(sm.tensor(file), ramp(2, 3))
  assert.equal(sm.tensor(file, 'int32').dtype, sm.dtype.Int32)
  sm.save(path.join(folder, 'two'), { a: ramp(1), b: ramp(2) })
  assert.throws(() => sm.tensor(path.join(folder, 'two')), /expected one tensor in .*two", got 2: a, b/)
  assert.throws(() => sm.tensor(path.join(folder, 'none')), { code: 'not_found' })
})

test('opToFlops counts two for each product', () => {
  assert.equal(sm.opToFlops('matmul', [ramp(3, 4), ramp(4, 5)], ramp(3, 5)), 2 * 3 * 4 * 5)
  assert.equal(sm.opToFlops('conv2d', [ramp(2, 3, 5, 5), ramp(4, 3, 2, 2)], ramp(2, 4, 4, 4)), 2 * (3 * 2 * 2) * (2 * 4 * 4 * 4))
  assert.equal(sm.opToFlops('add', [ramp(3), 2, ramp(4, 3)], ramp(4, 3)), 12)
})

test('sizes and axes may be bigints or a BigInt64Array', () => {
  const x = ramp(2, 3)
  assert.deepEqual(sm.zeros(BigInt64Array.of(2n, 3n)).shape, [2, 3])
  assert.deepEqual(x.reshape([3n, 2n]).shape, [3, 2])
  same(x.sum(BigInt64Array.of(1n), true), x.sum([1], true))
  same(x.reshape(sm.zeros([6, 1]).shape64), x.reshape([6, 1]))
  assert.throws(() => sm.zeros(Float32Array.of(1.5)), /whole number/)
})

test('clip takes tensors as bounds', () => {
  const x = ramp(2, 3).requireGrad()
  const y = sm.clip(x, sm.tensor([1]), sm.full([3], 4))
  close(y, [1, 1, 2, 3, 4, 4])
  y.sum().backward()
  close(x.grad.index([0, 0]), 0)
  close(x.clamp(sm.scalar(2), 3), [2, 2, 2, 3, 3, 3])
  close(x.clamp(2, 3), [2, 2, 2, 3, 3, 3])
})

test('variance tells the original\'s bias from a correction', () => {
  const x = sm.tensor([[1, 3], [5, 9]])
  same(x.variance([1], true, false), sm.tensor([1, 4]))
  same(sm.var(x, [1], false, true), sm.tensor([[2], [8]]))
  same(sm.variance(x, [1], true, 0), sm.tensor([[1], [4]]))
})

test('T exchanges the last two axes, and makes a column of a vector', () => {
  assert.deepEqual([sm.scalar(1), ramp(2), ramp(2, 3), ramp(2, 3, 4)].map((x) => x.T().shape), [[], [2, 1], [3, 2], [2, 4, 3]])
  same(ramp(2, 3, 4).T(), ramp(2, 3, 4).transpose([0, 2, 1]))
  assert.deepEqual(ramp(2, 3, 4).T([2, 0, 1]).shape, [4, 2, 3])
})

test('a dtype\'s name is found by its code', () => {
  assert.equal(sm.dtype[sm.zeros([1]).dtype], 'Float32')
  assert.equal(sm.dtype[sm.dtype.int64], 'Int64')
  assert.throws(() => sm.zeros([1], '11'), { code: 'dtype_mismatch' })
})

test('an element is read as the type that was asked for', () => {
  const x = sm.scalar(-3.75)
  assert.deepEqual([x.toInt8(), x.toInt16(), x.toInt32(), x.toFloat16(), x.toFloat32(), x.toFloat64()], [-3, -3, -3, -3.75, -3.75, -3.75])
  assert.equal(sm.scalar(0.1, 'float64').toFloat32(), Math.fround(0.1))
  assert.equal(sm.scalar(0.1, 'float64').toFloat64(), 0.1)
  assert.equal(sm.scalar(0.1).toFloat16(), 0.0999755859375)
  assert.equal(sm.scalar(300, 'int32').toUint8(), sm.scalar(300, 'int32').toUint8Array()[0])
  assert.throws(() => ramp(2).toInt32(), /item/)
})

test('Adam takes the original\'s numbers', () => {
  const step = (optimizer) => {
    const weight = sm.scalar(1).requireGrad()
    for (const factor of [2, -1]) optimizer(weight.mul(factor).backward())
    return weight
  }
  close(step(new sm.optim.Adam(0.1, 0.5, 0.7, 1e-3)), step(sm.optim.adam({ learningRate: 0.1, betas: [0.5, 0.7], eps: 1e-3 })), 0)
  assert.equal(sm.optim.adam(0.1).learningRate, 0.1)
  assert.throws(() => new sm.optim.SGD(0.1), { code: 'invalid_argument', message: /SGD: expected an object of options, got 0\.1/ })
})

test('new Tensor(data) is tensor(data)', () => {
  same(new sm.Tensor(Float32Array.of(1, 2)), sm.tensor([1, 2]))
  assert.ok(new sm.Tensor([[1, 2]]) instanceof sm.Tensor)
  assert.equal(new sm.Tensor(3).toFloat32(), 3)
})

test('norm takes axes before p, as the original', () => {
  const x = sm.tensor([[3, -4], [6, 8]])
  close(x.norm([1], 1), [7, 14])
  close(sm.norm(x, [0], -Infinity, true), [3, 4])
  close(sm.norm(x, []), Math.sqrt(125))
  close(sm.norm(x, 1, [1]), [7, 14])
  assert.deepEqual(sm.norm(x, [1], 2, true).shape, [2, 1])
})
