// The curves of the page, and what they are made of.
import { byteSteps, Chart, readColours } from './chart.js'
import { bytes, compact, count, number, rate, seconds } from './format.js'
import { h } from './dom.js'
import { smooth } from './store.js'

const axisRate = (value) => `${compact(value)}/s`

const lossHint = () => [
  h('p', {}, 'No loss was reported yet. The server never sees it; clients report it along with the gradient,'),
  h('pre', {}, h('code', {}, 'remote_model(url, { reportLoss: true })')),
  h('p', {}, 'or with any request, by two headers:'),
  h('pre', {}, h('code', {}, "tfetch(url, x, { headers: { 'Shumai-Loss': loss, 'Shumai-Step': step } })")),
]

const hint = (text) => [h('p', {}, text)]

const nothing = (parts) => {
  const node = document.createDocumentFragment()
  node.append(...parts)
  return node
}

function toggle(id, label, checked, onChange) {
  const box = h('input', { type: 'checkbox', id, checked })
  box.addEventListener('change', () => onChange(box.checked))
  return h('label', { className: 'toggle' }, box, label)
}

const kSettings = 'shumai-dashboard'
function readSettings() {
  try {
    return { log: false, smooth: true, window: 0, ...JSON.parse(localStorage.getItem(kSettings)) }
  } catch {
    return { log: false, smooth: true, window: 0 }
  }
}
function keepSettings(settings) {
  try {
    localStorage.setItem(kSettings, JSON.stringify(settings))
  } catch {
    // A browser that keeps nothing for us still shows the curves.
  }
}

const one = (title, colour) => [{ label: title, colour }]
const smoothed = (colour) => [
  { label: 'raw', colour, faint: true },
  { label: 'smooth', colour },
]

export class Curves {
  #store
  #settings = readSettings()

  constructor(parent, store) {
    this.#store = store
    // One for all charts; a change of size comes at the end of a frame, when the layout stands.
    this.sizes = new ResizeObserver(() => this.redraw())
    this.charts = { ...this.#ofLearning(), ...this.#ofRequests(), ...this.#ofState() }
    readColours()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', () => {
      readColours()
      this.redraw()
    })
    const charts = Object.values(this.charts)
    parent.append(...charts.map(({ node }) => node))
    const sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) charts.find(({ node }) => node === target).see(isIntersecting)
    })
    for (const { node } of charts) sight.observe(node)
  }

  #chart(title, { nothing: parts, ...rest }) {
    return new Chart({ title, sizes: this.sizes, ...rest, nothing: nothing(parts) })
  }

  #ofLearning() {
    const step = (at) => {
      const value = this.#store.history.step?.[at]
      return value == null ? '' : `step ${count(value)}`
    }
    return {
      loss: this.#chart('Loss', {
        series: smoothed('curve-1'),
        format: number,
        zero: false,
        wide: true,
        nothing: lossHint(),
        extra: step,
      }),
      gradient: this.#chart('Gradient norm', {
        series: smoothed('curve-2'),
        format: number,
        nothing: hint("Comes with the first step of this server's optimizer."),
      }),
    }
  }

  #ofRequests() {
    return {
      updates: this.#chart('Updates', {
        series: one('updates', 'curve-1'),
        format: rate,
        axis: axisRate,
        nothing: hint('Comes within a second.'),
      }),
      requests: this.#chart('Requests', {
        series: [
          { label: 'requests', colour: 'curve-1' },
          { label: 'errors', colour: 'curve-2', dash: [5, 4] },
        ],
        format: rate,
        axis: axisRate,
        nothing: hint('Comes within a second.'),
      }),
      latency: this.#chart('Latency, mean', {
        series: one('latency', 'curve-3'),
        format: seconds,
        nothing: hint('Comes with the first request.'),
      }),
    }
  }

  #ofState() {
    return {
      staleness: this.#chart('Staleness, mean', {
        series: one('staleness', 'curve-2'),
        format: number,
        nothing: hint('Comes with the first update.'),
      }),
      memory: this.#chart('Memory', {
        series: [
          { label: 'process', colour: 'curve-1' },
          { label: 'tensors', colour: 'curve-2', dash: [5, 4] },
        ],
        format: bytes,
        steps: byteSteps,
        nothing: hint('Comes within a second.'),
      }),
      clients: this.#chart('Sessions and tickets', {
        series: [
          { label: 'sessions', colour: 'curve-1' },
          { label: 'tickets', colour: 'curve-2', dash: [5, 4] },
        ],
        format: count,
        axis: compact,
        nothing: hint('Comes within a second.'),
      }),
    }
  }

  /** The controls that change what the curves show. */
  controls() {
    const change = (name) => (value) => {
      this.#settings[name] = value
      keepSettings(this.#settings)
      this.update()
    }
    const spans = [
      [0, 'everything kept'],
      [3600, 'the last hour'],
      [600, 'the last 10 minutes'],
      [60, 'the last minute'],
    ]
    const select = h(
      'select',
      { id: 'span' },
      ...spans.map(([value, label]) => h('option', { value, selected: value === this.#settings.window }, label)),
    )
    select.addEventListener('change', () => change('window')(Number(select.value)))
    return [
      h('span', { className: 'toggle' }, h('label', { for: 'span' }, 'Show'), select),
      toggle('smooth', 'Smooth', this.#settings.smooth, change('smooth')),
      toggle('log', 'Logarithmic loss', this.#settings.log, change('log')),
    ]
  }

  update() {
    const { history } = this.#store
    const { log, window } = this.#settings
    const { charts } = this
    const column = (name) => history[name] ?? history.time.map(() => null)
    const both = (name) => {
      const values = column(name)
      return this.#settings.smooth ? [values, smooth(values)] : [values.map(() => null), values]
    }
    const draw = (chart, columns, options) => chart.update([history.time, ...columns], { window, ...options })
    draw(charts.loss, both('loss'), { log })
    draw(charts.gradient, both('gradient_norm'))
    draw(charts.updates, [column('updates')])
    draw(charts.requests, [column('requests'), column('errors')])
    draw(charts.latency, [column('latency')])
    draw(charts.staleness, [column('staleness')])
    draw(charts.memory, [column('resident_bytes'), column('tensor_bytes')])
    draw(charts.clients, [column('sessions'), column('tickets')])
  }

  redraw() {
    for (const chart of Object.values(this.charts)) chart.redraw()
  }
}
