import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, temporaryFolder } from './common.js'

const { optim } = sm
const leaf = (data) => sm.tensor(data, 'float64').requireGrad()
const along = (tensor, grad) => ({ 0: { tensor, grad: sm.tensor(grad, 'float64'), id: 0 } })
const values = (tensor) => [...tensor.toFloat64Array()]

const kinds = {
  SGD: () => new optim.SGD({ lr: 0.1, momentum: 0.9 }),
  Adam: () => optim.adam({ learningRate: 0.1, amsgrad: true }),
  AdamW: () => optim.adamW({ learningRate: 0.1 }),
  RMSprop: () => optim.rmsprop({ learningRate: 0.1, centered: true, momentum: 0.5 }),
}

for (const [name, make] of Object.entries(kinds)) {
  test(`${name} is a function, an object, and finds a minimum`, () => {
    const optimizer = make()
    assert.equal(optimizer.name, name)
    assert.ok(optimizer instanceof optim.Optimizer && optimizer instanceof optim[name])
    const w = leaf([2, -3])
    for (let i = 0; i < 200; ++i) optimizer(w.sub([1, 1]).square().sum().backward())
    optimizer.step(w.sub([1, 1]).square().sum().backward())
    close(w, [1, 1], 0.1)
    assert.equal(optimizer.steps, 201)
    assert.equal(w.grad, null)
  })

  test(`${name} continues bit by bit from its state`, (t) => {
    const gradient = (i) => [Math.sin(i), Math.cos(3 * i)]
    const train = (optimizer, w, from, to) => { for (let i = from; i < to; ++i) optimizer(along(w, gradient(i))) }
    const [first, second] = [make(), make()]
    const w = leaf([2, -3])
    train(first, w, 0, 5)
    const file = path.join(temporaryFolder(t), 'state.safetensors')
    sm.save(file, first.state({ w }))
    const resumed = w.copy().requireGrad()
    assert.equal(second.loadState(sm.load(file), [['w', resumed]]), second)
    assert.equal(second.steps, 5)
    train(first, w, 5, 12)
    train(second, resumed, 5, 12)
    assert.deepEqual(values(resumed), values(w))
  })
}

test('Adam moves by its learning rate at first', () => {
  const w = leaf([1, 1])
  optim.adam({ lr: 0.25 })(along(w, [3, -0.01]))
  close(w, [0.75, 1.25])
})

test('momentum sums decayed gradients', () => {
  const w = leaf([0])
  const sgd = new optim.SGD({ learningRate: 0.1, momentum: 0.5 })
  for (const g of [1, 2, 0]) sgd(along(w, [g]))
  close(w, -0.475)
})

test('an optimizer takes the promise of a backward pass, and its failure', async () => {
  const w = leaf(2)
  const remote = () => sm.withGradFn(w.detach(), [w], async ({ grad_in }) => grad_in.mul(3))
  const sgd = new optim.SGD({ learningRate: 0.1 })
  const update = sgd(remote().backward())
  assert.ok(update instanceof Promise)
  await update
  close(w, 1.7)
  await sgd(optim.clipGradNorm(remote().backward(), 1).then(({ gradients, totalNorm }) => { close(sm.scalar(totalNorm), 3); return gradients }))
  close(w, 1.6)
  await assert.rejects(sgd(Promise.reject(new Error('lost'))), /lost/)
})

