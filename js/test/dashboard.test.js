// What a server tells of itself while it learns, and the way back to a checkpoint.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { poll, temporaryFolder } from './common.js'

function serveModel(t, model, update, options = {}) {
  const server = sm.io.serve_model(model, update, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}
const feed = async (server, query = '') => (await fetch(`${server.url}/statistics/feed${query}`)).json()

/** One step on y² / 2, whose gradient is y. */
async function step(remote, x = 1) {
  const output = await remote(sm.scalar(x))
  await output.mul(output).mul(0.5).backward()
}

test('a remote model reports the loss when asked', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const server = serveModel(t, (x) => x.mul(weight), (found) => sm.optim.sgd(found, 0.5))
  await step(sm.io.remote_model(server.url), 3)
  assert.equal((await feed(server)).statistics.loss, undefined)
  // The first step took the weight to 2 - 0.5 * 3 * 6.
  const remote = sm.io.remote_model(server.url, { reportLoss: true })
  await step(remote)
  const { loss, gradient_norm } = (await feed(server)).statistics
  assert.deepEqual(loss, { last: 24.5, reports: 1, step: 1 })
  assert.equal(gradient_norm, 7)
  await step(remote)
  assert.equal((await feed(server)).statistics.loss.step, 2)
  await poll(async () => (await feed(server)).history.loss.some((value) => value !== null))
})

test('a report by hand is checked', async (t) => {
  const server = sm.io.serve({ echo: (user, x) => x }, { port: 0 })
  t.after(() => server.stop())
  const call = (headers) => sm.io.tfetch(`${server.url}/echo`, sm.scalar(1), { headers })
  await call({ 'Shumai-Loss': '0.5', 'Shumai-Step': '12' })
  assert.deepEqual((await feed(server)).statistics.loss, { last: 0.5, reports: 1, step: 12 })
  await assert.rejects(call({ 'Shumai-Loss': 'low' }), { status: 400, message: /Shumai-Loss must be a number, got "low"/ })
})

test('a server tells of those that its handlers call', async (t) => {
  const weight = sm.scalar(2).requireGrad()
  const inner = serveModel(t, (x) => x.mul(weight), (found) => sm.optim.sgd(found, 0.1))
  const remote = sm.io.remote_model(inner.url)
  const outer = serveModel(t, (x) => remote(x), () => {})
  await step(sm.io.remote_model(outer.url))
  const model = await poll(async () => {
    const [found] = (await feed(outer)).statistics.models ?? []
    return found?.state === 'up' && found
  })
  assert.equal(model.url, `${inner.url}/`)
  assert.equal(model.calls, 2)
  assert.equal(model.statistics.weights.updates, 1)
  assert.equal((await feed(outer, '?model=0')).id, model.statistics.id)
})

test('weights and optimizer go back to a checkpoint', async (t) => {
  const model = sm.module.linear(1, 1)
  const optimizer = new sm.optim.SGD({ learningRate: 0.01, momentum: 0.9 })
  const server = serveModel(t, model, optimizer, { checkpoint: { directory: temporaryFolder(t), durability: 'every-update', keep: 5 } })
  const remote = sm.io.remote_model(server.url)
  const train = async () => {
    const output = await remote(sm.tensor([[2]]))
    await output.mul(output).sum().backward()
    return Object.values(model.state()).map((tensor) => tensor.valueOf())
  }
  await train()
  await train()
  const third = await train()
  const { checkpoints } = await feed(server)
  assert.equal(checkpoints.restorable, true)
  assert.deepEqual(checkpoints.list.map(({ version }) => version), [3, 2, 1])
  const forwarded = await remote(sm.tensor([[2]]))
  const answer = await fetch(`${server.url}/checkpoints/2/restore`, { method: 'POST' })
  assert.deepEqual(await answer.json(), { restored: 2, version: 4 })
  assert.deepEqual(await train(), third)
  // What was forwarded before is forwarded again by itself.
  await forwarded.mul(forwarded).sum().backward()
  const { weights } = (await feed(server)).statistics
  assert.equal(weights.restored, 1)
  assert.equal(weights.version, 6)
  const missing = await fetch(`${server.url}/checkpoints/77/restore`, { method: 'POST' })
  assert.equal(missing.status, 404)
})
