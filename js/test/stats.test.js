import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import * as sm from '../index.js'
import { close } from './common.js'

const entry = (stats, op) => stats.statsByOp.get(op)
const silent = { logger: null }

test('collectStats counts what runs inside, and nothing else does', () => {
  const a = sm.randn([2, 3])
  const b = sm.randn([3, 4])
  const stats = sm.collectStats(() => {
    a.matmul(b)
    a.add(a)
    a.add(1)
    a.leakyRelu()
  })
  a.add(a)
  assert.equal(entry(stats, 'matmul').count, 1n)
  close(entry(stats, 'matmul').gflops * 1e9, 48, 1e-6)
  assert.equal(entry(stats, 'add').count, 2n)
  assert.equal(entry(stats, 'add').bytes, 48n)
  assert.ok(entry(stats, 'add').time > 0)
  assert.equal(entry(stats, 'leakyRelu').count, 1n)
  assert.equal(entry(sm.stats, 'add'), undefined)
})

test('the outer scope goes on after the inner one, even when that throws', () => {
  const a = sm.randn([2])
  let inner
  const outer = sm.collectStats(() => {
    a.exp()
    assert.throws(() => sm.collectStats(() => { inner = sm.stats; a.exp(); throw new Error('no') }), /no/)
    assert.equal(entry(inner, 'exp').count, 1n)
    a.exp()
  })
  assert.equal(entry(outer, 'exp').count, 2n)
  assert.throws(() => sm.collectStats(async () => {}), /async/)
})

test('sm.stats counts while it is enabled and starts anew', () => {
  sm.stats.logger = null
  const a = sm.randn([2])
  a.exp()
  sm.stats.enabled = true
  try {
    a.exp()
    assert.equal(entry(sm.stats, 'exp').count, 1n)
    assert.equal(sm.collectStats(() => a.exp()).statsByOp.size, 1)
    assert.equal(entry(sm.stats, 'exp').count, 1n)
  } finally {
    sm.stats.enabled = false
  }
  a.exp()
  assert.equal(entry(sm.stats, 'exp').count, 1n)
  sm.stats.enabled = true
  sm.stats.enabled = false
  assert.equal(sm.stats.statsByOp.size, 0)
})

test('a tensor carries its stats to all that is computed from it', () => {
  const stats = new sm.Stats({ ...silent, enabled: true })
  const a = sm.randn([3]).requireGrad()
  const other = sm.randn([3])
  assert.equal(a.stats, null)
  a.stats = stats
  assert.equal(a.stats, stats)
  const out = a.mul(other).add(other).sum()
  other.exp()
  assert.equal(out.stats, stats)
  assert.equal(other.stats, null)
  assert.deepEqual([...stats.statsByOp.keys()].sort(), ['add', 'mul', 'sum'])
  out.backward()
  assert.equal(entry(stats, 'mul').count, 2n)
  assert.equal(a.grad.stats, stats)
  stats.enabled = false
  a.exp()
  assert.equal(entry(stats, 'exp'), undefined)
  a.stats = null
  assert.equal(a.exp().stats, null)
  assert.throws(() => { a.stats = 3 }, /stats: expected a Stats/)
})

test('a disposed tensor takes its stats with it', () => {
  const stats = new sm.Stats({ ...silent, enabled: true })
  const a = sm.randn([3])
  a.stats = stats
  a.dispose()
  for (let i = 0; i < 3; ++i) assert.equal(sm.randn([3]).stats, null)
})

test('statistics survive JSON and merge by host', () => {
  const a = sm.randn([2, 2])
  const stats = sm.collectStats(() => a.matmul(a))
  const read = sm.Stats.fromJSON(JSON.parse(JSON.stringify(stats)))
  assert.equal(read.id, stats.id)
  assert.deepEqual(read.statsByOp, stats.statsByOp)
  stats.addRemoteStats(read)
  assert.equal(entry(stats, 'matmul').count, 2n)
  read.hostId = 'another'
  stats.addRemoteStats(read)
  assert.equal(entry(stats, 'matmul').count, 2n)
  const { remoteStats, totals, startTime, endTime } = stats.getSummary()
  assert.equal(remoteStats[0].hostId, 'another')
  assert.equal(totals.count, 2n)
  assert.ok(startTime > Date.now() - 60000 && startTime < endTime && endTime <= Date.now() + 1)
  assert.throws(() => sm.Stats.fromJSON({}), /fromJSON/)
})

test('rates are totals over time', () => {
  const stats = sm.collectStats(() => {})
  const trace = stats.startTrace('add')
  stats.logTrace({ ...trace, time: 500, bytes: 8n }, [], { elements: 2e9 })
  const { deviceRate, hostRate, totals } = stats.getSummary()
  assert.equal(totals.gflops, 2)
  close(deviceRate.gflops, 4, 1e-6)
  close(hostRate.gflops, 4, 1e-2)
})

test('loggers get what was counted, which starts anew', async () => {
  const got = []
  const stats = new sm.Stats({ logger: { process: async (data) => void got.push(data) } })
  stats.addLogger({ process: async () => { throw new Error('broken') } })
  stats.logTrace({ op: 'add', startTime: 1, time: 1, bytes: 0n }, [], { elements: 2 })
  await stats.flush()
  assert.equal(got[0].ops.get('add').count, 1n)
  assert.equal(got[0].stats.id, stats.id)
  assert.equal(stats.statsByOp.size, 0)
})

test('an enabled collector calls its logger after each interval', async () => {
  const a = sm.randn([2])
  const keepAlive = setInterval(() => {}, 1000)
  const { ops } = await new Promise((resolve) => {
    const stats = new sm.Stats({ enabled: true, interval: 5, logger: { process: async (data) => { stats.enabled = false; resolve(data) } } })
    const tagged = a.copy()
    tagged.stats = stats
    tagged.exp()
  })
  clearInterval(keepAlive)
  assert.equal(ops.get('exp').count, 1n)
})

test('the HTTP logger posts JSON', async () => {
  const body = new Promise((resolve) => {
    const server = createServer(async (request, response) => {
      let text = ''
      for await (const piece of request) text += piece
      response.end()
      server.close()
      resolve(JSON.parse(text))
    }).listen(0, '127.0.0.1', async () => {
      const a = sm.randn([2])
      const stats = sm.collectStats(() => a.exp())
      await new sm.StatsLoggerHttp({ url: `http://127.0.0.1:${server.address().port}/`, headers: { Connection: 'close' } }).process({ stats })
    })
  })
  assert.equal(sm.Stats.fromJSON(await body).statsByOp.get('exp').count, 1n)
  assert.throws(() => new sm.StatsLoggerHttp({}), /url/)
})

test('a server that collects tells its operations', async () => {
  const server = sm.io.serve({ forward: (user, x) => x.exp() }, { port: 0, signals: false })
  const mine = new sm.Stats(silent)
  await assert.rejects(mine.fetchRemoteStats(server.url), /doesn't collect/)
  sm.stats.logger = null
  sm.stats.enabled = true
  try {
    await sm.io.tfetch(`${server.url}/forward`, sm.scalar(1))
    await mine.fetchRemoteStats(server.url)
    const remote = await mine.fetchRemoteStats(server.url)
    assert.equal(entry(remote, 'exp').count, 1n)
    assert.equal(mine.getSummary().remoteStats.length, 1)
  } finally {
    sm.stats.enabled = false
    await server.stop()
  }
})
