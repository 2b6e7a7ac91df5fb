import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close, nextTurn, poll } from './common.js'

/** A server on a free port, stopped at the end of the test. */
function serve(t, handlers, options = {}) {
  const server = sm.io.serve(handlers, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}
const call = (server, route, input, options) => sm.io.tfetch(`${server.url}/${route}`, input, options)
const raw = (server, route, init) => fetch(`${server.url}/${route}`, init)

test('sm.io and sm.network are the same functions', () => {
  for (const name of ['serve', 'tfetch', 'serve_model', 'remote_model']) {
    assert.equal(typeof sm.io[name], 'function')
    assert.equal(sm.io[name], sm.network[name])
  }
})

test('a tensor goes there and back, of every dtype and shape', async (t) => {
  const server = serve(t, { echo: (user, x) => x })
  for (const name of ['bool', 'uint8', 'int8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float16', 'bfloat16', 'float32', 'float64']) {
    const x = sm.tensor([[1, 0], [1, 1]]).astype(name)
    const y = await call(server, 'echo', x)
    assert.deepEqual([y.dtype, y.shape], [x.dtype, x.shape], name)
    assert.deepEqual(y.valuesArray(), x.valuesArray(), name)
  }
  assert.deepEqual((await call(server, 'echo', sm.scalar(3))).shape, [])
  assert.deepEqual((await call(server, 'echo', sm.zeros([0, 3]))).shape, [0, 3])
  close(await call(server, 'echo', sm.tensor([[1, 2], [3, 4]]).T()), [1, 3, 2, 4])
})

test('a URL needs no scheme', async (t) => {
  const server = serve(t, { echo: (user, x) => x })
  close(await sm.io.tfetch(`localhost:${server.port}/echo`, sm.scalar(2)), 2)
})

test('handlers return tensors, objects and arrays of tensors, plain values or nothing, at once or later', async (t) => {
  const results = {
    tensor: () => sm.tensor([1]),
    object: () => ({ a: sm.tensor([1]), b: sm.tensor([2n]) }),
    array: () => [sm.tensor([1]), sm.tensor([2])],
    plain: () => ({ classes: 10, names: ['x', 'é'], deep: { yes: true, none: null, big: 2n ** 70n } }),
    text: () => 'text',
    number: () => 4.5,
    list: () => [1, 2],
    nothing: () => {},
    none: () => null,
  }
  const handlers = { ...results }
  for (const [name, make] of Object.entries(results)) handlers[`later_${name}`] = async () => (await nextTurn(), make())
  const server = serve(t, handlers)
  for (const prefix of ['', 'later_']) {
    const get = (name) => call(server, prefix + name)
    close(await get('tensor'), [1])
    const object = await get('object')
    assert.deepEqual(Object.keys(object), ['a', 'b'])
    assert.deepEqual(object.b.valuesArray(), BigInt64Array.of(2n))
    const array = await get('array')
    assert.ok(Array.isArray(array))
    close(array[1], [2])
    assert.deepEqual(await get('plain'), { classes: 10, names: ['x', 'é'], deep: { yes: true, none: null, big: (2n ** 70n).toString() } })
    assert.equal(await get('text'), 'text')
    assert.equal(await get('number'), 4.5)
    assert.deepEqual(await get('list'), [1, 2])
    assert.equal(await get('nothing'), undefined)
    assert.equal(await get('none'), undefined)
  }
})

test('requests carry tensors, named tensors, plain values or nothing', async (t) => {
  const seen = []
  const server = serve(t, { look: (user, input) => void seen.push(input) })
  await call(server, 'look', sm.tensor([1]))
  await call(server, 'look', { a: sm.tensor([1]), b: sm.tensor([2]) })
  await call(server, 'look', [sm.tensor([5]), sm.tensor([6])])
  await call(server, 'look')
  await call(server, 'look', null)
  close(seen[0], [1])
  close(seen[1].b, [2])
  close(seen[2][1], [6])
  assert.deepEqual([seen[3], seen[4]], [undefined, undefined])
})

test('what can\'t be sent says why', async (t) => {
  const server = serve(t, {
    mixed: () => ({ a: sm.scalar(1), b: 2 }),
    fn: () => () => {},
    cycle: () => { const a = {}; a.a = a; return a },
    gone: () => { const x = sm.scalar(1); x.dispose(); return x },
    echo: (user, x) => x,
  })
  await assert.rejects(call(server, 'mixed'), /tensors only or none, "b" is 2/)
  await assert.rejects(call(server, 'fn'), /can't send a function/)
  await assert.rejects(call(server, 'cycle'), /circular|cyclic/i)
  await assert.rejects(call(server, 'gone'), /disposed/)
  await assert.rejects(call(server, 'echo', { a: sm.scalar(1), b: 2 }), /"b" is 2/)
  await assert.rejects(call(server, 'echo', Symbol('x')), /can't send Symbol\(x\)/)
  const x = sm.scalar(1)
  x.dispose()
  await assert.rejects(call(server, 'echo', x), /disposed/)
  close(await call(server, 'echo', sm.scalar(1)), 1)
})

test('errors keep their message, code and status across the wire', async (t) => {
  const thrown = {
    plain: () => { throw new Error('plain message') },
    type: () => { undefined.x },
    ours: () => { throw new sm.ShumaiError('taken already', 'conflict', 409) },
    status: () => { throw Object.assign(new Error('too much'), { status: 429 }) },
    node: () => { throw Object.assign(new Error('ENOENT: no file'), { code: 'ENOENT' }) },
    shape: () => sm.zeros([3, 4]).matmul(sm.zeros([5, 6])),
    text: () => { throw 'only text' },
    nothing: () => { throw undefined },
    hostile: () => { throw { get message() { throw new Error('again') } } },
    unicode: () => { throw new Error('größer als 1 → "no"\n second line') },
  }
  const handlers = { ...thrown }
  for (const [name, fail] of Object.entries(thrown)) handlers[`later_${name}`] = async () => { await nextTurn(); fail() }
  const server = serve(t, handlers)
  const failure = async (name) => {
    const error = await call(server, name, undefined, { retryFor: 0 }).then(() => assert.fail('no error'), (error) => error)
    assert.ok(error instanceof sm.ShumaiError && error instanceof Error, name)
    return [error.message, error.code, error.status]
  }
  for (const prefix of ['', 'later_']) {
    assert.deepEqual(await failure(`${prefix}plain`), ['plain message', 'internal', 500])
    assert.match((await failure(`${prefix}type`))[0], /undefined/)
    assert.deepEqual(await failure(`${prefix}ours`), ['taken already', 'conflict', 409])
    assert.deepEqual(await failure(`${prefix}status`), ['too much', 'too_many_requests', 429])
    assert.deepEqual(await failure(`${prefix}node`), ['ENOENT: no file', 'internal', 500])
    assert.deepEqual(await failure(`${prefix}shape`), ['matmul: inner sizes differ, got [3, 4] and [5, 6]', 'shape_mismatch', 400])
    assert.match((await failure(`${prefix}text`))[0], /only text/)
    assert.match((await failure(`${prefix}nothing`))[0], /undefined/)
    assert.equal((await failure(`${prefix}hostile`))[2], 500)
    assert.equal((await failure(`${prefix}unicode`))[0], 'größer als 1 → "no"\n second line')
  }
  assert.deepEqual((await failure('nowhere')).slice(1), ['not_found', 404])
})

test('errors are problem+json to any client', async (t) => {
  const server = serve(t, { bad: () => { throw new sm.ShumaiError('not now', 'conflict', 409) } })
  const answer = await raw(server, 'bad')
  assert.equal(answer.status, 409)
  assert.match(answer.headers.get('content-type'), /application\/problem\+json/)
  assert.equal((await answer.json()).detail, 'not now')
})

test('any client speaks JSON', async (t) => {
  const server = serve(t, { twice: (user, x) => x.mul(2) })
  const answer = await raw(server, 'twice', { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json' }, body: '[[1, 2]]' })
  assert.deepEqual(await answer.json(), [[2, 4]])
})

test('what cannot be reached is an error with code connection', async (t) => {
  const server = sm.io.serve({ a: () => {} }, { port: 0 })
  await server.stop()
  await assert.rejects(call(server, 'a', undefined, { retryFor: 0 }), { code: 'connection' })
  await assert.rejects(sm.io.tfetch('http://'), sm.ShumaiError)
})

test('a misspelt option of tfetch is an error, not a step without a gradient', async (t) => {
  const server = serve(t, { echo: (user, x) => x })
  await assert.rejects(call(server, 'echo', sm.scalar(1), { grad_fnn: () => {} }), /no option "grad_fnn"/)
  assert.throws(() => sm.io.remote_model(server.url, { timeuot: 5 }), /no option "timeuot", there is .*; did you mean "timeout"\?/)
  await assert.rejects(call(server, 'echo', sm.scalar(1), { timeout: 'soon' }), sm.ShumaiError)
})

// --- user ---

test('a counter on user counts each session\'s calls', async (t) => {
  const server = serve(t, { count: (user) => ({ n: (user.n = (user.n ?? 0) + 1), id: user.id }) })
  for (let i = 1; i <= 3; ++i) assert.equal((await call(server, 'count')).n, i)
  const other = await (await raw(server, 'count')).json()
  assert.equal(other.n, 1)
  const { n, id } = await call(server, 'count')
  assert.equal(n, 4)
  assert.notEqual(id, other.id)
})

test('a counter counts calls that overlap', async (t) => {
  const server = serve(t, {
    first: () => ({}),
    count: async (user) => {
      await nextTurn()
      user.n = (user.n ?? 0) + 1
      await nextTurn()
      return { n: user.n }
    },
    read: (user) => ({ n: user.n }),
  })
  await call(server, 'count')
  await Promise.all(Array.from({ length: 8 }, () => call(server, 'count')))
  assert.equal((await call(server, 'read')).n, 9)
})

test('each forward in flight finds its own closure, whatever the order', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const order = []
  const server = serve(t, {
    forward: (user, x) => {
      const y = x.mul(weight)
      user.opt = (jacobian) => {
        order.push(x.toFloat32())
        return Object.values(y.backward(jacobian))[0].grad
      }
      return y
    },
    optimize: (user, jacobian) => user.opt(jacobian),
  })
  const outputs = await Promise.all([1, 2, 3, 4].map((value) => call(server, 'forward', sm.scalar(value))))
  for (const output of outputs.reverse()) {
    output.requires_grad = true
    output.mul(10).backward()
    const expected = output.toFloat32() * 10
    close(await call(server, 'optimize', output.grad), expected)
  }
  assert.deepEqual(order, [4, 3, 2, 1])
})

test('without a ticket, user is the session\'s latest', async (t) => {
  const server = serve(t, {
    forward: (user, x) => {
      user.opt = () => x
      return x.mul(sm.scalar(1).requireGrad())
    },
    optimize: (user) => user.opt(),
  })
  await call(server, 'forward', sm.scalar(1))
  await call(server, 'forward', sm.scalar(2))
  close(await call(server, 'optimize', sm.scalar(0)), 2)
})

test('a ticket sees its own functions and the session\'s values, not other tickets\' functions', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const server = serve(t, {
    forward: (user, x) => {
      user.calls = (user.calls ?? 0) + 1
      if (x.toFloat32() > 0) user.opt = () => 'mine'
      else user.mark = { hold: () => {} }
      return x.mul(weight)
    },
    optimize: (user) => ({ opt: typeof user.opt, has: 'opt' in user, calls: user.calls, keys: Object.keys(user).sort() }),
  })
  const back = async (output) => {
    output.requires_grad = true
    output.mul(1).backward()
    return call(server, 'optimize', output.grad)
  }
  const [a, b] = [await call(server, 'forward', sm.scalar(1)), await call(server, 'forward', sm.scalar(-1))]
  assert.deepEqual(await back(b), { opt: 'undefined', has: false, calls: 2, keys: ['calls', 'mark'] })
  assert.deepEqual(await back(a), { opt: 'function', has: true, calls: 1, keys: ['calls', 'opt'] })
})

test('a handler that keeps its graph elsewhere needs no user', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  let last
  const server = serve(t, {
    forward: (user, x) => (last = x.mul(weight)),
    optimize: (user, jacobian) => void sm.optim.sgd(last.backward(jacobian), 0.5),
  })
  const output = await call(server, 'forward', sm.scalar(3), { grad_fn: async ({ grad_in }) => void (await call(server, 'optimize', grad_in)) })
  await output.backward()
  close(weight, -0.5)
})

test('a step in several stages keeps its ticket until the last', async (t) => {
  const server = serve(t, {
    forward: (user, x) => {
      user.first = () => 'first'
      return x.mul(sm.scalar(1).requireGrad())
    },
    middle: (user) => {
      user.second = () => 'second'
      return { stages: [user.first()] }
    },
    last: (user) => ({ stages: [user.first(), user.second()] }),
  })
  const output = await call(server, 'forward', sm.scalar(1))
  output.requires_grad = true
  output.mul(1).backward()
  assert.deepEqual(await call(server, 'middle', output.grad), { stages: ['first'] })
  // Others come and go in between.
  await call(server, 'forward', sm.scalar(2))
  await nextTurn()
  assert.deepEqual(await call(server, 'last', output.grad), { stages: ['first', 'second'] })
})

test('a finished ticket lets go of its closure', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const server = serve(t, {
    forward: (user, x) => {
      const y = x.mul(weight)
      user.opt = (jacobian) => void y.backward(jacobian)
      return y
    },
    optimize: (user, jacobian) => void user.opt(jacobian),
    peek: (user) => ({ opt: typeof user.opt }),
  })
  const output = await call(server, 'forward', sm.scalar(1))
  assert.equal((await call(server, 'peek')).opt, 'function')
  output.requires_grad = true
  output.mul(1).backward()
  await call(server, 'optimize', output.grad)
  await poll(async () => (await call(server, 'peek')).opt === 'undefined', 'the closure to go')
  await assert.rejects(call(server, 'optimize', output.grad.mul(2)), (error) => error.status >= 400)
})

test('what a failed handler stored doesn\'t stay', async (t) => {
  const server = serve(t, {
    forward: (user) => {
      user.opt = () => {}
      user.count = 1
      throw new Error('no')
    },
    peek: (user) => ({ opt: typeof user.opt, count: user.count }),
  })
  await call(server, 'peek')
  await assert.rejects(call(server, 'forward', sm.scalar(1)), /no/)
  assert.deepEqual(await call(server, 'peek'), { opt: 'undefined', count: 1 })
})

test('values on user can be deleted', async (t) => {
  const server = serve(t, {
    set: (user) => { user.x = 1 },
    remove: (user) => { delete user.x },
    peek: (user) => ({ x: user.x ?? 'none' }),
  })
  await call(server, 'set')
  assert.equal((await call(server, 'peek')).x, 1)
  await call(server, 'remove')
  assert.equal((await call(server, 'peek')).x, 'none')
})

// --- gradients over the network ---

test('grad_fn makes the answer part of the graph', async (t) => {
  const server = serve(t, { twice: (user, x) => x.mul(2) })
  const x = sm.tensor([1, 2]).requireGrad()
  const y = await call(server, 'twice', x, { grad_fn: ({ grad_in }) => grad_in.mul(2) })
  const found = Object.values(await sm.loss.mse(y, sm.tensor([0, 0])).backward())
  assert.equal(found[0].tensor, x)
  close(x.grad, [4, 8])
})

test('grad_fn of named inputs gives a gradient for each', async (t) => {
  const server = serve(t, { add: (user, { a, b }) => a.add(b) })
  const [a, b] = [sm.tensor([1]).requireGrad(), sm.tensor([2]).requireGrad()]
  const y = await call(server, 'add', { a, b }, { grad_fn: ({ grad_in }) => [grad_in, grad_in.mul(5)] })
  await y.backward()
  close(a.grad, [1])
  close(b.grad, [5])
})

test('grad_fn needs a tensor as the answer', async (t) => {
  const server = serve(t, { nothing: () => {} })
  await assert.rejects(call(server, 'nothing', sm.scalar(1), { grad_fn: () => {} }), /grad_fn needs .* answered nothing/)
})

test('a sync handler answers for the passes that it started', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const remote = serve(t, { scale: (user, x) => x.mul(3), back: (user, g) => g.mul(3), broken: () => { throw new Error('the other side is gone') } })
  const model = (x, route) => call(remote, 'scale', x.mul(weight), { grad_fn: ({ grad_in }) => call(remote, route, grad_in) })
  const server = serve(t, {
    forward: async (user, x) => {
      const y = await model(x, x.toFloat32() > 0 ? 'back' : 'broken')
      user.opt = (jacobian) => {
        sm.optim.sgd(y.backward(jacobian), 0.1)
      }
      return y
    },
    optimize: (user, jacobian) => {
      user.opt(jacobian)
    },
  })
  const train = async (value) => {
    const output = await call(server, 'forward', sm.scalar(value), { grad_fn: async ({ grad_in }) => void (await call(server, 'optimize', grad_in)) })
    await output.backward()
  }
  await train(1)
  close(weight, 0.7)
  await assert.rejects(train(-1), /the other side is gone/)
  await train(1)
  close(weight, 0.4)
})

