// Servers of one model that learn together.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { poll, temporaryFolder } from './common.js'

const kMean = { rate: 1, momentum: 0 }

/** A server of y = x w whose steps add the gradient to w. */
function serveScaled(replicas, value, options = {}) {
  const weight = sm.scalar(value).requireGrad()
  const update = (found) => {
    for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().add(grad))
  }
  const server = sm.io.serve_model((x) => x.mul(weight), update, {
    port: 0,
    replicas: { every: 1, outer: kMean, weights: { weight }, ...replicas },
    ...options,
  })
  return { server, weight, stop: () => server.stop() }
}

async function learn({ server }, step) {
  const output = await sm.io.remote_model(server.url)(sm.scalar(step))
  await output.sum().backward()
}

const group = async ({ server }) => (await (await fetch(`${server.url}/statistics`)).json()).replicas
const together = (replicas) =>
  poll(async () => (await Promise.all(replicas.map(group))).every(({ members }) => members.length === replicas.length))
const reaches = (replica, value) => poll(() => Math.abs(replica.weight.toFloat32() - value) < 1e-5)

test('replicas get what one of them learned', async (t) => {
  const rendezvous = temporaryFolder(t)
  const first = serveScaled({ rendezvous, id: 'first' }, 5)
  const second = serveScaled({ rendezvous, id: 'second' }, 5)
  t.after(() => Promise.all([first.stop(), second.stop()]))
  await together([first, second])
  await learn(first, 3)
  await reaches(second, 8)
  await learn(second, 1)
  await reaches(first, 9)
  const { id, round, averages, bytes_sent } = await group(first)
  assert.equal(id, 'first')
  assert.equal(round, 2)
  assert.ok(averages >= 2 && bytes_sent > 0)
})

test('a synchronous update is the others\' when it is acknowledged', async (t) => {
  const rendezvous = temporaryFolder(t)
  const first = serveScaled({ rendezvous, id: 'first', synchronous: true }, 0)
  const second = serveScaled({ rendezvous, id: 'second', synchronous: true }, 0)
  t.after(() => Promise.all([first.stop(), second.stop()]))
  await together([first, second])
  await Promise.all([learn(first, 4), learn(second, 2)])
  // Both in one average, or one after the other.
  await poll(() => first.weight.toFloat32() === second.weight.toFloat32())
  assert.ok([3, 6].includes(first.weight.toFloat32()), String(first.weight.toFloat32()))
})

test('a replica that returns from its checkpoint brings what it had learned, once', async (t) => {
  const rendezvous = temporaryFolder(t)
  const directory = temporaryFolder(t)
  const first = serveScaled({ rendezvous, id: 'first' }, 0)
  t.after(() => first.stop())
  const checkpointed = (every) => {
    const weight = sm.scalar(0).requireGrad()
    const update = (found) => {
      for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().add(grad))
    }
    const server = sm.io.serve_model((x) => x.mul(weight), update, {
      port: 0,
      checkpoint: { directory, weights: { weight }, durability: 'every-update' },
      replicas: { rendezvous, id: 'second', every, outer: kMean },
    })
    return { server, weight }
  }
  const second = checkpointed(1)
  await together([first, second])
  await learn(second, 7)
  await reaches(first, 7)
  await second.server.stop()
  const third = checkpointed(1)
  t.after(() => third.server.stop())
  await together([first, third])
  await learn(third, 2)
  await reaches(first, 9)
  assert.equal(third.weight.toFloat32(), 9)
})

test('options of replicas are checked', (t) => {
  const rendezvous = temporaryFolder(t)
  const weights = { w: sm.scalar(1).requireGrad() }
  const refused = (replicas, message) => assert.throws(() => sm.io.serve({}, { port: 0, replicas }), { message })
  refused({ weights }, /rendezvous/)
  refused({ rendezvous }, /weights/)
  refused({ rendezvous, weights: { w: 3 } }, /"w" is none/)
  refused({ rendezvous, weights, evry: 3 }, /evry/)
  refused({ rendezvous, weights, outer: { momentum: 2 } }, /momentum/)
  refused({ rendezvous, weights, every: 0 }, /every/)
  refused({ rendezvous: 'ftp://here', weights }, /redis/)
})
