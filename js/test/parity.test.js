import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close } from './common.js'

// The operations of the original Shumai and of what its users expect beside them, by family.
const functions = {
  make: 'tensor scalar full identity ident eye arange iota rand randn xavier_uniform xavier_normal zeros ones linspace manual_seed',
  shape: 'reshape transpose tile concatenate concat stack split pad squeeze unsqueeze flip roll triu tril expand',
  pointwise: 'add sub mul div mod pow power maximum minimum negative negate abs absolute exp log log1p sqrt sin cos tanh sigmoid erf floor ' +
    'ceil rint sign clip clamp where relu relu6 leakyRelu elu gelu swish silu thresholdRelu hardTanh softmax logSoftmax',
  compare: 'eq neq lt lessThan lte lessThanEqual gt greaterThan gte greaterThanEqual logicalAnd logicalOr logicalNot bitwiseAnd bitwiseOr ' +
    'bitwiseXor bitwiseNot lShift rShift isnan isinf isfinite',
  reduce: 'sum mean median variance var std norm normalize amax amin argmax argmin all any countNonzero nonzero cumsum sort argsort topk logsumexp',
  products: 'matmul mm einsum',
  nets: 'conv2d conv1d avgPool2d maxPool2d embedding dropout',
  index: 'index indexedAssign gather scatter take',
}
const notMethods = new Set([...functions.make.split(' '), 'concatenate', 'concat', 'stack', 'einsum'])

for (const [family, list] of Object.entries(functions))
  test(`every ${family} operation exists as a function and a method`, () => {
    for (const name of list.split(' ')) {
      assert.equal(typeof sm[name], 'function', name)
      if (!notMethods.has(name)) assert.equal(typeof sm.Tensor.prototype[name], 'function', `method ${name}`)
    }
  })

test('einsum takes its tensors one by one or in an array', () => {
  const a = sm.tensor([[1, 2], [3, 4]])
  const b = sm.tensor([[5, 6], [7, 8]])
  close(sm.einsum('ij,jk->ik', a, b), [19, 22, 43, 50])
  close(sm.einsum('ij,jk->ik', [a, b]), [19, 22, 43, 50])
  close(sm.einsum('ij->j', [[1, 2], [3, 4]]), [4, 6])
  assert.equal(sm.einsum('ii', a).valueOf(), 5)
  assert.throws(() => sm.einsum('ij,jk->ik', a), /einsum: "ij,jk->ik" has 2 operands, got 1/)
})

test('einsum is differentiated with respect to each tensor', () => {
  const a = sm.tensor([1, 2]).requireGrad()
  const b = sm.tensor([3, 4]).requireGrad()
  sm.einsum('i,i->', a, b).backward()
  close(a.grad, [3, 4])
  close(b.grad, [1, 2])
})

test('activations take their parameters as the original does', () => {
  const x = sm.tensor([-10, 10])
  close(sm.leakyRelu(x, 0.1), [-1, 10])
  close(sm.swish(x, 1e-3), [-4.975, 5.025])
  close(sm.thresholdRelu(sm.tensor([-5, 0.5, 5])), [0, 0, 5])
  close(sm.hardTanh(x), [-1, 1])
  close(sm.relu6(x), [0, 6])
  close(x.gelu('tanh'), [0, 10])
})

test('iota counts and tiles', () => {
  const t = sm.iota([2, 2], [2])
  assert.deepEqual(t.shape, [2, 4])
  close(t, [0, 1, 0, 1, 2, 3, 2, 3])
})

test('initial weights take the fans of the original or count their own', () => {
  sm.manual_seed(1)
  const bound = (t) => Math.max(...t.abs().toFloat32Array())
  assert.ok(bound(sm.xavier_uniform([1000], 30, 70)) <= Math.sqrt(6 / 100))
  assert.ok(bound(sm.xavier_uniform([30, 70])) <= Math.sqrt(6 / 100))
  assert.ok(bound(sm.kaimingUniform([30, 70])) <= Math.sqrt(6 / 70))
})

test('norms take p, axes and keepDims', () => {
  const t = sm.tensor([[3, 4], [6, 8]])
  close(t.norm(2, [1]), [5, 10])
  close(t.norm(1, 0), [9, 12])
  close(t.norm(Infinity), [8])
  assert.deepEqual(t.norm(2, [1], true).shape, [2, 1])
  close(t.normalize(), [0.6, 0.8, 0.6, 0.8])
})

test('attention masks what a boolean mask leaves out', () => {
  const q = sm.ones([1, 2])
  const v = sm.tensor([[1], [2]])
  const mask = sm.tensor([[true, false]])
  close(sm.attention(q, sm.ones([2, 2]), v, mask), [1])
  close(q.attention(sm.ones([2, 2]), v), [1.5])
})
