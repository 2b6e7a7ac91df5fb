// A server of the dashboard's data, in states that are hard to make with a real one.
import { createServer } from 'node:http'
import { makePage } from '../build.js'

const kColumns = [
  'loss',
  'step',
  'gradient_norm',
  'updates',
  'requests',
  'errors',
  'latency',
  'staleness',
  'version',
  'tensor_bytes',
  'resident_bytes',
  'sessions',
  'tickets',
]

const MiB = 2 ** 20
// The same curve in each run, without a generator of random numbers.
const ripple = (i, period) => Math.sin(i / period) + Math.sin(i / (period * 0.37)) + Math.sin(i * 12.9898) * 0.6

const pointAt = (i) => ({
  loss: i % 7 === 6 ? null : 2.3 * Math.exp(-i / 120) + 0.04 + Math.abs(ripple(i, 9)) * 0.03,
  step: i * 41,
  gradient_norm: 1.4 * Math.exp(-i / 200) + 0.1 + Math.abs(ripple(i, 5)) * 0.05,
  updates: 41 + ripple(i, 13) * 2,
  requests: 84 + ripple(i, 11) * 4,
  errors: i % 60 === 0 ? 2 : 0,
  latency: 0.0042 + Math.abs(ripple(i, 17)) * 4e-4,
  staleness: 1 + ripple(i, 7) * 0.2,
  version: i * 41,
  tensor_bytes: 5.4 * MiB + ripple(i, 4) * 1e5,
  resident_bytes: 61 * MiB + i * 200,
  sessions: 3,
  tickets: 4 + Math.round(ripple(i, 3)),
})

const route = (requests, errors = 0) => ({
  requests,
  errors,
  seconds: requests * 0.004,
  p50_seconds: 0.0038,
  p95_seconds: 0.0071,
  p99_seconds: 0.0123,
})

export class Mock {
  id = '1f00ab3c'
  began = 1_763_900_000
  points = 0
  interval = 1
  base = '/'
  requests = []
  restored = []
  #watchers = new Set()
  #server

  /**
   * token, scoped: the secret that is for all, and one that isn't for statistics; `checkpoints`, `statistics`,
   * `models` go into feeds as they are; `empty`: nobody trains; `refuse`, `refuseModel`, `restoreFails`: [status, detail]
   * of streams, of relayed ones and of roll-backs; `base`: the path of a gateway.
   */
  constructor(options = {}) {
    Object.assign(this, options)
  }

  async start(port = 0) {
    this.page ??= await makePage()
    this.#server = createServer((request, response) => this.#answer(request, response))
    await new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
    this.port = this.#server.address().port
    return this
  }

  get url() {
    return `http://127.0.0.1:${this.port}${this.base}`
  }

  get version() {
    return this.points * 41
  }

