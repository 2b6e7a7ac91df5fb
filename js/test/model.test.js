import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close, nextTurn, poll } from './common.js'

function serveModel(t, model, update = sm.optim.sgd, options = {}, handlers) {
  const server = sm.io.serve_model(model, update, { port: 0, ...options }, handlers)
  t.after(() => server.stop())
  return server
}
const scaleBy = (weight) => (x) => x.mul(weight)
const descend = (rate) => (differentiated) => sm.optim.sgd(differentiated, rate)

async function train(model, steps, reference, size = 16) {
  for (let step = 0; step < steps; ++step) {
    const x = sm.randn([size])
    await sm.loss.mse(await model(x), reference(x)).backward()
  }
}

test('a served model learns from its remote users', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const server = serveModel(t, scaleBy(weight), descend(0.1))
  await train(sm.io.remote_model(server.url), 60, (x) => x.mul(3))
  close(weight, 3, 0.01)
})

test('serve_model takes sgd itself', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const server = serveModel(t, scaleBy(weight))
  await train(sm.io.remote_model(server.url), 3, (x) => x.mul(3))
  assert.ok(weight.toFloat32() > 0)
})

test('the gradient of the input comes back', async (t) => {
  const weight = sm.scalar(5).requireGrad()
  const server = serveModel(t, scaleBy(weight), () => {})
  const x = sm.tensor([1, 2]).requireGrad()
  const found = Object.values(await (await sm.io.remote_model(server.url)(x)).sum().backward())
  assert.deepEqual(found.map(({ tensor }) => tensor), [x])
  close(x.grad, [5, 5])
})

test('only the weights\' gradients reach the update', async (t) => {
  const weight = sm.scalar(5).requireGrad()
  let seen
  const server = serveModel(t, scaleBy(weight), (found) => { seen = Object.values(found) })
  await (await sm.io.remote_model(server.url)(sm.scalar(2).requireGrad())).backward()
  assert.equal(seen.length, 1)
  assert.equal(seen[0].tensor, weight)
  close(seen[0].grad, 2)
})

test('models of models: gradients flow through all of them', async (t) => {
  const [a, b] = [sm.scalar(1).requireGrad(), sm.scalar(0).requireGrad()]
  const first = sm.io.remote_model(serveModel(t, scaleBy(a), descend(0.05)).url)
  const second = sm.io.remote_model(serveModel(t, (x) => x.add(b), descend(0.05)).url)
  const composed = serveModel(t, async (x) => second(await first(x)), () => {})
  await train(sm.io.remote_model(composed.url), 150, (x) => x.mul(4).sub(7))
  close(a, 4, 0.1)
  close(b, -7, 0.1)
})

test('sub-models run at the same time with Promise.all', async (t) => {
  let running = 0
  let both
  const together = new Promise((resolve) => { both = resolve })
  const weights = [sm.scalar(1).requireGrad(), sm.scalar(2).requireGrad()]
  const submodels = weights.map((weight) => sm.io.remote_model(serveModel(t, async (x) => {
    if (++running === 2) both()
    await together
    return x.mul(weight)
  }, descend(0.1)).url))
  const x = sm.tensor([1]).requireGrad()
  const [p, q] = await Promise.all(submodels.map((model) => model(x)))
  await p.add(q).sum().backward()
  close(x.grad, [3])
  close(weights[0], 0.9)
  close(weights[1], 1.9)
})

test('the seed\'s server runs a model that crosses the network', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const sub = sm.io.remote_model(serveModel(t, scaleBy(weight), descend(0.1)).url)
  const server = sm.io.serve(
    {
      forward: async (user, tensor) => {
        const Y = await sub(tensor)
        user.opt = (jacobian) => {
          sm.optim.sgd(Y.backward(jacobian), 1e-2)
        }
        return Y
      },
      optimize: (user, jacobian) => {
        user.opt(jacobian)
      },
    },
    { port: 0 },
  )
  t.after(() => server.stop())
  await train(sm.io.remote_model(server.url), 60, (x) => x.mul(3))
  close(weight, 3, 0.05)
})

test('feeds in parallel train one model', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const model = sm.io.remote_model(serveModel(t, scaleBy(weight), descend(0.02)).url)
  await Promise.all(Array.from({ length: 4 }, () => train(model, 60, (x) => x.mul(3))))
  close(weight, 3, 0.1)
})

