import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close } from './common.js'

function serve(t, handlers, options = {}) {
  const server = sm.io.serve(handlers, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}

/** One inference, with `binary` behind the JSON. */
async function infer(server, model, request, binary) {
  const json = new TextEncoder().encode(JSON.stringify(request))
  const headers = { 'Content-Type': binary ? 'application/octet-stream' : 'application/json' }
  if (binary) headers['Inference-Header-Content-Length'] = String(json.length)
  const body = binary ? new Uint8Array([...json, ...new Uint8Array(binary.buffer)]) : json
  const response = await fetch(`${server.url}/v2/models/${model}/infer`, { method: 'POST', headers, body })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const length = Number(response.headers.get('Inference-Header-Content-Length') ?? bytes.length)
  return { response, json: JSON.parse(new TextDecoder().decode(bytes.subarray(0, length))), rest: bytes.slice(length) }
}
const input = (name, shape, data, datatype = 'FP32') => ({ name, shape, datatype, data })

test('the route forward is a model of the Open Inference Protocol', async (t) => {
  const server = serve(t, { forward: (user, x) => x.mul(sm.scalar(2)) })
  const { json } = await infer(server, 'model', { id: 'a', inputs: [input('x', [2], [1, 2])] })
  assert.deepEqual(json, {
    model_name: 'model',
    model_version: '0',
    id: 'a',
    outputs: [{ name: '0', datatype: 'FP32', shape: [2], data: [2, 4] }],
  })
  const metadata = await (await fetch(`${server.url}/v2/models/model`)).json()
  assert.deepEqual(metadata.inputs, [{ name: '0', datatype: 'FP32', shape: [2] }])
})

test('binary tensors go in and out', async (t) => {
  const server = serve(t, { forward: (user, { a, b }) => ({ sum: a.add(b) }) })
  const one = (name) => ({ name, shape: [2], datatype: 'FP64', parameters: { binary_data_size: 16 } })
  const request = { inputs: [one('a'), one('b')], outputs: [{ name: 'sum', parameters: { binary_data: true } }] }
  const { rest, json } = await infer(server, 'model', request, new Float64Array([0.5, 1, 2, 3]))
  assert.deepEqual(json.outputs, [{ name: 'sum', datatype: 'FP64', shape: [2], parameters: { binary_data_size: 16 } }])
  close(new Float64Array(rest.buffer), [2.5, 4])
})

test('options name models, tensors and routes', async (t) => {
  const model = {
    name: 'digits',
    route: 'score',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
  }
  const handlers = { score: (user, x) => x.add(sm.scalar(1)), other: (user, x) => x }
  const server = serve(t, handlers, { inference: [model, { name: 'other', route: 'other' }] })
  const metadata = await (await fetch(`${server.url}/v2/models/digits`)).json()
  assert.deepEqual([metadata.inputs, metadata.outputs], [model.inputs, model.outputs])
  const good = await infer(server, 'digits', { inputs: [input('image', [1, 2], [1, 2])], outputs: [{ name: 'scores' }] })
  assert.deepEqual(good.json.outputs[0].data, [2, 3])
  const bad = await infer(server, 'digits', { inputs: [input('image', [1, 3], [1, 2, 3])] })
  assert.equal(bad.response.status, 400)
  assert.match(bad.json.error, /\[-1, 2\]/)
  assert.deepEqual((await infer(server, 'other', { inputs: [input('x', [1], [true], 'BOOL')] })).json.outputs[0].data, [true])
})

test('wrong options are refused', () => {
  const refused = (inference) => assert.throws(() => sm.io.serve({ forward: (user, x) => x }, { port: 0, inference }), /inference|model|datatype|shape|isn't served/)
  refused('digits')
  refused({ names: 'digits' })
  refused({ route: 'other' })
  refused({ inputs: [{ name: 'x', datatype: 'FLOAT', shape: [] }] })
  refused({ inputs: [{ name: 'x', datatype: 'FP32' }] })
  refused({ inputs: [{ name: 'x', datatype: 'FP32', shape: [], dims: [] }] })
})

test('an inference keeps nothing and disturbs no one who trains', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const seen = []
  const server = serve(t, {
    forward: (user, x) => {
      seen.push([user.id, user.opt === undefined])
      const y = x.mul(weight)
      user.opt = (jacobian) => sm.optim.sgd(y.backward(jacobian), 0.5)
      user.count = 1
      return y
    },
    optimize: (user, jacobian) => user.opt(jacobian),
  })
  const x = sm.tensor([1])
  const y = await sm.io.tfetch(`${server.url}/forward`, x, { grad_fn: (grad) => sm.io.tfetch(`${server.url}/optimize`, grad.grad_in) })
  for (let i = 0; i < 3; ++i) {
    const { json } = await infer(server, 'model', { inputs: [input('x', [1], [3])] })
    assert.deepEqual(json.outputs[0].data, [6])
  }
  await y.sum().backward()
  close(weight, 1.5)
  assert.equal(new Set(seen.map(([id]) => id)).size, 4)
  assert.ok(seen.every(([, fresh]) => fresh))
  const { tickets, sessions, weights } = server.statistics()
  assert.deepEqual([tickets.live, sessions, weights.version], [0, 1, 1])
})

test('a served model answers inferences with the version of its weights', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const server = sm.io.serve_model((x) => x.mul(weight), (grads) => sm.optim.sgd(grads, 0.5), { port: 0 })
  t.after(() => server.stop())
  const model = sm.io.remote_model(server.url)
  await (await model(sm.tensor([1]))).sum().backward()
  const { json } = await infer(server, 'model', { inputs: [input('x', [1], [10])] })
  assert.deepEqual([json.model_version, json.outputs[0].data], ['1', [5]])
})
