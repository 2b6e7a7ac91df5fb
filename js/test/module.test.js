import assert from 'node:assert/strict'
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