test('an optimizer may run in a tidy', async (t) => {
  const weight = sm.scalar(0).requireGrad()
  const update = (found) => sm.util.tidy(() => {
    for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().sub(grad.mul(0.1)))
  })
  const server = serveModel(t, scaleBy(weight), update)
  await train(sm.io.remote_model(server.url), 60, (x) => x.mul(3))
  close(weight, 3, 0.01)
})

test('an update may be async, and its failure is the client\'s error', async (t) => {
  const weight = sm.scalar(1).requireGrad()
  const server = serveModel(t, scaleBy(weight), async () => {
    await nextTurn()
    throw new sm.ShumaiError('the gradient isn\'t finite', 'unprocessable', 422)
  })
  const output = await sm.io.remote_model(server.url)(sm.scalar(1))
  await assert.rejects(async () => output.backward(), { message: 'the gradient isn\'t finite', code: 'unprocessable' })
})

test('a model of integers answers and has no gradient', async (t) => {
  const server = serveModel(t, (x) => x.add(1))
  const y = await sm.io.tfetch(`${server.url}/forward`, sm.tensor([1n]))
  assert.deepEqual(y.valuesArray(), BigInt64Array.of(2n))
})

test('serve_model refuses what isn\'t a tensor, and lives on', async (t) => {
  const server = serveModel(t, (x) => x.mul(2))
  await assert.rejects(sm.io.tfetch(`${server.url}/forward`), /tensor/)
  await assert.rejects(sm.io.tfetch(`${server.url}/forward`, { a: sm.scalar(1) }), /one tensor/)
  await assert.rejects(sm.io.tfetch(`${server.url}/optimize`, sm.scalar(1)), /no forward/)
  close(await sm.io.tfetch(`${server.url}/forward`, sm.scalar(1)), 2)
})

test('further routes stand beside the model', async (t) => {
  const server = serveModel(t, (x) => x, sm.optim.sgd, {}, { info: () => ({ classes: 10 }) })
  assert.deepEqual(await sm.io.tfetch(`${server.url}/info`), { classes: 10 })
})

test('remote_model takes the backward route as well, and an error handler', async (t) => {
  const seen = []
  const server = sm.io.serve({ run: (user, x) => x.mul(2), back: (user, g) => void seen.push(g.toFloat32()) }, { port: 0 })
  t.after(() => server.stop())
  for (const options of [{ backwardUrl: `${server.url}/back` }, `${server.url}/back`]) {
    const output = await sm.io.remote_model(`${server.url}/run`, options)(sm.scalar(1))
    close(output, 2)
    await output.mul(5).backward()
  }
  assert.deepEqual(seen, [5, 5])
  const errors = []
  const model = sm.io.remote_model(`${server.url}/nowhere`, { errorHandler: (error) => { errors.push(error.code) } })
  assert.equal(await model(sm.scalar(1)), undefined)
  assert.deepEqual(errors, ['not_found'])
  await assert.rejects(sm.io.remote_model(server.url)(5), /expected a tensor, got 5/)
})

test('a failing forward leaves the server serving', async (t) => {
  const server = serveModel(t, (x) => {
    if (x.toFloat32() < 0) throw new Error('negative')
    return x
  })
  const model = sm.io.remote_model(server.url)
  await assert.rejects(model(sm.scalar(-1)), /negative/)
  close(await model(sm.scalar(1)), 1)
})

test('weights that a forward saw stay until its gradient is back', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const server = serveModel(t, (x) => x.mul(weight), () => {})
  const x = sm.scalar(1).requireGrad()
  const output = await sm.io.remote_model(server.url)(x)
  weight.update(sm.scalar(100))
  await output.backward()
  close(x.grad, 2)
})

test('expired tickets free what their forwards kept', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const server = serveModel(t, scaleBy(weight), () => {}, { limits: { maxTicketsPerSession: 5 } })
  const model = sm.io.remote_model(server.url)
  for (let i = 0; i < 50; ++i) await model(sm.ones([1000]))
  assert.ok(server.statistics().tickets.live <= 5)
  await poll(async () => (await (await fetch(`${server.url}/statistics`)).json()).tickets.expired >= 45, 'tickets to expire')
})
