import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close, poll } from './common.js'

function serve(t, model, update, options) {
  const server = sm.io.serve_model(model, update, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}

const step = async (url, x, target) => sm.loss.mse(await sm.io.remote_model(url)(x), target).backward()

async function trained(t, batch, update) {
  const weight = sm.tensor([[1], [2]]).requireGrad()
  const xs = [sm.tensor([[1, 2]]), sm.tensor([[3, -1], [0, 1]]), sm.tensor([[0.5, 0.5]])]
  // All requests are there before the first forward runs: with batches the later three are one, and without them all
  // see the first weights.
  let gathered
  const model = async (x) => {
    await (gathered ??= poll(() => server.statistics().routes.forward.requests === 4, 'four requests'))
    return x.matmul(weight)
  }
  const server = serve(t, model, update, { batch })
  const first = sm.io.remote_model(server.url)(sm.tensor([[1, 1]]))
  await Promise.all(xs.map((x) => step(server.url, x, sm.zeros([x.shape[0], 1]))))
  await first
  return { weight, statistics: server.statistics() }
}

test('clients of a batch move the weights as they do alone', async (t) => {
  const alone = await trained(t, undefined, sm.optim.sgd)
  for (const updates of ['summed', 'each', 'auto']) {
    const { weight, statistics } = await trained(t, { max: 4, delay: 200, updates }, sm.optim.sgd)
    close(weight, alone.weight.toFloat32Array(), 1e-5)
    assert.equal(statistics.weights.updates, alone.statistics.weights.updates)
    assert.equal(statistics.batches.forward.requests, 4)
    assert.equal(statistics.batches.backward.requests, 3)
    assert.ok(statistics.batches.forward.batches < 4, JSON.stringify(statistics.batches))
  }
})

test('each client gets its rows and the gradient of its input', async (t) => {
  const weight = sm.scalar(3).requireGrad()
  const server = serve(t, (x) => x.mul(weight), () => {}, { batch: { max: 8, delay: 5 } })
  await Promise.all([1, 2, 3].map(async (value) => {
    const x = sm.full([1, 2], value).requireGrad()
    const y = await sm.io.remote_model(server.url)(x)
    close(y, [3 * value, 3 * value])
    await y.mul(value).sum().backward()
    close(x.grad, [3 * value, 3 * value])
  }))
})

test('only the client whose input is wrong gets an error', async (t) => {
  const model = (x) => {
    if (x.max().toFloat32() > 5) throw new sm.ShumaiError('too large')
    return x.mul(2)
  }
  const server = serve(t, model, undefined, { batch: { max: 8, delay: 20 } })
  const answers = await Promise.allSettled([1, 9, 2].map((value) => sm.io.tfetch(`${server.url}/forward`, sm.full([1, 2], value))))
  assert.deepEqual(answers.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
  assert.equal(answers[1].reason.message, 'too large')
})

test('options of batches that make no sense are refused', () => {
  assert.throws(() => sm.io.serve_model((x) => x, undefined, { port: 0, batch: { max: 0 } }), /batch.max must be 1 or more, got 0/)
  assert.throws(() => sm.io.serve_model((x) => x, undefined, { port: 0, batch: { max: 2, updates: 'some' } }), /batch.updates must be/)
  assert.throws(() => sm.io.serve_model((x) => x, undefined, { port: 0, batch: { most: 2 } }), /no option batch\. "most"/)
})
