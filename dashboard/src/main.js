import { Checkpoints } from './checkpoints.js'
import { requester, Watch } from './connection.js'
import { Curves } from './curves.js'
import { byId, h, say, show } from './dom.js'
import { number } from './format.js'
import { Models, pathOf } from './models.js'
import { Replicas, Routes, Server, Staleness, Summary } from './numbers.js'
import { Store } from './store.js'
import { Token } from './token.js'

// A tab that nobody sees lets go of its stream after this long.
const kHiddenFor = 60_000

const kStates = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost, trying again',
  refused: 'Waiting for a token',
  paused: 'Paused',
}

class Page {
  #path = ''
  #hiddenTimer

  constructor() {
    this.token = new Token(() => this.restart())
    this.request = requester(() => this.token.secret)
    this.store = new Store()
    this.watch = new Watch({
      request: this.request,
      onFeed: (feed) => this.#onFeed(feed),
      onState: (kind, error) => this.#onState(kind, error),
    })
    this.curves = new Curves(byId('curves'), this.store)
    byId('controls').append(...this.curves.controls())
    this.models = new Models()
    this.checkpoints = new Checkpoints({ request: this.request, tell: (text) => this.tell(text), store: this.store })
    this.parts = [new Summary(), new Routes(), new Staleness(), new Replicas(), new Server()]
    this.trouble = h('p', { className: 'message bad', hidden: true })
    this.event = h('p', { className: 'message', hidden: true })
    byId('messages').append(this.trouble, this.event)
    say(byId('host'), location.host + location.pathname.replace(/\/$/, ''))
    // Its fragment would take the place of the model's.
    byId('skip').addEventListener('click', (event) => {
      event.preventDefault()
      byId('main').focus()
    })
    addEventListener('hashchange', () => this.#follow())
    document.addEventListener('visibilitychange', () => this.#onVisibility())
  }

  start() {
    this.#follow()
  }

  restart() {
    this.store.clear()
    this.watch.start(this.#path)
  }

  tell(text) {
    say(this.event, text)
    show(this.event, text !== '')
  }

  #follow() {
    this.#path = pathOf(location.hash)
    this.models.follow(this.#path)
    this.tell('')
    this.#warn('')
    show(byId('main'), false)
    this.restart()
    if (!this.models.knowsParents) this.#learnModels()
  }

  // For the names in the breadcrumb alone; whether the token is right shows elsewhere.
  async #learnModels() {
    try {
      const answer = await this.request('statistics')
      this.models.learn((await answer.json()).models)
    } catch {
      // The breadcrumb has numbers then.
    }
  }

  #onFeed(feed) {
    if (this.store.apply(feed)) this.tell('The server was restarted: the curves begin anew.')
    if (document.hidden) return
    this.#draw()
  }

  #draw() {
    if (!this.store.statistics) return
    show(byId('main'), true)
    this.models.update(this.store)
    for (const part of this.parts) part.update(this.store)
    this.checkpoints.update(this.store, { path: this.#path, url: this.models.url })
    if (this.points !== this.store.points) this.curves.update()
    this.points = this.store.points
    this.#warn(this.models.trouble(this.store))
    this.#title()
  }

  #title() {
    const loss = this.store.statistics?.loss?.last
    const lost = byId('state').dataset.kind === 'lost' ? '▲ ' : ''
    const title = `${lost}${loss === undefined ? '' : `${number(loss)} · `}${location.host}`
    if (document.title !== title) document.title = title
  }

  #warn(text) {
    say(this.trouble, text)
    show(this.trouble, text !== '')
  }

  async #onState(kind, error) {
    const node = byId('state')
    if (node.dataset.kind === kind && kind !== 'refused') return
    node.dataset.kind = kind
    say(node, kind === 'lost' && error.status ? 'No figures, trying again' : kStates[kind])
    document.documentElement.classList.toggle('past', kind === 'lost' || kind === 'paused')
    if (kind === 'live') this.token.close()
    if (kind === 'lost' && error.status)
      this.#warn(
        this.#path
          ? `Model ${this.#path} can't be followed: ${error.message}.`
          : `The server answers: ${error.message}.`,
      )
    else if (kind === 'live') this.#warn('')
    this.#title()
    if (kind === 'refused') await this.#onRefusal(error)
  }

  // Of a sub-model's feed, 403 may be that server's answer to this one, whose token is another matter.
  async #onRefusal(error) {
    if (this.#path && error.status === 403) {
      const own = await this.request('statistics').then(
        () => undefined,
        (caught) => caught,
      )
      if (own?.status !== 403) {
        say(byId('state'), 'Not allowed')
        return this.#warn(`Model ${this.#path} can't be followed: ${error.message}.`)
      }
    }
    show(byId('main'), false)
    this.token.ask(error)
  }

  #onVisibility() {
    clearTimeout(this.#hiddenTimer)
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#pause(), kHiddenFor)
      return
    }
    if (byId('state').dataset.kind === 'paused') this.watch.start(this.#path)
    this.#draw()
  }

  #pause() {
    if (this.watch.stopped) return
    this.watch.stop()
    this.#onState('paused')
  }
}

new Page().start()
