import { Tensor } from './tensor.js'

/** Functions and tensors, alone or in an object or array, hold a graph: they belong to one ticket. */
function holdsGraph(value) {
  const holds = (item) => typeof item === 'function' || item instanceof Tensor
  if (holds(value)) return true
  if (value === null || typeof value !== 'object') return false
  const prototype = Object.getPrototypeOf(value)
  return (Array.isArray(value) || prototype === Object.prototype || prototype === null) && Object.values(value).some(holds)
}

// What one ticket's calls see as `user`: own values first, then the session's,
// without those that belong to other tickets. Writes land in both at once, so
// handlers that run meanwhile see them.
class View {
  /** Set once the view belongs to a ticket, after its first call. */
  ticketed = false
  /** How often the core was told to remember the view, and will say that it can go. */
  holds = 0
  gone = false
  writes = 0
  captures = 0

  constructor(users, name, session, token) {
    this.users = users
    this.token = token
    this.name = name
    this.session = session
    this.user = new Proxy({}, this)
  }

  #told(key) {
    if (key === 'id') return { value: this.session }
    return key === 'token' && this.token ? { value: this.token } : undefined
  }

  #inherited(key) {
    const known = this.users.sessions.get(this.session)
    if (!known || !Object.hasOwn(known.latest, key)) return this.#told(key)
    const owner = known.owners.get(key)
    if (this.ticketed && owner !== undefined && owner !== this.name) return undefined
    return { value: known.latest[key] }
  }

  get(own, key) {
    if (Object.hasOwn(own, key)) return own[key]
    const found = this.#inherited(key)
    return found ? found.value : Object.prototype[key]
  }

  has(own, key) {
    return Object.hasOwn(own, key) || this.#inherited(key) !== undefined || key in Object.prototype
  }

  set(own, key, value) {
    own[key] = value
    if (typeof key === 'symbol') return true
    const owned = holdsGraph(value)
    if (owned && this.gone) return true
    ++this.writes
    const { latest, owners } = this.users.session(this.session, this.token)
    latest[key] = value
    if (owned) {
      ++this.captures
      owners.set(key, this.name)
    } else owners.delete(key)
    return true
  }

  defineProperty(own, key, { value }) {
    return this.set(own, key, value)
  }

  deleteProperty(own, key) {
    delete own[key]
    const known = this.users.sessions.get(this.session)
    if (known) {
      delete known.latest[key]
      known.owners.delete(key)
    }
    return true
  }

  getPrototypeOf() {
    return this.users.sessions.get(this.session)?.latest ?? Object.prototype
  }
}

/** What the handlers of one server keep on `user`. */
export class Users {
  sessions = new Map()
  views = new Map()

  session(id, token) {
    let known = this.sessions.get(id)
    if (!known) this.sessions.set(id, (known = { latest: token ? { id, token } : { id }, owners: new Map() }))
    return known
  }

  open(name, ticketed, session, token) {
    const view = this.views.get(name) ?? new View(this, name, session, token)
    view.ticketed ||= ticketed
    return view
  }

  /** The core keeps the view's name with the ticket, and calls dropView() when it lets go. */
  remember(view) {
    ++view.holds
    this.views.set(view.name, view)
  }

  dropView(name) {
    const view = this.views.get(name)
    if (view && --view.holds === 0) this.forget(view)
  }

  /** What belonged to the ticket leaves the session with it. */
  forget(view) {
    view.gone = true
    this.views.delete(view.name)
    const known = this.sessions.get(view.session)
    if (!known) return
    for (const [key, owner] of known.owners) {
      if (owner !== view.name) continue
      delete known.latest[key]
      known.owners.delete(key)
    }
  }
}
