// What stands in numbers: the summary, routes, staleness, replicas, and the server itself.
import { ago, bytes, count, duration, moment, number, plural, rate, seconds } from './format.js'
import { byId, h, keyed, say, show } from './dom.js'

/** Terms and what they are now, in a <dl>: items {term, value, note}. */
function pairs(list) {
  return keyed(
    list,
    ({ term }) => term,
    ({ term }) => {
      const value = h('dd')
      const note = h('dd', { className: 'note' })
      const node = h('div', {}, h('dt', {}, term), value, note)
      return {
        node,
        update(item) {
          say(value, item.value)
          say(note, item.note ?? '')
          show(note, Boolean(item.note))
        },
      }
    },
  )
}

export class Summary {
  #set = pairs(byId('summary'))

  update(store) {
    const { statistics: s } = store
    const latest = (name) => store.history[name]?.at(-1)
    const loss = s.loss
    this.#set([
      {
        term: 'Loss',
        value: loss ? number(loss.last) : '–',
        note: loss?.step === undefined ? 'not reported' : `step ${count(loss.step)}`,
      },
      { term: 'Version', value: count(s.weights?.version), note: plural(s.weights?.updates ?? 0, 'update') },
      { term: 'Updates', value: rate(latest('updates')), note: refusedNote(s.weights) },
      { term: 'Requests', value: rate(latest('requests')), note: `${count(s.requests_in_flight)} in flight` },
      { term: 'Latency', value: seconds(store.latest('latency')), note: 'mean' },
      { term: 'Memory', value: bytes(s.resident_bytes), note: `${bytes(s.tensor_bytes)} in tensors` },
      { term: 'Sessions', value: count(s.sessions), note: `${plural(s.tickets?.live ?? 0, 'live ticket')}` },
      { term: 'Connections', value: count(s.connections), note: `up ${duration(s.uptime_seconds)}` },
    ])
  }
}

const refusedNote = (weights) => {
  const { refused = 0, stale = 0 } = weights ?? {}
  return refused || stale ? `${count(refused)} refused, ${count(stale)} stale` : 'none refused'
}

const kColumns = ['Requests', 'Per second', 'Errors', 'p50', 'p95', 'p99']

export class Routes {
  #set = keyed(
    byId('routes').tBodies[0],
    ([name]) => name,
    ([name]) => {
      const cells = kColumns.map((label) => h('td', { role: 'cell', 'data-label': label }))
      const node = h('tr', { role: 'row' }, h('th', { role: 'rowheader', scope: 'row' }, name), ...cells)
      return {
        node,
        update([, values]) {
          values.forEach((value, i) => say(cells[i], value))
          cells[2].classList.toggle('bad', values[2] !== '0')
        },
      }
    },
  )

  update({ statistics, rates }) {
    const time = (route, name) => (route.requests > 0 ? seconds(route[name]) : '–')
    this.#set(
      Object.entries(statistics.routes ?? {}).map(([name, route]) => [
        name,
        [
          count(route.requests),
          rate(rates[name]),
          count(route.errors),
          time(route, 'p50_seconds'),
          time(route, 'p95_seconds'),
          time(route, 'p99_seconds'),
        ],
      ]),
    )
  }
}

// Buckets are 0, 1, 2 to 3, 4 to 7, ...
const bucket = (upTo) => (upTo <= 1 ? count(upTo) : `${count((upTo + 1) / 2)} to ${count(upTo)}`)

export class Staleness {
  constructor() {
    const body = h('tbody')
    this.empty = h(
      'p',
      { className: 'nothing' },
      'No updates yet. An update is stale by as many versions as the weights moved between its forward and its gradient.',
    )
    this.table = h(
      'table',
      { className: 'histogram', 'aria-labelledby': 'staleness-title' },
      h(
        'thead',
        {},
        h('tr', {}, h('th', { scope: 'col' }, 'Versions behind'), h('th', { scope: 'col' }, 'Updates'), h('td')),
      ),
      body,
    )
    byId('staleness').append(this.empty, this.table)
    this.set = keyed(
      body,
      ({ up_to }) => up_to,
      ({ up_to }) => {
        const updates = h('td')
        const bar = h('span', { className: 'bar-of' })
        const node = h(
          'tr',
          {},
          h('th', { scope: 'row' }, bucket(up_to)),
          updates,
          h('td', { 'aria-hidden': 'true' }, bar),
        )
        return {
          node,
          update(item) {
            say(updates, count(item.updates))
            bar.style.width = `${(100 * item.updates) / item.most}%`
          },
        }
      },
    )
  }

