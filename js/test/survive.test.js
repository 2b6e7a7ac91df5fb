// Servers that survive: what may change weights, what is saved, what is tried again.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import test from 'node:test'
import * as sm from '../index.js'
import { close, nextTurn, poll, temporaryFolder } from './common.js'

function serve(t, handlers, options = {}) {
  const server = sm.io.serve(handlers, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}
const call = (server, route, input, options) => sm.io.tfetch(`${server.url}/${route}`, input, { retryFor: 0, ...options })
const statistics = async (server) => (await fetch(`${server.url}/statistics`)).json()

/** y = x w, whose updates add the gradient of w; with the gradient of its last forward for a client to send. */
function serveLine(t, weight, options = {}, update = (found) => { for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().add(grad)) }) {
  const server = sm.io.serve_model((x) => x.mul(weight), update, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}

const versionOf = (file) => Number(file.match(/^checkpoint-(\d+)\.safetensors$/)[1])
const versions = (directory) => readdirSync(directory).map(versionOf)

/** A gradient that carries the ticket of a forward, and isn't sent. */
async function gradientOf(server, value = 1, input = 1) {
  const output = await call(server, 'forward', sm.scalar(input))
  output.requires_grad = true
  output.mul(value).backward()
  return output.grad
}

/** A plain HTTP server that answers what `answer` says. */
async function plainServer(t, answer) {
  const server = createServer(answer)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return `http://127.0.0.1:${server.address().port}`
}

function echo(request, response) {
  response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/json' })
  request.pipe(response)
}

// --- Guard and staleness ---

test('a gradient that isn\'t finite is refused and leaves the weights', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const server = serveLine(t, weight, {}, sm.optim.sgd)
  for (const bad of [NaN, Infinity, -Infinity])
    await assert.rejects(call(server, 'optimize', await gradientOf(server, bad)), { code: 'unprocessable', status: 422 })
  // Finite on the wire, infinite by the time it reaches the weight.
  await assert.rejects(call(server, 'optimize', await gradientOf(server, 1e30, 1e30)), { status: 422 })
  assert.equal(weight.toFloat32(), 2)
  assert.equal((await statistics(server)).weights.refused, 4)
})

test('a guard has a largest norm, or is off', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const strict = serveLine(t, weight, { guard: { maxNorm: 10 } }, sm.optim.sgd)
  await assert.rejects(call(strict, 'optimize', await gradientOf(strict, 11)), /norm/)
  assert.equal(weight.toFloat32(), 2)
  await call(strict, 'optimize', await gradientOf(strict, 9))
  assert.notEqual(weight.toFloat32(), 2)
  await strict.stop()
  const open = serveLine(t, weight, { guard: false }, sm.optim.sgd)
  await call(open, 'optimize', await gradientOf(open, NaN))
  assert.ok(Number.isNaN(weight.toFloat32()))
})

test('a stale gradient is scaled', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const server = serveLine(t, weight, { staleness: 'scale' })
  const [first, second] = [await gradientOf(server), await gradientOf(server)]
  await call(server, 'optimize', first)
  close(weight, 1)
  await call(server, 'optimize', second)
  close(weight, 1.5)
  assert.equal((await statistics(server)).weights.scaled, 1)
})

test('a gradient that is too stale is refused, and remote_model forwards again', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const server = serveLine(t, weight, { staleness: { policy: 'reject', limit: 1 } })
  const gradients = [await gradientOf(server), await gradientOf(server), await gradientOf(server)]
  await call(server, 'optimize', gradients[0])
  await call(server, 'optimize', gradients[1])
  await assert.rejects(call(server, 'optimize', gradients[2]), { code: 'stale', status: 409 })
  close(weight, 2)
  const model = sm.io.remote_model(server.url)
  const outputs = await Promise.all([1, 2, 3].map(() => model(sm.scalar(1))))
  for (const output of outputs) await output.backward()
  close(weight, 5)
  assert.equal((await statistics(server)).weights.stale, 2)
})

