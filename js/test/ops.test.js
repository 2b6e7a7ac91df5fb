import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { native } from '../lib/native.js'
import { close } from './common.js'

const rows = native.table()
const names = rows.flatMap((row) => row.js.split(' ').map((name) => [name, row]))
const isTensor = (row) => row.args[0]?.kind === 'tensor'
const square = () => sm.tensor([[1, 2], [3, 4]])
const image = () => sm.ones([1, 1, 4, 4])
const whole = () => sm.tensor([[1, 2], [3, 4]], 'int32')

// Arguments for the operations that two 2 x 2 float tensors don't suit.
const samples = {
  zeros: [[2]], ones: [[2]], full: [[2], 3], arange: [0, 3], linspace: [0, 1, 3], identity: [2], rand: [[2]], randn: [[2]],
  clip: [square(), 0, 2], where: [square(), 1, 2], bitwiseNot: [whole()], bitwiseAnd: [whole(), whole()], bitwiseOr: [whole(), whole()],
  bitwiseXor: [whole(), whole()], lShift: [whole(), whole()], rShift: [whole(), whole()], sumTo: [square(), [2]], reshape: [square(), [4]],
  expand: [square(), [3, 2, 2]], unsqueeze: [square(), 0], slice: [square(), 0, 0, 1], unslice: [square(), [4, 2], 0, 1, 3],
  concatenate: [[square(), square()]], stack: [[square(), square()]], pad: [square(), [1, 0], [0, 1]], astype: [square(), 'int32'],
  conv2d: [image(), sm.ones([1, 1, 2, 2])], conv2dInputGradient: [sm.ones([1, 1, 3, 3]), sm.ones([1, 1, 2, 2]), [1, 1, 4, 4]],
  conv2dFilterGradient: [sm.ones([1, 1, 3, 3]), image(), [1, 1, 2, 2]], avgPool2d: [image(), 2],
  avgPool2dGradient: [sm.ones([1, 1, 2, 2]), [1, 1, 4, 4], 2], maxPool2d: [image(), 2], maxPool2dGradient: [sm.ones([1, 1, 2, 2]), image(), 2],
  maxPool2dGather: [image(), image(), 2], oneHot: [sm.tensor([0, 1], 'int64'), 2],
  take: [square(), [0, 1]], takeGradient: [square(), [0, 1], [3, 2]], embedding: [square(), [0, 1]],
  gather: [square(), [[0, 1]]], scatter: [square(), [[0, 1]], 5], scatterAdd: [square(), [[0, 1]], 5], topk: [square(), 1], cumsum: [square(), 0],
  tile: [square(), [2, 1]], roll: [square(), 1], split: [square(), 1], padConstant: [square(), [1, 0], [0, 1]], undiagonal: [sm.ones([2]), [2, 2]],
  batchNorm: [square(), sm.zeros([2]), sm.ones([2])],
  iota: [[2, 3], [2]], uniform: [[2]], normal: [[2]], bernoulli: [[2]], randint: [0, 5, [2]], randperm: [4],
  xavierUniform: [[2, 3]], xavierNormal: [[2, 3]], kaimingUniform: [[2, 3]], kaimingNormal: [[2, 3]], einsum: ['ij,jk->ik', square(), square()],
  conv1d: [sm.ones([1, 1, 4]), sm.ones([1, 1, 2])], avgPool1d: [sm.ones([1, 1, 4]), 2], maxPool1d: [sm.ones([1, 1, 4]), 2],
  groupNorm: [square(), 1], dropout: [square()],
  window: [square(), [0, 1], [2, 1], [1, 1]], assignWindow: [square(), 5, [0, 1], [2, 1], [1, 1]],
}

const outputs = (result, row) => {
  assert.equal(Array.isArray(result), row.many, row.name)
  return row.many ? result : [result]
}

function argumentsOf(row) {
  const given = row.js.split(' ').map((name) => samples[name]).find(Boolean)
  if (given) return given
  const needed = row.args.filter(({ optional, kind }) => !optional && kind !== 'tensor?')
  return needed.every(({ kind }) => kind === 'tensor') ? needed.map(square) : null
}

