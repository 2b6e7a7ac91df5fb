// One curve, or a few, over time: uPlot with our axes, a cursor that all charts share, and keys for it.
import uPlot from 'uplot'
import { clock } from './format.js'
import { h, say, show } from './dom.js'

const kFont = '11px system-ui, sans-serif'
const kSync = 'moment'
// A curve goes on over shorter gaps: not every interval has a report.
const kGapPoints = 10

const paint = {}
/** Reads the theme's colours again; charts draw with them from then on. */
export function readColours() {
  const style = getComputedStyle(document.documentElement)
  for (const name of ['curve-1', 'curve-2', 'curve-3', 'muted', 'line', 'surface'])
    paint[name] = style.getPropertyValue(`--${name}`).trim()
}

const kPowersOfTwo = Array.from({ length: 50 }, (_, i) => 2 ** i)
export const byteSteps = kPowersOfTwo

const kMinute = 60
const kHour = 3600
const kDay = 86400
const kTimeSteps = [
  ...[1, kMinute].flatMap((unit) => [1, 2, 5, 10, 15, 30].map((many) => many * unit)),
  ...[1, 2, 3, 6, 12].map((many) => many * kHour),
  ...[1, 2, 7, 28].map((many) => many * kDay),
]

function timeAxis() {
  return {
    stroke: () => paint.muted,
    font: kFont,
    grid: { show: false },
    ticks: { stroke: () => paint.line, width: 1, size: 4 },
    size: 26,
    gap: 5,
    space: 62,
    incrs: kTimeSteps,
    // A label beyond the edge would be cut off.
    values: (u, splits, axis, space, step) =>
      splits.map((at) => (u.valToPos(at, 'x') > u.bbox.width / uPlot.pxRatio - 18 ? '' : clock(at, step))),
  }
}

function valueAxis({ format, steps, log }) {
  return {
    stroke: () => paint.muted,
    font: kFont,
    grid: { stroke: () => paint.line, width: 1, ...(log ? { filter: fewLogarithmicSplits } : {}) },
    ticks: { show: false },
    size: 58,
    gap: 6,
    space: 28,
    ...(steps ? { incrs: steps } : {}),
    values: (u, splits) => splits.map((value) => (value === null ? '' : format(value))),
    ...(log ? { filter: fewLogarithmicSplits } : {}),
  }
}

// Powers of ten where there are three or more, else also their doubles and fives.
function fewLogarithmicSplits(u, splits) {
  const leading = (value) => value / 10 ** Math.floor(Math.log10(value) + 1e-9)
  const among = (allowed) => (value) => allowed.some((digit) => Math.abs(leading(value) - digit) < 1e-6)
  const power = among([1])
  const told = splits.filter(power).length > 2 ? power : among([1, 2, 5])
  return splits.map((value) => (told(value) ? value : null))
}

function shortGapsOnly(u, series, first, last, gaps) {
  const span = u.scales.x.max - u.scales.x.min
  const shown = Math.max(1, last - first)
  const width = (u.bbox.width * (u.data[0][last] - u.data[0][first])) / span / shown
  return gaps.filter(([from, to]) => to - from > kGapPoints * width)
}

function line({ label, colour, dash, faint }) {
  return {
    label,
    stroke: () => paint[colour] + (faint ? '80' : ''),
    width: faint ? 1 : 1.75,
    dash,
    gaps: shortGapsOnly,
    points: { show: (u, i) => u.data[i].filter((value) => value !== null).length < 3, size: 5 },
  }
}

function valueRange({ log, zero }) {
  if (log) return (u, low, high) => (low === null ? [0.1, 1] : [low * 0.8, high * 1.25])
  return (u, low, high) => {
    if (low === null) return [0, 1]
    if (zero) return [0, high > 0 ? high * 1.08 : 1]
    const pad = (high - low || Math.abs(high) || 1) * 0.08
    return [low - pad, high + pad]
  }
}

/**
 * A figure: `series` are {label, colour, dash, faint}. update(columns, options) takes the times and one column for each
 * series; one that has nothing isn't told in the readout.
 */
export class Chart {
  #plot
  #at = null