test('serve refuses options that it doesn\'t know', () => {
  const refuse = (options, message) => assert.throws(() => sm.io.serve({}, { port: 0, ...options }), message)
  const weights = { w: sm.scalar(1) }
  refuse({ staleness: 'often' }, /'accept', 'scale' or 'reject', got 'often'/)
  refuse({ staleness: { polcy: 'scale' } }, /no option staleness\. "polcy"/)
  refuse({ guard: { maxNrm: 3 } }, /no option guard\. "maxNrm"/)
  refuse({ guard: { maxNorm: -3 } }, /maxNorm must be above 0/)
  refuse({ guard: 5 }, /guard must be/)
  refuse({ checkpoint: 'folder' }, /checkpoint must be/)
  refuse({ checkpoint: { weights } }, /directory/)
  refuse({ checkpoint: { directory: 'x' } }, /weights has no tensors/)
  refuse({ checkpoint: { directory: 'x', weights: [1] } }, /"0" is none/)
  refuse({ checkpoint: { directory: 'x', weights, every: 5 } }, /no option checkpoint\. "every"/)
  refuse({ checkpoint: { directory: 'x', weights, durability: 'always' } }, /'interval' or 'every-update'/)
  refuse({ checkpoint: { directory: 'x', weights, optimizer: {} } }, /must have state\(\)/)
})

// --- Checkpoints ---

test('a stopped server resumes where it was, with its optimizer', async (t) => {
  const directory = temporaryFolder(t)
  const start = () => {
    const weight = sm.tensor([0, 0]).requireGrad()
    let momentum = sm.scalar(0)
    const optimizer = {
      state: (weights) => (assert.deepEqual(Object.keys(weights), ['w']), { momentum }),
      loadState: (state, weights) => { assert.equal(weights.w, weight); ({ momentum } = state) },
    }
    const update = ({ 0: { tensor, grad } }) => {
      momentum = momentum.add(1)
      tensor.update(tensor.detach().add(grad))
    }
    const server = serveLine(t, weight, { checkpoint: { directory, weights: { w: weight }, optimizer } }, update)
    return { server, weight, momentum: () => momentum.toFloat32() }
  }
  const first = start()
  for (let i = 0; i < 3; ++i) await (await sm.io.remote_model(first.server.url)(sm.tensor([1, 2]))).backward(sm.ones([2]))
  await first.server.stop()
  close(first.weight, [3, 6])
  const second = start()
  close(second.weight, [3, 6])
  assert.equal(second.momentum(), 3)
  assert.equal(second.server.statistics().weights.version, 3)
  await second.server.stop()
  assert.deepEqual(versions(directory), [3])
})

test('weights may be an array or a module; serve_model takes its module and optimizer by itself', async (t) => {
  class Scale extends sm.module.Module {
    factor = sm.scalar(1).requireGrad()
    forward(x) { return x.mul(this.factor) }
  }
  const directory = temporaryFolder(t)
  const start = () => {
    const model = new Scale()
    const optimizer = sm.optim.adam()
    return { model, optimizer, server: sm.io.serve_model(model, optimizer, { port: 0, checkpoint: { directory } }) }
  }
  const first = start()
  await (await sm.io.remote_model(first.server.url)(sm.scalar(1))).backward()
  await first.server.stop()
  const { model, optimizer, server } = start()
  await server.stop()
  assert.equal(optimizer.steps, 1)
  assert.equal(model.factor.toFloat32(), first.model.factor.toFloat32())
  assert.notEqual(model.factor.toFloat32(), 1)
  const inOrder = [sm.scalar(1), sm.scalar(2)]
  await serve(t, {}, { checkpoint: { directory: temporaryFolder(t), weights: inOrder } }).stop()
  assert.throws(() => sm.io.serve({}, { port: 0, checkpoint: { directory, weights: inOrder } }), /of another model: "0"/)
})

test('an update by a handler without a ticket is saved too', async (t) => {
  const directory = temporaryFolder(t)
  const weight = sm.scalar(0).requireGrad()
  const server = serve(t, { add: (user, x) => { weight.update(weight.detach().add(x)) } }, { checkpoint: { directory, weights: [weight], durability: 'every-update' } })
  await call(server, 'add', sm.scalar(5))
  assert.deepEqual(versions(directory), [1])
  close(sm.load(`${directory}/${readdirSync(directory)[0]}`)[0], 5)
})

