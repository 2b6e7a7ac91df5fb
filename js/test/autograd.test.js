import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close } from './common.js'

const leaf = (data) => sm.tensor(data).requireGrad()

test('backward names the very leaf, and sets its gradient', () => {
  const weight = sm.scalar(2)
  weight.requires_grad = true
  const found = sm.tensor([1, 2]).mul(weight).sum().backward()
  const entries = Object.values(found)
  assert.equal(entries.length, 1)
  assert.equal(entries[0].tensor, weight)
  close(entries[0].grad, 3)
  close(weight.grad, 3)
  assert.equal(weight.grad.requires_grad, false)
})

test('each leaf is an entry of its own', () => {
  const [a, b] = [leaf([2]), leaf([3])]
  const found = Object.values(a.mul(b).backward())
  assert.deepEqual(new Set(found.map(({ tensor }) => tensor)), new Set([a, b]))
  close(a.grad, [3])
  close(b.grad, [2])
})

test('grad is null before backward, the same object while it is the same, and can be set', () => {
  const w = leaf([2])
  assert.equal(w.grad, null)
  w.mul(3).backward()
  const first = w.grad
  assert.equal(w.grad, first)
  w.grad = sm.tensor([7])
  assert.notEqual(w.grad, first)
  close(w.grad, [7])
  w.grad = null
  assert.equal(w.grad, null)
  assert.throws(() => { w.grad = 1 }, /grad: expected a tensor, got 1/)
})

test('a disposed grad object is made anew', () => {
  const w = leaf([2])
  w.mul(3).backward()
  w.grad.dispose()
  close(w.grad, [3])
})

test('the jacobian may be a tensor, a number or an array', () => {
  for (const jacobian of [sm.tensor([1, 10]), [1, 10]]) {
    const w = leaf([1, 1])
    w.mul([2, 3]).backward(jacobian)
    close(w.grad, [2, 30])
  }
  const w = sm.scalar(1).requireGrad()
  w.mul(2).backward(5)
  close(w.grad, 10)
  assert.throws(() => leaf([1, 2]).mul(2).backward(sm.tensor([1, 2, 3])), sm.ShumaiError)
})

test('a graph is consumed unless it is retained', () => {
  const w = leaf([2])
  const y = w.mul(w)
  y.backward(undefined, { retainGraph: true })
  close(w.grad, [4])
  y.backward()
  assert.throws(() => y.backward(), sm.ShumaiError)
})

test('gradients can be differentiated again', () => {
  const x = leaf([3])
  const [{ grad }] = Object.values(x.mul(x).mul(x).backward(undefined, { createGraph: true }))
  close(grad, [27])
  const [{ tensor, grad: second }] = Object.values(grad.backward())
  assert.equal(tensor, x)
  close(second, [18])
})

test('noGrad records nothing, nests, and recovers from a throw', () => {
  const w = leaf([2])
  sm.noGrad(() => {
    assert.equal(w.mul(2).requires_grad, false)
    sm.noGrad(() => {})
    assert.equal(w.mul(2).requires_grad, false)
  })
  assert.throws(() => sm.noGrad(() => { throw new Error('inside') }), /inside/)
  assert.equal(w.mul(2).requires_grad, true)
  assert.throws(() => sm.noGrad(async () => {}), /noGrad/)
})

test('detach cuts the graph and shares the values', () => {
  const w = leaf([2])
  const cut = w.mul(3).detach()
  assert.equal(cut.requires_grad, false)
  close(cut, [6])
})

test('a captured graph keeps the weights that it saw', () => {
  const w = sm.scalar(2).requireGrad()
  const x = leaf([5])
  const y = x.mul(w)
  w.update(sm.scalar(100))
  y.backward()
  close(x.grad, [2])
  close(w, 100)
})

test('sgd moves the weights against their gradients', () => {
  const w = sm.scalar(1).requireGrad()
  assert.equal(sm.optim.sgd(w.mul(3).backward(), 0.1), undefined)
  close(w, 0.7)
})