test('every operation is exported under each of its names', () => {
  assert.ok(names.length > 90)
  for (const [name] of names) assert.equal(typeof sm[name], 'function', name)
})

test('every operation on a tensor is a method under each of its names', () => {
  for (const [name, row] of names) assert.equal(typeof sm.Tensor.prototype[name], isTensor(row) ? 'function' : typeof sm.Tensor.prototype[name], name)
})

test('functions and methods give the same', () => {
  let called = 0
  for (const [name, row] of names) {
    const given = argumentsOf(row)
    if (!given) continue
    sm.manual_seed(1)
    const results = outputs(sm[name](...given), row)
    assert.ok(results.every((result) => result instanceof sm.Tensor), name)
    ++called
    if (!isTensor(row)) continue
    sm.manual_seed(1)
    outputs(given[0][name](...given.slice(1)), row).forEach((method, i) => {
      assert.deepEqual([method.shape, method.dtype], [results[i].shape, results[i].dtype], name)
      assert.deepEqual(method.valuesArray(), results[i].valuesArray(), name)
    })
  }
  assert.ok(called > 90)
})

test('numbers stand for tensors and adapt to their dtype', () => {
  const t = sm.tensor([1, 2])
  close(t.add(1), [2, 3])
  close(sm.sub(1, t), [0, -1])
  assert.equal(sm.tensor([1, 2], 'int32').mul(2).dtype, sm.dtype.Int32)
  assert.equal(sm.tensor([1, 2], 'uint8').mul(0.5).dtype, sm.dtype.Float32)
  assert.equal(sm.tensor([1.5]).add(1).dtype, sm.dtype.Float32)
  assert.equal(sm.tensor([1, 2]).pow(2).dtype, sm.dtype.Float32)
  assert.equal(sm.tensor([1], 'float64').add(0.5).dtype, sm.dtype.Float64)
  assert.equal(sm.where([true, false], 1, 2).dtype, sm.dtype.Float32)
  assert.equal(sm.add(1n, sm.tensor([1n])).dtype, sm.dtype.Int64)
})

test('arrays stand for tensors', () => {
  close(sm.tensor([1, 2]).add([3, 4]), [4, 6])
  close(sm.mul([1, 2], Float32Array.of(3, 4)), [3, 8])
  close(sm.concat([[1, 2], sm.tensor([3])]), [1, 2, 3])
  close(sm.where([true, false], [1, 2], 5), [1, 5])
})

test('optional arguments have their defaults', () => {
  const t = square()
  assert.deepEqual([t.sum().shape, t.sum([0]).shape, t.sum(0).shape, t.sum([0], true).shape], [[], [2], [2], [1, 2]])
  assert.deepEqual(t.sum(undefined, true).shape, [1, 1])
  assert.deepEqual(t.T().shape, [2, 2])
})

test('errors name the operation and what it got', () => {
  const fails = (run, code, message) => assert.throws(run, (error) => error instanceof sm.ShumaiError && error instanceof Error && error.code === code && message.test(error.message))
  fails(() => sm.zeros([3, 4]).matmul(sm.zeros([5, 6])), 'shape_mismatch', /matmul: inner sizes differ, got \[3, 4\] and \[5, 6\]/)
  fails(() => square().add('x'), 'invalid_argument', /add: other must be a tensor or a number, got "x"/)
  fails(() => square().add(), 'invalid_argument', /add: other must be .* got undefined/)
  fails(() => square().clip(0, 1, 2), 'invalid_argument', /clip: takes at most 3 arguments, got 4/)
  fails(() => sm.relu(null), 'invalid_argument', /relu: .* got null/)
  fails(() => square().reshape(), 'invalid_argument', /shape is missing/)
  fails(() => square().reshape('4'), 'invalid_argument', /shape/)
  fails(() => square().astype('float33'), 'dtype_mismatch', /float33/)
  fails(() => sm.concat(square()), 'invalid_argument', /array of tensors/)
  fails(() => square().sum(5), 'out_of_range', /axis/)
  assert.equal((() => { try { square().sum(5) } catch (error) { return error.status } })(), 400)
})