  update({ statistics }) {
    const buckets = statistics.weights?.staleness ?? []
    const most = Math.max(1, ...buckets.map(({ updates }) => updates))
    show(this.empty, buckets.length === 0)
    show(this.table, buckets.length > 0)
    this.set(buckets.map((item) => ({ ...item, most })))
  }
}

export class Replicas {
  constructor() {
    const list = h('ul', { className: 'members' })
    const facts = h('dl', { className: 'pairs' })
    byId('replicas').append(list, facts)
    this.facts = pairs(facts)
    this.members = keyed(
      list,
      ({ name }) => name,
      ({ name, self }) => ({ node: h('li', {}, self ? `${name} (this one)` : name), update() {} }),
    )
  }

  update({ statistics: { replicas } }) {
    show(byId('replicas-section'), Boolean(replicas))
    if (!replicas) return
    this.members(replicas.members.map((name) => ({ name, self: name === replicas.id })))
    const since = replicas.seconds_since_average
    this.facts([
      {
        term: 'Group',
        value: plural(replicas.members.length, 'member'),
        note: `formed ${replicas.forming === 1 ? 'once' : `${count(replicas.forming)} times`}`,
      },
      { term: 'Averages', value: count(replicas.averages), note: since === undefined ? '' : `the last ${ago(since)}` },
      { term: 'Drift', value: number(replicas.drift) },
      { term: 'Sent', value: bytes(replicas.bytes_sent) },
      { term: 'Failures', value: count(replicas.failures), note: replicas.failure },
    ])
  }
}

const kTold = new Set([
  'id',
  'uptime_seconds',
  'connections',
  'compute_queue',
  'requests_in_flight',
  'bytes_in',
  'bytes_out',
  'sessions',
  'tensor_bytes',
  'resident_bytes',
  'gradient_norm',
])

/** What the program adds to its statistics by itself: anything else that is one value. */
const added = (statistics) =>
  Object.entries(statistics)
    .filter(([name, value]) => !kTold.has(name) && ['number', 'string', 'boolean'].includes(typeof value))
    .map(([name, value]) => ({ term: name, value: typeof value === 'number' ? number(value) : String(value) }))

export class Server {
  #set = pairs(byId('server'))

  update(store) {
    const { statistics: s, time, id } = store
    const { tickets = {}, refused = {}, weights = {} } = s
    this.#set([
      {
        term: 'Up',
        value: duration(s.uptime_seconds),
        note: `since ${moment(time - s.uptime_seconds, time)}, run ${id}`,
      },
      { term: 'Received', value: bytes(s.bytes_in) },
      { term: 'Sent', value: bytes(s.bytes_out) },
      { term: 'Queue', value: count(s.compute_queue), note: 'requests that wait for the model' },
      {
        term: 'Tickets',
        value: `${count(tickets.live)} live`,
        note: `${bytes(tickets.bytes)}; ${count(tickets.done)} done, ${count(tickets.expired)} expired, ${count(tickets.evicted)} evicted`,
      },
      {
        term: 'Gradients refused',
        value: count(weights.refused),
        note: `${count(weights.stale)} stale, ${count(weights.scaled)} scaled`,
      },
      {
        term: 'Requests refused',
        value: count((refused.unauthorized ?? 0) + (refused.forbidden ?? 0)),
        note: `${count(refused.unauthorized)} without a valid token, ${count(refused.forbidden)} not allowed`,
      },
      ...batches(s.batches),
      ...certificate(s.tls, time),
      ...added(s),
    ])
  }
}

const batches = (counts) =>
  counts
    ? [
        {
          term: 'Mean batch',
          value: number(counts.forward.mean_size),
          note: `${number(counts.backward.mean_size)} backward`,
        },
      ]
    : []

function certificate(tls, now) {
  if (!tls) return []
  return [{ term: 'Certificate', value: `for ${duration(tls.certificate_expires - now)}`, note: tls.reload_failure }]
}