  get watchers() {
    return this.#watchers.size
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  /** Time goes on by `count` points, told in one event. */
  advance(count = 1) {
    const from = this.points
    this.points += count
    for (const { response, model } of this.#watchers) this.#send(response, model, from)
  }

  /** Ends every stream, as where a token was taken back. */
  drop() {
    for (const { response } of this.#watchers) response.end()
  }

  /** Half as many points to everyone who watches, as where a server has no more room. */
  merge() {
    this.interval *= 2
    this.points = Math.floor(this.points / 2)
    for (const { response, model } of this.#watchers) this.#send(response, model, 0, true)
  }

  #send(response, model, from, reset) {
    const feed = this.feed(model, from, reset)
    response.write(`id: ${feed.cursor}\ndata: ${JSON.stringify(feed)}\n\n`)
  }

  feed(model = '', from = 0, reset = from === 0) {
    const numbers = Array.from({ length: this.empty ? 0 : this.points - from }, (_, i) => (from + i) * this.interval)
    const points = numbers.map(pointAt)
    const history = { reset, interval: this.interval, time: numbers.map((i) => this.began + i) }
    for (const name of kColumns) history[name] = points.map((point) => point[name])
    return {
      id: this.id + model,
      time: this.began + this.points * this.interval,
      cursor: `0.${this.points}`,
      statistics: this.#statistics(points.at(-1), model),
      history,
      ...(this.checkpoints && !model ? { checkpoints: this.checkpoints } : {}),
    }
  }

  #statistics(last, model) {
    const n = this.points
    const version = this.empty ? 0 : n * 41 + (this.restored.length ? 1 : 0)
    return {
      id: this.id + model,
      uptime_seconds: n + 0.5,
      routes: this.routes ?? { forward: route(n * 42, 3), optimize: route(n * 41), statistics: route(n) },
      connections: 5,
      compute_queue: 0,
      requests_in_flight: 2,
      bytes_in: n * 210_000,
      bytes_out: n * 96_000,
      refused: { unauthorized: 2, forbidden: 0 },
      sessions: 3,
      tickets: {
        live: 4,
        bytes: 812_000,
        minted: n * 42,
        done: n * 41,
        expired: 12,
        evicted: 0,
        remembered: 100,
        answers_replayed: 1,
      },
      weights: {
        version,
        updates: n * 41,
        refused: 1,
        stale: 2,
        scaled: 0,
        restored: this.restored.length,
        staleness: this.empty
          ? []
          : [
              [0, n * 30],
              [1, n * 8],
              [3, n * 2],
              [7, n],
            ].map(([up_to, updates]) => ({ up_to, updates })),
      },
      ...(last
        ? { loss: { last: last.loss ?? 0.05, step: last.step, reports: n * 41 }, gradient_norm: last.gradient_norm }
        : {}),
      ...(this.models && !model ? { models: this.models } : {}),
      ...(this.checkpoints
        ? { checkpoint: { version: 120, writes: 3, failures: 0, last_write_seconds: 0.002, resumed: false } }
        : {}),
      tensor_bytes: 5.4 * MiB,
      resident_bytes: 61 * MiB,
      ...this.statistics,
    }
  }

  #answer(request, response) {
    const url = new URL(request.url, this.url)
    if (!url.pathname.startsWith(this.base)) return problem(response, 404, `nothing is outside of ${this.base}`)
    url.pathname = url.pathname.slice(this.base.length - 1)
    this.requests.push(`${request.method} ${url.pathname}`)
    const secret = request.headers.authorization?.replace('Bearer ', '')
    const allowed = !this.token || secret === this.token
    if (url.pathname === '/') return this.#sendPage(response, allowed)
    if (this.scoped && secret === this.scoped)
      return problem(response, 403, 'the token "phone" isn\'t for "statistics"')
    if (!allowed) return problem(response, 401, 'this server wants a token')
    this.#data(request, response, url)
  }

  #sendPage(response, allowed) {
    response.writeHead(allowed ? 200 : 401, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; script-src '${this.page.hash}'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    response.end(this.page.html)
  }

  #data(request, response, url) {
    const model = url.searchParams.get('model') ?? ''
    const checkpoint = /^\/checkpoints\/(\d+)(\/restore)?$/.exec(url.pathname)
    if (checkpoint) return this.#checkpoint(request, response, Number(checkpoint[1]), checkpoint[2])
    if (url.pathname === '/statistics') return json(response, this.feed().statistics)
    if (url.pathname !== '/statistics/stream') return problem(response, 404, 'no such route')
    if (this.refuse) return problem(response, ...this.refuse)
    if (model && this.refuseModel) return problem(response, ...this.refuseModel)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const watcher = { response, model }
    this.#watchers.add(watcher)
    response.on('close', () => this.#watchers.delete(watcher))
    this.#send(response, model, 0)
  }

  #checkpoint(request, response, version, restore) {
    if (restore && this.restoreFails) return problem(response, ...this.restoreFails)
    if (!restore)
      return response.writeHead(200, { 'content-type': 'application/x-safetensors' }).end(`checkpoint ${version}`)
    if (request.method !== 'POST') return problem(response, 405, 'POST it')
    this.restored.push(version)
    json(response, { restored: version, version: this.points * 41 + 1 })
    this.advance()
  }
}

const json = (response, value) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))

const problem = (response, status, detail) =>
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ title: 'refused', status, detail }))

/** Three servers below: one up, with one below it that is down, and one that doesn't take our token. */
export const someModels = [
  {
    model: '0',
    url: 'http://127.0.0.1:4001',
    state: 'up',
    seconds_ago: 0.4,
    calls: 5120,
    failures: 0,
    statistics: {
      weights: { version: 2560 },
      models: [
        {
          model: '0',
          url: 'http://127.0.0.1:4003',
          state: 'down',
          error: 'connect: Connection refused',
          seconds_ago: 4.1,
          calls: 12,
          failures: 12,
        },
      ],
    },
  },
  {
    model: '1',
    url: 'http://127.0.0.1:4002',
    state: 'refused',
    error: 'its token isn\'t for "statistics"',
    seconds_ago: 1.2,
    calls: 5119,
    failures: 3,
  },
]

export const someCheckpoints = (now) => ({
  restorable: true,
  list: [
    { version: 9840, bytes: 40_960, time: now - 10 },
    { version: 8200, bytes: 40_960, time: now - 50 },
    { version: 120, bytes: 40_112, time: now - 3400 },
  ],
})
