// The tree of servers that this one calls, and the way through it.
import { ago, count, plural } from './format.js'
import { byId, h, keyed, say, show } from './dom.js'
import { flatten } from './store.js'

const kSigns = { up: '●', down: '▲', refused: '■', unknown: '?' }
const kMeanings = { up: 'up', down: 'down', refused: 'refused', unknown: 'not asked yet' }

export const linkTo = (path) => `#model=${path}`
export const pathOf = (hash) => /^#model=(\d+(?:\.\d+)*)$/.exec(hash)?.[1] ?? ''

const hostOf = (url) => url.replace(/^https?:\/\//, '').replace(/\/$/, '')

/** Up to a link that a browser may follow; other addresses, such as unix sockets, are told only. */
export const isWeb = (url) => /^https?:\/\//.test(url)

function makeModel({ path, depth }) {
  const link = h('a', { href: linkTo(path) })
  const sign = h('span', { className: 'sign', 'aria-hidden': 'true' })
  const state = h('span', { className: 'condition' })
  const facts = h('span', { className: 'facts' })
  const error = h('p', { className: 'error', hidden: true })
  const node = h('li', {}, h('div', { className: 'model' }, state, link, facts), error)
  node.style.setProperty('--depth', depth)
  const word = h('span')
  state.append(sign, word)
  return {
    node,
    update({ path: now, model }) {
      state.dataset.state = model.state
      say(sign, kSigns[model.state] ?? '?')
      say(word, ` ${kMeanings[model.state] ?? model.state}`)
      say(link, `${now}: ${hostOf(model.url)}`)
      say(facts, factsOf(model))
      say(error, model.error ?? '')
      show(error, Boolean(model.error))
    },
  }
}

function factsOf({ calls, failures, statistics, seconds_ago: asked, state }) {
  const parts = [plural(calls, 'call'), `${plural(failures, 'failure')}`]
  if (statistics?.weights) parts.push(`version ${count(statistics.weights.version)}`)
  if (state !== 'up' && asked !== undefined) parts.push(`asked ${ago(asked)}`)
  return parts.join(' · ')
}

export class Models {
  #path = ''
  #known = new Map()

  constructor() {
    this.set = keyed(byId('tree'), ({ path }) => path, makeModel)
  }

  /** What is shown now: '' for this server, else the path of a model. */
  follow(path) {
    this.#path = path
    this.#breadcrumb()
  }

  /** The URL of the model shown, where it is known. */
  get url() {
    return this.#known.get(this.#path)
  }

  /** Models of the server itself, asked for where the page begins with a sub-model. */
  learn(models) {
    for (const { path, model } of flatten(models)) this.#known.set(path, model.url)
    this.#breadcrumb()
  }

  get knowsParents() {
    return this.#path === '' || this.#known.has(this.#path)
  }

  update({ statistics }) {
    const prefix = this.#path && `${this.#path}.`
    const rows = flatten(statistics.models, prefix)
    for (const { path, model } of rows) this.#known.set(path, model.url)
    show(byId('models'), rows.length > 0)
    say(byId('models-title'), this.#path ? 'Models that this model calls' : 'Models that this server calls')
    this.set(rows)
  }

  /** What is wrong below, in one sentence; '' when nothing is. */
  trouble({ statistics }) {
    const wrong = flatten(statistics.models, this.#path && `${this.#path}.`).filter(
      ({ model }) => model.state === 'down' || model.state === 'refused',
    )
    return wrong
      .map(
        ({ path, model }) =>
          `Model ${path} (${hostOf(model.url)}) ${model.state === 'down' ? 'is down' : 'refuses this server'}.`,
      )
      .join(' ')
  }

  #breadcrumb() {
    const nav = byId('breadcrumb')
    show(nav, this.#path !== '')
    const steps = this.#path ? this.#path.split('.') : []
    const paths = ['', ...steps.map((_, i) => steps.slice(0, i + 1).join('.'))]
    const labels = paths.map((path) =>
      path === '' ? 'This server' : `Model ${path}${this.#known.has(path) ? `, ${hostOf(this.#known.get(path))}` : ''}`,
    )
    if (nav.textContent === labels.join('')) return
    const items = paths.map((path, i) => {
      const last = i === paths.length - 1
      return h(
        'li',
        {},
        last
          ? h('span', { 'aria-current': 'page' }, labels[i])
          : h('a', { href: linkTo(path).replace(/=$/, '') }, labels[i]),
      )
    })
    nav.replaceChildren(h('ol', {}, ...items))
  }
}
