import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, temporaryFolder } from './common.js'

class Net extends sm.module.Module {
  scale = sm.scalar(2).requireGrad()
  constant = sm.scalar(1)
  layers = [sm.module.linear(2, 3), sm.module.linear(3, 1)]
  constructor(name) {
    super()
    this.name = name
    this.length = 5
  }
  forward(x) {
    return this.layers[1](this.layers[0](x).relu()).mul(this.scale)
  }
}

test('a module is called like a function, and is what its class says', () => {
  const net = new Net('mine')
  assert.deepEqual(net(sm.ones([4, 2])).shape, [4, 1])
  assert.ok(net instanceof Net && net instanceof sm.module.Module && net instanceof Function)
  assert.deepEqual([net.name, net.length], ['mine', 5])
  close(net(sm.ones([4, 2])), net.forward(sm.ones([4, 2])))
})

test('parameters are found in modules and arrays, without constants', () => {
  const names = [...new Net('x').namedParameters()].map(([name]) => name)
  assert.deepEqual(names, ['scale', 'layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias'])
  assert.equal(new Net('x').parameters().length, 5)
})

test('a module without forward says whose it is missing', () => {
  class Empty extends sm.module.Module {}
  assert.throws(() => new Empty()(1), /Empty: .*forward/)
})

test('parameters are saved and loaded', (t) => {
  const file = `${temporaryFolder(t)}/net.safetensors`
  const [a, b] = [new Net('a'), new Net('b')]
  const x = sm.randn([5, 2])
  a.save(file)
  assert.equal(b.load(file), b)
  close(b(x), a(x), 0)
  class Other extends sm.module.Module {
    more = sm.scalar(1).requireGrad()
  }
  assert.throws(() => new Other().load(file), /Other: "more" is missing/)
})

test('sequential runs modules and functions one after another', () => {
  const net = sm.module.sequential(sm.module.linear(2, 3), sm.relu, (x) => x.sum())
  assert.deepEqual(net(sm.ones([4, 2])).shape, [])
  assert.equal(net.parameters().length, 2)
})

test('a max pool comes before the relu that it follows, where that is the same', () => {
  const networks = [sm.module.sequential(sm.relu, sm.module.maxPool2d(2)), sm.module.fromJSON({ layers: ['relu', { layer: 'MaxPool2d', kernel: 2 }] })]
  for (const net of networks) {
    const [x, y] = [0, 1].map(() => sm.arange(0, 32).sub(20).mul(sm.tensor([1, -1, 1, 1]).tile([8])).reshape([1, 2, 4, 4]).requireGrad())
    let out
    const stats = sm.collectStats(() => (out = net(x)))
    assert.equal(stats.statsByOp.get('relu').bytes, 32n)
    const expected = y.relu().maxPool2d(2)
    assert.deepEqual(out.toFloat32Array(), expected.toFloat32Array())
    out.sum().backward()
    expected.sum().backward()
    assert.deepEqual(x.grad.toFloat32Array(), y.grad.toFloat32Array())
  }
  class Mine extends sm.module.MaxPool2d {
    forward(x) {
      return super.forward(x).add(-1)
    }
  }
  assert.deepEqual([...sm.module.sequential(sm.relu, new Mine(1))(sm.zeros([1, 1, 1, 1])).toFloat32Array()], [-1])
})

test('a small network learns', () => {
  sm.manual_seed(1)
  const net = sm.module.sequential(sm.module.linear(2, 16), sm.relu, sm.module.linear(16, 1))
  const x = sm.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
  const y = sm.tensor([[0], [1], [1], [0]])
  let loss
  for (let i = 0; i < 500; ++i) {
    loss = sm.loss.mse(net(x), y)
    sm.optim.sgd(loss.backward(), 0.1)
  }
  assert.ok(loss.toFloat32() < 0.05, `loss ${loss.toFloat32()}`)
})