// --- options ---

test('an aborted request rejects with the reason', async (t) => {
  let release
  const server = serve(t, { wait: () => new Promise((resolve) => { release = resolve }) })
  const controller = new AbortController()
  const pending = call(server, 'wait', undefined, { signal: controller.signal })
  await poll(() => release, 'the handler')
  controller.abort(new Error('no patience'))
  await assert.rejects(pending, /no patience/)
  await assert.rejects(call(server, 'wait', undefined, { signal: controller.signal }), /no patience/)
  release()
})

test('a timeout is an error with code timeout', async (t) => {
  let release
  const server = serve(t, { wait: () => new Promise((resolve) => { release = resolve }) })
  await assert.rejects(call(server, 'wait', sm.scalar(1), { timeout: 30 }), { code: 'timeout', status: 504 })
  release?.()
})

test('headers and tokens are sent', async (t) => {
  const http = await import('node:http')
  let seen
  const plain = http.createServer((request, response) => {
    seen = request.headers
    response.writeHead(204).end()
  })
  await new Promise((resolve) => plain.listen(0, '127.0.0.1', resolve))
  t.after(() => { plain.closeAllConnections?.(); plain.close() })
  assert.equal(await sm.io.tfetch(`http://127.0.0.1:${plain.address().port}/x`, sm.scalar(1), { headers: { 'X-Mine': 5 }, token: 'secret' }), undefined)
  assert.equal(seen['x-mine'], '5')
  assert.equal(seen.authorization, 'Bearer secret')
  assert.equal(seen['content-type'], 'application/x-safetensors')
})