test('state names the parameters of a module', () => {
  const layer = sm.module.linear(2, 1)
  const adam = optim.adam()
  adam(layer(sm.tensor([[1, 2]])).sum().backward())
  assert.deepEqual(Object.keys(adam.state(layer)).sort(), ['exp_avg/bias', 'exp_avg/weight', 'exp_avg_sq/bias', 'exp_avg_sq/weight', 'learning_rate', 'step/bias', 'step/weight', 'steps'])
  assert.throws(() => new optim.SGD({ momentum: 0.9 }).loadState(adam.state(layer), layer), /SGD: load_state: "exp_avg/)
  assert.throws(() => optim.adam().loadState(adam.state(layer), {}), (error) => error.code === 'not_found')
})

test('misspelt and impossible options are errors', () => {
  assert.throws(() => optim.adam({ beta: 1 }), /Adam: no option "beta", there is learningRate, betas/)
  assert.throws(() => optim.adam({ betas: [1, 0] }), /betas\[0\] must be 0 or more and below 1/)
  assert.throws(() => optim.adam({ betas: 1 }), /betas: expected two numbers/)
  assert.throws(() => optim.adam({ schedule: 3 }), /schedule must be a function/)
  assert.throws(() => new optim.SGD({ nesterov: true }), /nesterov needs a momentum/)
  assert.throws(() => optim.stepLR(0), /step_size must be 1 or more/)
  assert.throws(() => optim.oneCycleLR(1, 10, { start: 1 }), /no option "start"/)
})

test('a learning rate can be changed, and given for one update', () => {
  const w = leaf([0])
  const sgd = new optim.SGD({ learningRate: 1 })
  sgd.learningRate = 0.5
  sgd(along(w, [1]))
  sgd(along(w, [1]), 0.25)
  close(w, -0.75)
  assert.equal(sgd.learningRate, 0.5)
  assert.throws(() => { sgd.learningRate = -1 }, /learning_rate/)
})

test('schedules follow the step', () => {
  const rates = (schedule, count) => Array.from({ length: count }, (_, step) => schedule(step, 8))
  assert.deepEqual(rates(optim.stepLR(2, 0.5), 5), [8, 8, 4, 4, 2])
  assert.deepEqual(rates(optim.multiStepLR([1, 3], 0.5), 4), [8, 4, 4, 2])
  assert.deepEqual(rates(optim.exponentialLR(0.5), 3), [8, 4, 2])
  assert.deepEqual(rates(optim.constantLR(0.25, 1), 2), [2, 8])
  assert.deepEqual(rates(optim.linearLR(0.5, 1, 2), 4), [4, 6, 8, 8])
  assert.deepEqual(rates(optim.polynomialLR(2), 3), [8, 4, 0])
  close(sm.tensor(rates(optim.cosineAnnealingLR(2), 3)), [8, 4, 0])
  close(sm.tensor(rates(optim.cosineAnnealingWarmRestarts(2), 3)), [8, 4, 8])
  close(sm.tensor(rates(optim.oneCycleLR(1, 6, { pctStart: 0.5, linear: true, divFactor: 10, finalDivFactor: 10 }), 6)), [0.1, 0.55, 1, 0.67, 0.34, 0.01])
  assert.deepEqual(rates(optim.lambdaLR((step) => step), 3), [0, 8, 16])
  assert.deepEqual(rates(optim.sequentialLR([optim.linearLR(0.5, 1, 2), optim.exponentialLR(0.5)], [2]), 5), [4, 6, 8, 4, 2])
  assert.throws(() => optim.sequentialLR([optim.linearLR()], [2]), /1 schedules and 1 milestones/)
})

test('an optimizer follows its schedule, also after its state was loaded', () => {
  const schedule = optim.exponentialLR(0.5)
  const w = leaf([0])
  const first = new optim.SGD({ learningRate: 1, schedule })
  first(along(w, [1]))
  first(along(w, [1]))
  close(w, -1.5)
  const second = new optim.SGD({ schedule }).loadState(first.state({ w }), { w })
  assert.equal(second.learningRate, 0.25)
  second.schedule = undefined
  assert.equal(second.learningRate, 1)
})

test('gradients are clipped by norm and by value', () => {
  const w = leaf([0, 0])
  const found = along(w, [3, -4])
  const { gradients, totalNorm } = optim.clipGradNorm(found, 1)
  assert.equal(totalNorm, 5)
  close(gradients[0].grad, [0.6, -0.8])
  assert.equal(gradients[0].tensor, w)
  assert.equal(optim.clipGradNorm(found, 1, { normType: Infinity }).totalNorm, 4)
  close(optim.clipGradValue(found, 3.5)[0].grad, [3, -3.5])
  close(found[0].grad, [3, -4])
  assert.throws(() => optim.clipGradNorm(along(w, [NaN, 0]), 1, { errorIfNonfinite: true }), (error) => error.status === 422)
})

test('a served model can be trained by any optimizer', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const adam = optim.adam({ learningRate: 0.1 })
  const server = sm.io.serve_model((x) => x.mul(weight), adam, { port: 0 })
  t.after(() => server.stop())
  const model = sm.io.remote_model(server.url)
  for (let i = 0; i < 60; ++i) await sm.loss.mse(await model(sm.tensor([1, 2])), sm.tensor([3, 6])).backward()
  close(weight, 3, 0.3)
  assert.equal(adam.steps, 60)
})