class Everything extends sm.module.Module {
  weight = sm.ones([2]).requireGrad()
  average = sm.zeros([2])
  list = [[sm.scalar(1).requireGrad()], { deep: sm.module.linear(1, 1) }]
  map = new Map([['first', sm.module.linear(1, 1)], [2, sm.scalar(2).requireGrad()]])
  inner = sm.module.sequential(sm.relu, sm.module.linear(1, 1))
  #hidden = sm.ones([3])
  constructor() {
    super()
    this.inner.parent = this
    this.again = this.weight
    this.result = this.weight.mul(2)
  }
  forward(x) {
    return x.add(this.#hidden)
  }
}

test('tensors and modules are found in arrays, maps and objects, by name', () => {
  const net = new Everything()
  const names = Array.from(net.namedParameters(), ([name]) => name)
  assert.deepEqual(names, ['weight', 'list.0.0', 'list.1.deep.weight', 'list.1.deep.bias', 'map.first.weight', 'map.first.bias', 'map.2', 'inner.1.weight', 'inner.1.bias'])
  assert.deepEqual(Array.from(net.namedBuffers()), [['average', net.average]])
  assert.deepEqual(Array.from(net.namedModules(), ([name]) => name), ['', 'list.1.deep', 'map.first', 'inner', 'inner.1'])
  assert.deepEqual(Object.keys(net.state()).sort(), [...names, 'average', 'again'].sort())
})

test('a module may be made in a tidy', () => {
  const net = sm.util.tidy(() => new Everything())
  assert.equal(net.parameters().every((tensor) => !tensor.isDisposed), true)
})

test('train and eval reach every module within', () => {
  const net = sm.module.sequential(new sm.module.Dropout(), sm.module.sequential(new sm.module.Dropout()))
  assert.equal(net.training, true)
  assert.equal(net.eval(), net)
  assert.deepEqual(Array.from(net.namedModules(), ([, module]) => module.training), [false, false, false, false])
  assert.equal(net.train().modules[1].modules[0].training, true)
})

test('frozen weights get no gradients and stay weights', () => {
  const net = sm.module.linear(2, 2)
  net.requireGrad(false)
  assert.equal(net(sm.ones([2])).requires_grad, false)
  assert.equal(net.parameters().length, 2)
  assert.equal(net.requireGrad().weight.requires_grad, true)
})

test('a state is of the moment, and what it can\'t fill is named', () => {
  const net = sm.module.linear(2, 3)
  const before = net.state()
  net.weight.update(sm.zeros([2, 3]))
  assert.equal(net.loadState(before), net)
  close(net.weight, before.weight.transpose(), 0)
  const wrong = { weight: sm.ones([2, 3]), bias: sm.ones([3]), more: sm.ones([1]) }
  assert.throws(() => net.loadState(wrong), { message: 'Linear: "weight" must have shape [3, 2], got [2, 3]; "more" isn\'t part of the module', code: 'shape_mismatch' })
  assert.throws(() => net.loadState({ weight: sm.ones([3, 2]) }), { message: 'Linear: "bias" is missing', code: 'not_found' })
  assert.throws(() => net.loadState({ weight: sm.ones([3, 2]), bias: sm.ones([3], 'int64') }), { code: 'dtype_mismatch' })
  close(net.weight, before.weight.transpose(), 0)
})

test('files turn the weight of Linear, and nothing of what subclasses add', () => {
  class Scaled extends sm.module.Linear {
    scale = { weight: sm.ones([4, 5]).requireGrad() }
  }
  const state = new Scaled(2, 3).state()
  assert.deepEqual([state.weight.shape, state['scale.weight'].shape], [[3, 2], [4, 5]])
})

test('buffers are saved with the weights', (t) => {
  const file = `${temporaryFolder(t)}/norm.safetensors`
  const [a, b] = [new sm.module.BatchNorm2d(2), new sm.module.BatchNorm2d(2)]
  a(sm.randn([2, 2, 3, 3]))
  a.save(file)
  close(b.load(file).running_mean, a.running_mean, 0)
  assert.equal(b.num_batches_tracked.toInt64(), 1n)
  assert.throws(() => new sm.module.BatchNorm2d(3).load(file), /load: ".*norm\.safetensors": BatchNorm2d: "weight" must have shape \[3\], got \[2\]/)
})

test('checkpoints are numbered, and the newest that can be read is resumed', (t) => {
  const folder = path.join(temporaryFolder(t), 'a', 'b')
  const scale = () => Object.assign(new sm.module.Module(), { value: sm.scalar(0).requireGrad() })
  const model = scale()
  const kept = model.checkpoint(folder)
  assert.equal(kept.number, 0)
  for (let i = 1; i <= 3; ++i) {
    model.value.update(sm.scalar(i))
    assert.equal(kept.save(), path.join(folder, `checkpoint-000000000${i}.safetensors`))
  }
  assert.deepEqual(readdirSync(folder), ['checkpoint-0000000002.safetensors', 'checkpoint-0000000003.safetensors'])
  const resumed = scale()
  assert.equal(resumed.checkpoint(folder).number, 3)
  close(resumed.value, 3, 0)
  t.mock?.method(console, 'warn', () => {})
  writeFileSync(path.join(folder, 'checkpoint-0000000003.safetensors'), 'torn')
  const earlier = scale()
  assert.equal(earlier.checkpoint(folder, 1).number, 3)
  close(earlier.value, 2, 0)
  assert.throws(() => sm.module.linear(1, 1).checkpoint(folder), { code: 'not_found' })
  assert.throws(() => model.checkpoint(folder, 0), /keep must be 1 or more, got 0/)
})

test('an empty sequence gives what it got; an array is spread over the next', () => {
  assert.equal(sm.module.sequential()(), null)
  const x = sm.ones([2])
  assert.equal(sm.module.sequential()(x), x)
  assert.deepEqual(sm.module.sequential()(x, x), [x, x])
  assert.throws(() => sm.module.sequential()(x, 3), /Tensor inputs: arg at index 1/)
  const steps = sm.module.sequential((a, b) => [a.mul(2), b], sm.add)
  close(steps(x, sm.ones([2])), [3, 3])
  assert.equal(steps.add(sm.relu).length, 3)
})

test('a served transformer learns from its remote user', async (t) => {
  sm.manual_seed(1)
  const model = sm.module.sequential(new sm.module.TransformerEncoderLayer(4, 2, { feedforward: 8, dropout: 0 }), sm.module.linear(4, 1))
  const server = sm.io.serve_model(model, (found) => sm.optim.sgd(found, 0.05), { port: 0 })
  t.after(() => server.stop())
  const remote = sm.io.remote_model(server.url)
  const x = sm.randn([8, 3, 4])
  const losses = []
  for (let i = 0; i < 40; ++i) {
    const loss = sm.loss.mse(await remote(x), x.sum([2], true))
    await loss.backward()
    losses.push(loss.toFloat32())
  }
  assert.ok(losses.at(-1) < losses[0] / 3, `${losses[0]} became ${losses.at(-1)}`)
})
