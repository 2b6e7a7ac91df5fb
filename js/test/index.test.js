import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'

const values = (t) => Array.from(t.valuesArray(), Number)

test('take and embedding read indices from arrays, numbers and tensors', () => {
  const x = sm.tensor([[1, 2], [3, 4], [5, 6]])
  assert.deepEqual(values(x.take([2, 0])), [5, 6, 1, 2])
  assert.deepEqual(values(x.take(-1)), [5, 6])
  assert.deepEqual(values(sm.take(x, new Int32Array([1]), 1)), [2, 4, 6])
  assert.deepEqual(sm.embedding(x, [[0, 1]]).shape, [1, 2, 2])
  assert.throws(() => x.take([3]), { code: 'out_of_range', message: /index 3 is out of range for an axis of size 3/ })
  assert.throws(() => x.take([true, false, true]), { message: /take: expects integer indices, got bool/ })
})

test('gradients of repeated indices add up', () => {
  const weight = sm.ones([3, 2]).requireGrad()
  sm.embedding(weight, [2, 2, 0]).sum().backward()
  assert.deepEqual(values(weight.grad), [1, 1, 0, 0, 2, 2])
})

test('topk and split give arrays of tensors, with gradients', () => {
  const x = sm.tensor([[3, 1, 2], [4, 6, 5]]).requireGrad()
  const [best, places] = x.topk(2)
  assert.deepEqual([values(best), values(places)], [[3, 2, 6, 5], [0, 2, 1, 2]])
  assert.equal(places.dtype, sm.dtype.Int64)
  best.sum().backward()
  assert.deepEqual(values(x.grad), [1, 0, 1, 0, 1, 1])
  const parts = sm.split(x, [1, 2], 1)
  assert.deepEqual(parts.map((part) => part.shape), [[2, 1], [2, 2]])
  assert.deepEqual(sm.util.tidy(() => x.split(2, 1)).map((part) => part.shape), [[2, 2], [2, 1]])
})

test('sort, argsort, median and scans', () => {
  const x = sm.tensor([[3, 1, 2], [4, 6, 5]])
  assert.deepEqual(values(x.sort(1)), [1, 2, 3, 4, 5, 6])
  assert.deepEqual(values(x.argsort(-1, true)), [0, 2, 1, 1, 2, 0])
  assert.deepEqual([x.median().toFloat32(), values(x.median(0))], [3, [3, 1, 2]])
  assert.deepEqual(values(x.cumsum(1)), [3, 4, 6, 4, 10, 15])
  assert.deepEqual([x.prod().toFloat32(), sm.countNonzero(x.gt(2)).toInt32()], [720, 4])
  assert.deepEqual([values(sm.nonzero(x.gt(4))), x.gt(9).nonzero().shape], [[1, 1, 1, 2], [0, 2]])
})

test('what is masked, scattered and moved', () => {
  const x = sm.tensor([[1, 2], [3, 4]])
  assert.deepEqual(values(x.maskedSelect([[true, false], [false, true]])), [1, 4])
  assert.deepEqual(values(x.maskedFill([true, false], -Infinity)), [-Infinity, 2, -Infinity, 4])
  assert.deepEqual(values(x.scatterAdd([[0, 0], [0, 0]], sm.ones([2, 2]))), [3, 4, 3, 4])
  assert.deepEqual(values(x.gather([[1], [0]], 1)), [2, 3])
  assert.deepEqual(values(x.flip(1)), [2, 1, 4, 3])
  assert.deepEqual(values(x.roll(1, 0)), [3, 4, 1, 2])
  assert.deepEqual(values(x.tril()), [1, 0, 3, 4])
  assert.deepEqual(values(sm.tensor([1, 2, 3]).pad(2, 1, 0, 'reflect')), [3, 2, 1, 2, 3, 2])
  assert.deepEqual(values(x.tile([1, 2])), [1, 2, 1, 2, 3, 4, 3, 4])
  assert.throws(() => x.split(0), { code: 'invalid_argument', message: /split: expects one size above 0/ })
})
