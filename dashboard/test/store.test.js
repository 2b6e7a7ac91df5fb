import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flatten, smooth, Store } from '../src/store.js'

const feed = (fields) => ({
  id: 'a',
  time: 10,
  cursor: '0.1',
  statistics: { routes: {} },
  history: { reset: true, interval: 1, time: [9, 10], loss: [2, 1] },
  ...fields,
})
const more = (time, columns) => ({ reset: false, interval: 1, time, ...columns })

test('history that is not a reset is appended', () => {
  const store = new Store()
  store.apply(feed())
  store.apply(feed({ time: 11, history: more([11], { loss: [0.5] }) }))
  assert.deepEqual(store.history, { time: [9, 10, 11], loss: [2, 1, 0.5] })
})

test('points tells whether there is something new to draw', () => {
  const store = new Store()
  store.apply(feed())
  const { points } = store
  store.apply(feed({ time: 11, history: more([], { loss: [] }) }))
  assert.equal(store.points, points)
  store.apply(feed({ time: 12, history: more([12], { loss: [1] }) }))
  assert.notEqual(store.points, points)
})

test('a reset replaces what was there, and its interval', () => {
  const store = new Store()
  store.apply(feed())
  store.apply(feed({ history: { reset: true, interval: 2, time: [9], loss: [1.5] } }))
  assert.deepEqual(store.history, { time: [9], loss: [1.5] })
  assert.equal(store.interval, 2)
})

test('columns that come later or stay away are filled with null', () => {
  const store = new Store()
  store.apply(feed())
  store.apply(feed({ history: more([11], { gradient_norm: [3] }) }))
  assert.deepEqual(store.history, { time: [9, 10, 11], loss: [2, 1, null], gradient_norm: [null, null, 3] })
})

test('another id is another run of the server: nothing of the former stays', () => {
  const store = new Store()
  assert.equal(store.apply(feed()), undefined)
  assert.equal(store.apply(feed({ id: 'b', time: 3, history: more([3], { loss: [7] }) })), 'restarted')
  assert.deepEqual(store.history, { time: [3], loss: [7] })
  assert.deepEqual(store.rates, {})
})

test('a server that never merges points does not fill the memory', () => {
  const store = new Store()
  store.apply(feed())
  for (let i = 0; i < 5000; ++i) store.apply(feed({ history: more([11 + i], { loss: [i] }) }))
  assert.equal(store.history.time.length, 1200)
  assert.equal(store.history.loss.length, 1200)
  assert.equal(store.history.loss.at(-1), 4999)
})

test('rates of routes are what was done since the feed before', () => {
  const store = new Store()
  const routes = (requests) => ({ routes: { forward: { requests } } })
  store.apply(feed({ time: 10, statistics: routes(100) }))
  assert.deepEqual(store.rates, {})
  store.apply(feed({ time: 12, statistics: routes(150) }))
  assert.deepEqual(store.rates, { forward: 25 })
})

test('the latest value is the last that is not null', () => {
  const store = new Store()
  store.apply(feed({ history: { reset: true, interval: 1, time: [1, 2], latency: [0.5, null] } }))
  assert.equal(store.latest('latency'), 0.5)
  assert.equal(store.latest('loss'), undefined)
})

test('smoothing keeps constants, nulls and the first value, and lowers noise', () => {
  assert.deepEqual(
    smooth([3, 3, null, 3]).map((value) => value && Number(value.toFixed(12))),
    [3, 3, null, 3],
  )
  assert.equal(smooth([5])[0], 5)
  const noise = Array.from({ length: 100 }, (_, i) => (i % 2 ? 1 : -1))
  assert.ok(Math.abs(smooth(noise).at(-1)) < 0.2)
})

test('models become rows with paths from this server down', () => {
  const models = [
    { model: '0', statistics: { models: [{ model: '0' }, { model: '1', statistics: {} }] } },
    { model: '1' },
  ]
  assert.deepEqual(
    flatten(models).map(({ path, depth }) => [path, depth]),
    [
      ['0', 0],
      ['0.0', 1],
      ['0.1', 1],
      ['1', 0],
    ],
  )
  assert.deepEqual(flatten(undefined), [])
  assert.deepEqual(
    flatten([{ model: '2' }], '0.').map(({ path }) => path),
    ['0.2'],
  )
})