test('checkpoints under load have as many updates as steps', async (t) => {
  const directory = temporaryFolder(t)
  const weight = sm.scalar(0).requireGrad()
  const server = serveLine(t, weight, { checkpoint: { directory, weights: { weight }, durability: 'every-update', keep: 1000 } }, async (found) => {
    for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().add(grad))
    await null
  })
  const model = sm.io.remote_model(server.url)
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 25; ++i) await (await model(sm.scalar(1))).backward()
  }))
  await server.stop()
  const files = readdirSync(directory)
  assert.ok(files.length > 1)
  // One step adds one, and makes one version.
  for (const file of files) assert.equal(sm.load(`${directory}/${file}`).weight.toFloat32(), versionOf(file))
  close(weight, 200)
})

test('an optimizer that can\'t tell its state fails the checkpoint, not the server', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const optimizer = { state: () => { throw new Error('no state today') }, loadState: () => {} }
  const server = serveLine(t, weight, { checkpoint: { directory: temporaryFolder(t), weights: { weight }, optimizer, durability: 'every-update' } })
  await assert.rejects(call(server, 'optimize', await gradientOf(server)), { code: 'unavailable', message: /no state today/ })
  close(weight, 1)
  assert.match((await statistics(server)).checkpoint.error, /no state today/)
})

// --- Bounds ---

test('the graphs of forwards count by their bytes', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const server = serveLine(t, weight, { limits: { maxTicketBytesPerSession: 10_000 } })
  const model = sm.io.remote_model(server.url)
  await model(sm.ones([1000]))
  assert.ok((await statistics(server)).tickets.bytes >= 4000)
  for (let i = 0; i < 5; ++i) await model(sm.ones([1000]))
  const { tickets } = await statistics(server)
  assert.ok(tickets.live <= 2, `${tickets.live} live`)
  const full = serveLine(t, weight, { limits: { maxTicketBytes: 3000 } })
  await call(full, 'forward', sm.ones([1000]))
  await assert.rejects(call(full, 'forward', sm.ones([1000])), { status: 429 })
})

test('lifetimes are in milliseconds', async (t) => {
  const server = serveLine(t, sm.scalar(2).requireGrad(), { limits: { ticketLifetime: 1 } })
  const gradient = await gradientOf(server)
  const begin = performance.now()
  await poll(() => performance.now() - begin > 1, 'a millisecond')
  await assert.rejects(call(server, 'optimize', gradient), { code: 'gone' })
})

// --- Retries ---

test('a busy server is asked again', async (t) => {
  let asked = 0
  const url = await plainServer(t, (request, response) => {
    request.resume()
    response.writeHead(++asked < 3 ? 503 : 200, { 'content-type': 'application/json' }).end('[1, 2]')
  })
  assert.deepEqual(await sm.io.tfetch(url, sm.scalar(1)), [1, 2])
  assert.equal(asked, 3)
  asked = 0
  await assert.rejects(sm.io.tfetch(url, sm.scalar(1), { retryFor: 0 }), { status: 503 })
  assert.equal(asked, 1)
})

test('a broken connection is tried again where that does no harm', async (t) => {
  let asked = 0
  const url = await plainServer(t, (request, response) => {
    if (++asked % 2) return request.socket.destroy()
    response.writeHead(200, { 'content-type': 'application/json' }).end('[1]')
  })
  await assert.rejects(sm.io.tfetch(url, sm.scalar(1)), { code: 'connection' })
  assert.equal(asked, 1)
  asked = 0
  assert.deepEqual(await sm.io.tfetch(url, sm.scalar(1), { repeatable: true }), [1])
  assert.equal(asked, 2)
})

test('an AbortSignal ends the wait for another attempt', async (t) => {
  let asked = 0
  const url = await plainServer(t, (request, response) => {
    request.resume()
    if (++asked === 1) return response.writeHead(204, { 'shumai-session': 'a' }).end()
    response.writeHead(503, { 'retry-after': '60' }).end()
  })
  await sm.io.tfetch(url)  // who never answered is waited for only briefly
  const control = new AbortController()
  const reason = new Error('enough')
  const failure = assert.rejects(sm.io.tfetch(url, sm.scalar(1), { retryFor: 1e6, timeout: 1e6, signal: control.signal }), reason)
  await poll(() => asked > 1, 'the first attempt')
  control.abort(reason)
  await failure
  await assert.rejects(sm.io.tfetch(url, sm.scalar(1), { retryFor: -1 }), /retryFor must be milliseconds/)
})

