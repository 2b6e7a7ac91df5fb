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
