// What a beginner meets: each mistake is answered with what was expected, what came, and what to do.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { temporaryFolder } from './common.js'

const once = { retryFor: 0 }

/** What a mistake is answered with: of something that throws, or rejects. */
async function said(mistake) {
  try {
    await mistake()
  } catch (error) {
    return error.message
  }
  return 'nothing'
}

function serve(t) {
  const server = sm.io.serve_model(sm.module.linear(4, 3), new sm.optim.SGD(), { port: 0, signals: false }, { map: () => new Map() })
  t.after(() => server.stop())
  return server
}

test('what is sent instead of a tensor is named', async (t) => {
  const { url } = serve(t)
  const model = sm.io.remote_model(url, once)
  const forward = (input) => said(() => sm.io.tfetch(`${url}/forward`, input, once))
  assert.equal(await said(() => model([1, 2])), 'remote_model: expected a tensor, got an array; make a tensor of it by tensor(array)')
  assert.equal(await said(() => model('hello')), 'remote_model: expected a tensor, got "hello"')
  assert.match(await forward('hello'), /expected numbers for a tensor of dtype float32, got the string "hello"/)
  assert.equal(await forward(new Float32Array(4)), "tfetch: can't send a Float32Array; make a tensor of it by tensor(array)")
  assert.equal(await forward(Promise.resolve(sm.scalar(1))), "tfetch: can't send a promise: await it first")
  assert.equal(await forward(undefined), 'forward: expects one tensor, got a request without a body')
  assert.equal(await forward({ a: sm.scalar(1), b: sm.scalar(2) }), 'forward: expects one tensor, got the tensors a, b')
  assert.equal(await said(() => sm.io.tfetch(`${url}/map`)), "handler: can't send a Map")
})

test('a forgotten await, requires_grad or new is named', async (t) => {
  const model = sm.io.remote_model(serve(t).url, once)
  const output = model(sm.ones([4]))
  assert.equal(await said(() => sm.loss.mse(output, sm.ones([3]))), 'mse: output must be a tensor or a number, got a promise: await it first')
  await output
  assert.match(await said(() => sm.ones([2]).sum().backward()), /nothing .* requires gradients; set requires_grad on the weights before/)
  assert.equal(await said(() => sm.optim.sgd(sm.ones([2]).sum(), 0.1)), 'sgd: expected what backward() returned, got a Tensor')
  assert.match(await said(() => sm.io.serve_model(sm.module.linear(1, 1), sm.optim.SGD)), /must be an optimizer, .* got the class SGD/)
  assert.match(await said(() => sm.module.sequential(sm.module.Linear)), /got the class Linear/)
  const loss = sm.ones([2]).requireGrad().sum()
  loss.backward()
  assert.match(await said(() => loss.backward()), /the graph through sum was consumed .* retainGraph/)
})

test('a URL that is none, and a server that is not there, are named', async () => {
  assert.equal(await said(() => sm.io.remote_model(undefined)), "remote_model: expected a URL as text, such as 'localhost:3000/forward', got undefined")
  assert.equal(await said(() => sm.io.tfetch(3000)), "tfetch: expected a URL as text, such as 'localhost:3000/forward', got 3000")
  assert.match(await said(() => sm.io.tfetch('127.0.0.1:1/forward', undefined, once)), /Connection refused \(is a server running there\?\)$/)
})

test('a server that another one needs is told from the one that was asked', async (t) => {
  const missing = sm.io.remote_model('127.0.0.1:1', once)
  const server = sm.io.serve_model((x) => missing(x), undefined, { port: 0, signals: false })
  t.after(() => server.stop())
  assert.match(await said(() => sm.io.remote_model(server.url, once)(sm.ones([1]))), /^a server that \/forward needs: can't connect to 127\.0\.0\.1:1/)
})

test('options of a server that are no such thing are named', async (t) => {
  const { port } = serve(t)
  const refused = (options, handlers = { a: () => {} }) => said(() => sm.io.serve(handlers, { port: 0, signals: false, ...options }))
  assert.match(await refused({ prot: 3 }), /no option "prot", there is port, .*; did you mean "port"\?$/)
  assert.equal(await refused({ port: 'abc' }), 'serve: port must be 0 to 65535, got "abc"')
  assert.match(await refused({ port }), /Address already in use \(stop what listens there, or choose another port; 0: any free one\)$/)
  assert.equal(await refused({ cors: 'https://x' }), 'serve: cors must be an array of strings, got "https://x"')
  assert.doesNotMatch(await refused({ token: 12345678901234567n }), /1234/)
  assert.match(await refused({}, (user, x) => x), /expected functions by the names of their routes, .* got a function/)
  assert.match(await said(() => sm.io.serve_model(undefined)), /the model must be a module or a function, got undefined/)
})

test('wrong arguments are named with the operation', async (t) => {
  assert.equal(await said(() => sm.ones([2.5])), 'ones: shape: expected a whole number, got 2.5')
  assert.equal(await said(() => sm.ones([2, 3]).sum('rows')), 'sum: axes: expected a whole number or an array of them, got "rows"')
  assert.match(await said(() => sm.tensor([1], 'float')), /unknown dtype "float", there is bool, .* float64$/)
  assert.equal(await said(() => sm.module.linear('3', 4)), 'Linear: inputs must be a whole number of 1 or more, got "3"')
  assert.equal(await said(() => new sm.optim.Adam({ lr: '0.1' })), 'Adam: learningRate: expected a number, got "0.1"')
  assert.equal(await said(() => new sm.optim.Adam({ lr: -1e-9 })), 'Adam: learning_rate must be 0 or more, got -1e-09')
  assert.match(await said(() => sm.module.linear(3, 4)(sm.ones([2, 5]))), /expects an input \[..., in\] and a weight \[in, out\], got an input \[2, 5\] and a weight \[3, 4\]/)
  assert.match(await said(() => sm.save(`${temporaryFolder(t)}/x.safetensors`, sm.ones([2]))), /expected an object of tensors/)
  assert.match(await said(() => [...sm.util.viter(3, 'steps')]), /expected a function that returns what to show, got "steps"/)
})