  constructor({ title, series, format, axis = format, steps, zero = true, nothing, tools, wide, sizes, extra }) {
    Object.assign(this, { title, series, format, axis, steps, zero, sizes, extra })
    Object.assign(this, { log: false, window: 0, visible: false, stale: false, rebuild: false })
    this.readout = h('p', { className: 'readout' })
    this.area = h('div', {
      className: 'plot',
      tabIndex: 0,
      role: 'slider',
      'aria-valuemin': 0,
      'aria-valuenow': 0,
      'aria-label': `${title}, moment`,
      hidden: true,
    })
    this.nothing = h('div', { className: 'nothing' }, nothing)
    const head = h('figcaption', {}, h('h3', {}, title), ...(tools ? [tools] : []), this.readout)
    this.node = h('figure', { className: wide ? 'card wide' : 'card' }, head, this.area, this.nothing)
    this.area.addEventListener('focus', () => this.#draw())
    this.area.addEventListener('keydown', (event) => this.#key(event))
    this.area.addEventListener('blur', () => this.#leave())
  }

  update(columns, { log = false, window = 0 } = {}) {
    this.rebuild ||= log !== this.log
    Object.assign(this, { log, window, stale: true })
    // A logarithm has no place for zero.
    this.columns = log ? columns.map((column, i) => (i ? column.map((v) => (v > 0 ? v : null)) : column)) : columns
    this.any = this.columns.slice(1).some((column) => column.some((value) => value !== null))
    show(this.area, this.any)
    show(this.nothing, !this.any)
    if (!this.any) say(this.readout, '')
    if (this.visible) this.#draw()
  }

  /** Out of sight nothing is drawn. */
  see(visible) {
    this.visible = visible
    if (visible) this.#draw()
  }

  #draw() {
    if (!this.stale || !this.any) return
    this.stale = false
    if (this.rebuild) this.destroy()
    this.rebuild = false
    if (this.#plot) this.#plot.setData(this.columns)
    else this.#build()
    if (this.#at !== null) this.#moveTo(this.#at)
    else this.#read(null)
  }

  /** After a change of colours or of the place. */
  redraw() {
    if (!this.#plot) return
    const { clientWidth: width, clientHeight: height } = this.area
    if (width && (width !== this.#plot.width || height !== this.#plot.height)) this.#plot.setSize({ width, height })
    else this.#plot.redraw(false)
  }

  destroy() {
    this.sizes?.unobserve(this.area)
    this.#plot?.destroy()
    this.#plot = undefined
  }

  #build() {
    const { area, series, format, axis, steps, log, zero } = this
    const options = {
      width: area.clientWidth || 300,
      height: area.clientHeight || 160,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false, setScale: false },
        sync: { key: kSync, scales: ['x', null] },
        points: { size: 7 },
      },
      scales: {
        x: {
          time: true,
          range: (u, from, to) => [this.window ? Math.max(from, to - this.window) : from, to === from ? to + 1 : to],
        },
        y: { distr: log ? 3 : 1, range: valueRange({ log, zero }) },
      },
      axes: [timeAxis(), valueAxis({ format: axis, steps, log })],
      series: [{}, ...series.map(line)],
      hooks: { setCursor: [(u) => this.#read(u.cursor.idx)] },
    }
    this.#plot = new uPlot(options, this.columns, area)
    this.sizes?.observe(area)
  }

  // What stands at the cursor, or the latest values.
  #read(index) {
    const [time] = this.columns
    const at = index ?? time.length - 1
    const told = this.series
      .map((one, i) => ({ ...one, column: this.columns[i + 1] }))
      .filter(({ column }) => column.some((value) => value !== null))
      .map((one) => ({
        ...one,
        text: this.format(index === null ? one.column.findLast((value) => value !== null) : one.column[at]),
      }))
    const named = told.length > 1
    const parts = told.map(({ label, text }) => (named ? `${label} ${text}` : text))
    const said = [...(index === null ? [] : [clock(time[at])]), ...parts, this.extra?.(at) ?? '']
      .filter(Boolean)
      .join(' · ')
    this.#mark(at, said)
    if (said === this.readout.textContent) return
    if (!named) return say(this.readout, said)
    const [before, after] = [
      said.slice(0, said.indexOf(parts[0])),
      said.slice(said.indexOf(parts.at(-1)) + parts.at(-1).length),
    ]
    const keys = told.flatMap(({ colour, dash, faint }, i) => [
      i ? ' · ' : '',
      h('i', { className: `sample ${colour}${dash ? ' dashed' : ''}${faint ? ' faint' : ''}` }),
      parts[i],
    ])
    this.readout.replaceChildren(before, ...keys, after)
  }

  #mark(at, said) {
    this.readout.classList.toggle('past', at !== this.columns[0].length - 1)
    this.area.setAttribute('aria-valuemax', this.columns[0].length - 1)
    this.area.setAttribute('aria-valuenow', at)
    this.area.setAttribute('aria-valuetext', said)
  }

  #key(event) {
    const [time] = this.columns
    const { i0, i1 } = this.#visible()
    const now = this.#at === null ? i1 + 1 : this.#indexOf(this.#at)
    const to = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      ArrowDown: now - 1,
      ArrowUp: now + 1,
      PageDown: now - 10,
      PageUp: now + 10,
      Home: i0,
      End: i1,
    }[event.key]
    if (event.key === 'Escape') this.#leave()
    if (to === undefined) return
    event.preventDefault()
    this.#at = time[Math.min(i1, Math.max(i0, to))]
    this.#moveTo(this.#at)
  }

  #visible() {
    const { min, max } = this.#plot.scales.x
    const [time] = this.columns
    const first = time.findIndex((at) => at >= min)
    return { i0: Math.max(0, first), i1: time.findLastIndex((at) => at <= max) }
  }

  #indexOf(at) {
    const found = this.columns[0].findIndex((time) => time >= at)
    return found < 0 ? this.columns[0].length - 1 : found
  }

  #moveTo(at) {
    this.#plot.setCursor({ left: this.#plot.valToPos(at, 'x'), top: 10 }, true, true)
  }

  #leave() {
    if (this.#at === null) return
    this.#at = null
    this.#plot?.setCursor({ left: -10, top: -10 }, true, true)
  }
}