test('port 0 takes a free port, and a taken one is an error', async (t) => {
  const server = serve(t, { a: () => {} })
  assert.ok(server.port > 0)
  assert.equal(server.url, `http://127.0.0.1:${server.port}`)
  assert.throws(() => sm.io.serve({ a: () => {} }, { port: server.port }), { code: 'connection' })
  const text = sm.io.serve({ a: () => {} }, { port: '0' })
  assert.ok(text.port > 0)
  await text.stop()
})

test('options and handlers that can\'t be meant are refused', () => {
  const refuse = (handlers, options, message) => assert.throws(() => sm.io.serve(handlers, options), (error) => error instanceof sm.ShumaiError && message.test(error.message))
  refuse({}, { port: 70000 }, /port must be 0 to 65535/)
  refuse({}, { prot: 3000 }, /no option "prot"/)
  refuse({}, { port: 0, limits: { maxTicket: 3 } }, /no limit "maxTicket"/)
  refuse({}, { port: 0, limits: { maxTickets: -3 } }, /maxTickets/)
  refuse({ a: 5 }, { port: 0 }, /handler of "a" must be a function, got 5/)
  refuse({ statistics: () => {} }, { port: 0, statistics: () => {} }, /statistics are given twice/)
  refuse({ statistics: 5 }, { port: 0 }, /statistics must be a function/)
  refuse({}, { port: 0, hostname: '0.0.0.0' }, /insecure/)
  refuse({}, { port: 0, statistics: 5 }, /statistics must be a function/)
})