test('remote_model forwards again when the server has forgotten', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const first = serveLine(t, weight)
  const model = sm.io.remote_model(first.url)
  const x = sm.tensor([1, 2]).requireGrad()
  const plain = sm.tensor([1, 2])
  const [output, other] = [await sm.util.tidy(async () => model(x)), await model(plain)]
  await first.stop()
  serveLine(t, weight, { port: first.port })
  await output.backward(sm.ones([2]))
  close(weight, 3)
  close(x.grad, [0, 0])
  plain.dispose()
  await other.backward(sm.ones([2]))
  close(weight, 6)
})

test('an answer that was lost is no failure when nobody needs it', async (t) => {
  const error = (code) => ({ type: 'about:blank', code, detail: code })
  const url = await plainServer(t, (request, response) => {
    if (request.url === '/forward') return echo(request, response)
    response.writeHead(409, { 'content-type': 'application/problem+json' }).end(JSON.stringify(error('already_done')))
  })
  const model = sm.io.remote_model(url)
  const step = async (x) => (await model(x)).backward()
  await step(sm.scalar(1))
  await assert.rejects(step(sm.scalar(1).requireGrad()), { code: 'already_done' })
})

// --- Traces ---

/** The headers of each request, in order. */
async function recorder(t) {
  const seen = []
  const url = await plainServer(t, (request, response) => {
    seen.push(request.headers)
    echo(request, response)
  })
  return { url, seen }
}

test('one trace goes through two servers, forwards and backwards, over their awaits', async (t) => {
  const { url, seen } = await recorder(t)
  const inner = serve(t, {
    forward: async (user, x) => {
      await nextTurn()
      const y = await sm.io.tfetch(`${url}/a`, x, { grad_fn: ({ grad_in }) => sm.io.tfetch(`${url}/b`, grad_in) })
      user.opt = (jacobian) => { y.backward(jacobian) }
      return y
    },
    optimize: (user, jacobian) => { user.opt(jacobian) },
  })
  const outer = sm.io.serve_model(sm.io.remote_model(inner.url), () => {}, { port: 0 })
  t.after(() => outer.stop())
  const model = sm.io.remote_model(outer.url)
  await Promise.all([1, 2].map(async (value) => (await model(sm.scalar(value))).backward()))
  const traces = new Map()
  for (const { traceparent } of seen) traces.set(traceparent.slice(3, 35), (traces.get(traceparent.slice(3, 35)) ?? 0) + 1)
  assert.deepEqual([...traces.values()], [2, 2])
  assert.equal(new Set(seen.map(({ traceparent }) => traceparent)).size, 4)
  assert.match(seen[0]['shumai-path'], /^[0-9a-f]{8}\/forward,[0-9a-f]{8}\/forward$/)
  assert.match(seen[3]['shumai-path'], /^[0-9a-f]{8}\/optimize,[0-9a-f]{8}\/optimize$/)
  await sm.io.tfetch(`${url}/outside`)
  assert.equal(seen[4]['shumai-path'], undefined)
  await sm.io.tfetch(`${url}/own`, undefined, { headers: { traceparent: seen[0].traceparent } })
  assert.equal(seen[5].traceparent, seen[0].traceparent)
})

test('servers that call each other in a circle are told so', async (t) => {
  const urls = []
  const pass = (to) => async (user, x) => {
    await nextTurn()
    return sm.io.tfetch(`${urls[to]}/forward`, x, { retryFor: 0 })
  }
  urls.push(serve(t, { forward: pass(1) }).url)
  urls.push(serve(t, { forward: pass(0) }).url)
  await assert.rejects(sm.io.tfetch(`${urls[0]}/forward`, sm.scalar(1)), { code: 'loop', status: 508 })
})

test('a chain of servers has a longest length', async (t) => {
  let url
  const add = (next) => serve(t, { forward: (user, x) => (next ? sm.io.tfetch(`${next}/forward`, x) : x) }, { limits: { maxHops: 3 } }).url
  for (let i = 0; i < 3; ++i) url = add(url)
  close(await sm.io.tfetch(`${url}/forward`, sm.scalar(7)), 7)
  await assert.rejects(sm.io.tfetch(`${add(url)}/forward`, sm.scalar(7)), { code: 'loop' })
})