const ln2 = Math.log(2)

test('losses reduce as they are told', () => {
  const [a, b] = [sm.tensor([1, 2, 5]), sm.tensor([1, 4, 1])]
  close(sm.loss.mse(a, b, { reduction: 'sum' }), 20)
  close(sm.loss.mae(a, b, { reduction: 'none' }), [0, 2, 4])
  close(sm.loss.huber(a, b, 3, { reduction: 'none' }), [0, 2, 7.5])
  close(sm.loss.smoothL1(a, b, 0), 2)
  close(sm.loss.mse([1, 2], 0), 2.5)
  assert.throws(() => sm.loss.mse(a, b, { reduction: 'most' }), /expected mean, sum, none or batchmean, got "most"/)
  assert.throws(() => sm.loss.mse(a, b, { reduce: 'sum' }), /mse: no option "reduce"/)
  assert.throws(() => sm.loss.mse(a), /mse: reference must be a tensor/)
})

test('losses of labels take weights, smoothing and labels to ignore', () => {
  const logs = sm.tensor([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]]).log()
  const labels = (...data) => sm.tensor(data, 'int64')
  close(sm.loss.nll(logs, labels(0, 2), { weight: sm.tensor([3, 1, 2]), reduction: 'sum' }), 5 * ln2)
  close(sm.loss.nll(logs, labels(0, 1), { ignoreIndex: 1 }), ln2)
  close(sm.loss.crossEntropyWithLogits(logs, labels(0, -100), { labelSmoothing: 0.3 }), 1.2 * ln2)
  close(sm.loss.crossEntropyWithLogits(logs, sm.tensor([[1, 0, 0], [0, 0, 1]])), ln2)
  close(sm.loss.klDiv(logs, logs, { logTarget: true, reduction: 'batchmean' }), 0)
  assert.throws(() => sm.loss.nll(logs, labels(0, 3)), (error) => error.code === 'out_of_range')
})

test('binary cross-entropy takes weights and survives certainty', () => {
  const y = sm.tensor([1, 0]), p = sm.tensor([0.5, 0.5])
  close(sm.loss.binaryCrossEntropy(y, p, { weight: [1, 3] }), 2 * ln2)
  close(sm.loss.binaryCrossEntropyWithLogits(sm.tensor([0, 0]), y, { positiveWeight: 3 }), 2 * ln2)
  const sure = sm.tensor([0, 1]).requireGrad()
  sm.loss.binaryCrossEntropy(y, sure, { reduction: 'sum' }).backward()
  assert.ok([...sure.grad.toFloat32Array()].every(Number.isFinite))
})

test('the gradient of a loss goes on into gradient functions of JavaScript', async () => {
  const x = sm.tensor([1, 2]).requireGrad()
  const y = sm.withGradFn(x.detach(), [x], ({ grad_in }) => grad_in.mul(2))
  await sm.loss.mse(y, sm.tensor([0, 0]), { reduction: 'sum' }).backward()
  close(x.grad, [4, 8])
})