test('stop waits for running handlers, refuses new calls, and may be called again', async () => {
  let release
  const server = sm.io.serve({ wait: () => new Promise((resolve) => { release = () => resolve(sm.scalar(7)) }) }, { port: 0 })
  const pending = call(server, 'wait')
  await poll(() => release, 'the handler')
  const stopping = server.stop()
  assert.equal(server.stop(), stopping)
  release()
  close(await pending, 7)
  await stopping
  await assert.rejects(call(server, 'wait'), sm.ShumaiError)
})

test('statistics hold the routes and the caller\'s own entries', async (t) => {
  let loss = 1
  const server = serve(t, { forward: (user, x) => x }, { statistics: () => ({ loss, nested: { deep: [1] } }) })
  await call(server, 'forward', sm.scalar(1))
  const read = async () => (await raw(server, 'statistics')).json()
  assert.equal((await poll(async () => { const found = await read(); return found.loss === 1 && found }, 'the entries')).routes.forward.requests, 1)
  loss = 0.5
  const found = await poll(async () => { const found = await read(); return found.loss === 0.5 && found }, 'the new entries')
  assert.deepEqual(found.nested, { deep: [1] })
  assert.equal(server.statistics().loss, 0.5)
  assert.equal(server.statistics().routes.forward.requests, 1)
})

