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
  assert.deepEqual(values(x.pad([[0, 0], [1, 0]])), [0, 1, 2, 0, 3, 4])
  assert.deepEqual(values(x.pad([[0, 0], [0, 1]], 0, 'edge')), [1, 2, 2, 3, 4, 4])
  assert.deepEqual(values(x.tile([1, 2])), [1, 2, 1, 2, 3, 4, 3, 4])
  assert.throws(() => x.split(0), { code: 'invalid_argument', message: /split: expects one size above 0/ })
})

test('index takes numbers, slices, tensors and arrays', () => {
  const x = sm.arange(0, 24).reshape([2, 3, 4])
  assert.deepEqual(values(x.index([0, ':', '1:3'])), [1, 2, 5, 6, 9, 10])
  assert.deepEqual(x.index([-1]).shape, [3, 4])
  assert.equal(sm.index(x, [1, 2, 3]).toFloat32(), 23)
  assert.deepEqual(values(x.index([1n, 0, '::-1'])), [15, 14, 13, 12])
  assert.deepEqual(values(x.index(['...', 0])), [0, 4, 8, 12, 16, 20])
  assert.deepEqual(values(x.index([0, [2, 0], 1])), [9, 1])
  assert.deepEqual(values(x.index([0, 0, [true, false, false, true]])), [0, 3])
  assert.deepEqual(values(x.index([x.gt(21)])), [22, 23])
  assert.throws(() => x.index([2]), { code: 'out_of_range', message: /position 2 is out of range for axis 0 of size 2/ })
  assert.throws(() => x.index(0), { message: /index: expected an array with a spec for each axis/ })
  assert.throws(() => x.index([null]), { message: /got null/ })
  assert.throws(() => x.index([1.5]), { code: 'invalid_argument' })
})

test('indexedAssign gives a new tensor, and gradients reach both', () => {
  const x = sm.zeros([2, 3]).requireGrad()
  const value = sm.tensor([7, 8]).requireGrad()
  const out = x.indexedAssign(value, [':', 1])
  assert.deepEqual([values(out), values(x)], [[0, 7, 0, 0, 8, 0], [0, 0, 0, 0, 0, 0]])
  out.mul(sm.tensor([[1, 2, 3], [4, 5, 6]])).sum().backward()
  assert.deepEqual([values(x.grad), values(value.grad)], [[1, 0, 3, 4, 0, 6], [2, 5]])
  assert.deepEqual(values(sm.indexedAssign(sm.zeros([3]), 5, ['1:'])), [0, 5, 5])
  assert.deepEqual(values(sm.zeros([3], 'int32').indexedAssign(5, [[0, 2]])), [5, 0, 5])
  assert.deepEqual(values(sm.zeros([128]).indexedAssign(sm.ones([1]), [7])).indexOf(1), 7)
})