test('two trainers of one weight each differentiate what they saw', () => {
  const w = sm.scalar(1).requireGrad()
  const [a, b] = [w.mul(w), w.mul(w)]
  sm.optim.sgd(a.backward(), 0.25)
  close(w, 0.5)
  sm.optim.sgd(b.backward(), 0.25)
  close(w, 0)
})

test('withGradFn calls its function with the gradient and continues with what it returns', async () => {
  const x = leaf([1, 2])
  const seen = []
  const y = sm.withGradFn(sm.tensor([10, 20]), [x], async (grad) => {
    seen.push(grad)
    return grad.grad_in.mul(2)
  })
  const pass = y.mul(3).sum().backward()
  assert.equal(typeof pass.then, 'function')
  const found = Object.values(await pass)
  assert.equal(found[0].tensor, x)
  close(x.grad, [6, 6])
  close(seen[0].grad_in, [3, 3])
  close(seen[0].forward_output, [10, 20])
  close(seen[0].forward_inputs[0], [1, 2])
  assert.equal(seen[0].backward_input, seen[0].grad_in)
})

test('independent branches of an async backward run at the same time', async () => {
  let running = 0
  let open
  const both = new Promise((resolve) => { open = resolve })
  const branch = () => sm.withGradFn(sm.tensor([1]), [], async () => {
    if (++running === 2) open()
    await both
  })
  await branch().add(branch()).backward()
  assert.equal(running, 2)
})

test('an error of a gradient function rejects the backward', async () => {
  const x = leaf([1])
  const y = sm.withGradFn(sm.tensor([1]), [x], () => { throw new RangeError('no way back') })
  await assert.rejects(async () => y.backward(), /no way back/)
  const wrong = sm.withGradFn(sm.tensor([1]), [x], () => 'text')
  await assert.rejects(async () => wrong.backward(), /expected a tensor or nothing/)
  const shape = sm.withGradFn(sm.tensor([1]), [x], () => sm.tensor([1, 2]))
  await assert.rejects(async () => shape.backward(), /shape/)
  assert.throws(() => sm.withGradFn(sm.tensor([1]), [], 5), /expected a function/)
})

test('sgd takes the promise of a backward', async () => {
  const w = sm.scalar(1).requireGrad()
  const y = sm.withGradFn(sm.scalar(2), [w], ({ grad_in }) => grad_in.mul(3))
  await sm.optim.sgd(y.backward(), 0.1)
  close(w, 0.7)
  const again = sm.withGradFn(sm.scalar(2), [w], ({ grad_in }) => grad_in.mul(3))
  sm.optim.sgd(await again.backward(), 0.1)
  close(w, 0.4)
})

test('losses are differentiable in both of their forms', () => {
  const y = sm.tensor([1, 2])
  const p = leaf([1.5, 1])
  close(sm.loss.mse(p, y), (0.25 + 1) / 2)
  close(sm.loss.mae(p, y), 0.75)
  close(sm.loss.mae()(p, y), 0.75)
  close(sm.loss.huber(p, y, 0.5), (0.125 + 0.375) / 2)
  sm.loss.mse(p, y).backward()
  close(p.grad, [0.5, -1])
  const probabilities = sm.tensor([[0.25, 0.75]])
  close(sm.loss.crossEntropy(sm.tensor([[0, 1]]), probabilities), -Math.log(0.75))
  close(sm.loss.crossEntropyWithLogits(sm.log(probabilities), sm.tensor([1], 'int64')), -Math.log(0.75))
  close(sm.loss.binaryCrossEntropy(sm.tensor([1, 0]), sm.tensor([0.5, 0.25])), -(Math.log(0.5) + Math.log(0.75)) / 2)
  close(sm.loss.binaryCrossEntropyWithLogits(sm.tensor([0]), sm.tensor([1])), Math.log(2))
})