test('statistics may be a handler, and may have to be awaited', async (t) => {
  let weight = 1
  const part = serve(t, { statistics: () => ({ weight }) })
  const whole = serve(t, { statistics: async () => ({ part: await (await raw(part, 'statistics')).json() }) })
  const read = async () => (await (await raw(whole, 'statistics')).json()).part?.weight
  await poll(async () => (await read()) === 1, 'the entries')
  weight = 2
  await poll(async () => (await read()) === 2, 'the new entries')
  assert.equal(whole.statistics().part.weight, 2)
})

test('statistics that can\'t be had are reported', async (t) => {
  const server = serve(t, {}, { statistics: () => Promise.reject(new Error('no figures')) })
  await poll(async () => (await (await raw(server, 'statistics')).json()).statistics_error === 'no figures', 'the error')
})

test('statistics that throw are reported, and do no harm', async (t) => {
  const server = serve(t, { a: (user, x) => x }, { statistics: () => { throw new Error('no figures') } })
  await poll(async () => (await (await raw(server, 'statistics')).json()).statistics_error === 'no figures', 'the error')
  close(await call(server, 'a', sm.scalar(1)), 1)
})

test('health and readiness are answered', async (t) => {
  const server = serve(t, {})
  assert.equal((await raw(server, 'health/live')).status, 200)
  assert.equal((await raw(server, 'health/ready')).status, 200)
})

test('forwards without an optimize stay bounded', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const server = serve(t, {
    forward: (user, x) => {
      const y = x.mul(weight)
      user.opt = (jacobian) => y.backward(jacobian)
      return y
    },
  }, { limits: { maxTicketsPerSession: 10 } })
  const x = sm.ones([1000])
  for (let i = 0; i < 200; ++i) (await call(server, 'forward', x)).dispose()
  assert.ok(server.statistics().tickets.live <= 10)
})

test('many calls at once are all answered', async (t) => {
  const server = serve(t, { twice: (user, x) => x.mul(2) })
  const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => call(server, 'twice', sm.scalar(i))))
  answers.forEach((answer, i) => close(answer, 2 * i))
})

test('answers of an async tidy\'s fetches are tidied', async (t) => {
  const server = serve(t, { echo: (user, x) => x })
  let answer
  await sm.util.tidy(async () => {
    answer = await call(server, 'echo', sm.scalar(1))
  })
  assert.ok(answer.isDisposed)
})
