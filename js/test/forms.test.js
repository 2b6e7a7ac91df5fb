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

test('bytesUsed is a bigint and counts what is alive', () => {
  const before = sm.bytesUsed()
  const t = sm.tensor(new Float32Array(1000))
  assert.equal(sm.bytesUsed() - before, 4000n)
  t.dispose()
  assert.equal(sm.bytesUsed(), before)
})

test('tensor(file) reads a file with one tensor', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'one')
  ramp(2, 3).save(file)
  same(sm.tensor(file), ramp(2, 3))
  assert.equal(sm.tensor(file, 'int32').dtype, sm.dtype.Int32)
  sm.save(path.join(folder, 'two'), { a: ramp(1), b: ramp(2) })
  assert.throws(() => sm.tensor(path.join(folder, 'two')), /tensor: expected a file with one tensor, got 2/)
  assert.throws(() => sm.tensor(path.join(folder, 'none')), { code: 'not_found' })
})

test('opToFlops counts two for each product', () => {
  assert.equal(sm.opToFlops('matmul', [ramp(3, 4), ramp(4, 5)], ramp(3, 5)), 2 * 3 * 4 * 5)
  assert.equal(sm.opToFlops('conv2d', [ramp(2, 3, 5, 5), ramp(4, 3, 2, 2)], ramp(2, 4, 4, 4)), 2 * (3 * 2 * 2) * (2 * 4 * 4 * 4))
  assert.equal(sm.opToFlops('add', [ramp(3), 2, ramp(4, 3)], ramp(4, 3)), 12)
})
