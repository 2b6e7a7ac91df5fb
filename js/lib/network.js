import { native, ShumaiError } from './native.js'
import { prepare, tidyExclude } from './memory.js'
import { Tensor, withGradFn, wrap } from './tensor.js'

// --- Content: what one message carries ---

const isPlainObject = (value) => value !== null && typeof value === 'object' && !(value instanceof Tensor)

/** [kind, data] for the core. An object of tensors travels as named tensors, anything else as JSON. */
function encode(value, what) {
  if (value === undefined || value === null) return [undefined, undefined]
  if (value instanceof Tensor) return ['tensor', value.__handle]
  if (isPlainObject(value) && !Array.isArray(value)) {
    const entries = Object.entries(value)
    const tensors = entries.filter(([, item]) => item instanceof Tensor)
    if (tensors.length > 0 && tensors.length === entries.length) return ['tensors', entries.map(([name, item]) => [name, item.__handle])]
    if (tensors.length > 0) throw new ShumaiError(`${what}: an object must hold tensors only or none, "${entries.find(([, item]) => !(item instanceof Tensor))[0]}" is none`)
  }
  if (typeof value === 'function' || typeof value === 'symbol') throw new ShumaiError(`${what}: can't send a ${typeof value}`)
  return ['json', toJson(value)]
}

const toJson = (value) => JSON.parse(JSON.stringify(value, (key, item) => (typeof item === 'bigint' ? item.toString() : item)))

/** Must run in the same turn as the core made the handles. */
function decode(kind, data) {
  if (kind === 'tensor') return wrap(data)
  if (kind === 'tensors') return Object.fromEntries(data.map(([name, handle]) => [name, wrap(handle)]))
  return data
}

// --- Client ---

const fetching = new Map()

function fetched(number, error, kind, data) {
  const { resolve, reject, cleanup } = fetching.get(number)
  fetching.delete(number)
  cleanup?.()
  if (error) reject(error)
  else resolve(tidyExclude(() => decode(kind, data)))
}

function abortReason(signal) {
  return signal.reason ?? new ShumaiError('the request was aborted', 'cancelled', 499)
}

function send(url, input, { timeout = 60000, headers = {}, signal, token } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw abortReason(signal)
    const [kind, data] = encode(input, 'tfetch')
    const list = Object.entries(headers).map(([name, value]) => [name, String(value)])
    if (token !== undefined) list.push(['Authorization', `Bearer ${token}`])
    const number = native.fetch(String(url), kind, data, timeout, list)
    const call = { resolve, reject }
    fetching.set(number, call)
    if (!signal) return
    const abort = () => {
      call.resolve = () => {}
      call.reject = () => {}
      native.abort(number)
      reject(abortReason(signal))
    }
    signal.addEventListener('abort', abort, { once: true })
    call.cleanup = () => signal.removeEventListener('abort', abort)
  })
}

/**
 * Like fetch, for tensors: sends a tensor, an object of tensors or nothing,
 * and gives what the route answers: the same, a plain object, or undefined.
 * `grad_fn` makes the answer part of the local graph: it gets {grad_in}, the
 * gradient of the answer, and may return the gradient of the input. The
 * gradient of an answer carries the answer's ticket back by itself.
 * Throws ShumaiError with the server's message, `code` and `status`.
 */
export async function tfetch(url, input, options = {}) {
  const gradFn = options.grad_fn ?? options.gradFn
  const answer = await send(url, input, options)
  if (!gradFn) return answer
  if (!(answer instanceof Tensor)) throw new ShumaiError('tfetch: grad_fn needs a route that answers one tensor')
  return withGradFn(answer, input instanceof Tensor ? [input] : [], gradFn)
}

/**
 * A model behind a server (serve_model, or one with the same routes) as a
 * function: `await model(x)`, then `await loss.backward()`. `errorHandler` is
 * called instead of throwing when a request fails for good.
 */
export function remote_model(url, { backwardUrl, errorHandler, ...options } = {}) {
  const forwardUrl = backwardUrl ? url : `${url}/forward`
  const guarded = async (action) => {
    try {
      return await action()
    } catch (error) {
      if (!errorHandler) throw error
      return await errorHandler(error)
    }
  }
  const grad_fn = (grad) => guarded(() => tfetch(backwardUrl ?? `${url}/optimize`, grad.grad_in, options))
  return (input, perCall = {}) =>
    guarded(() => {
      const headers = { ...options.headers, ...perCall.headers }
      if (!input.requires_grad) headers['Shumai-Input-Gradient'] = 'none'
      return tfetch(forwardUrl, input, { ...options, ...perCall, headers, grad_fn })
    })
}

// --- Server ---

const servers = new Map()

/** What handlers keep on `user`: a view for each ticket over an object for the session. */
class Users {
  sessions = new Map()
  views = new Map()

  open(view, ticketed, session) {
    if (ticketed) {
      const known = this.views.get(view)
      if (!known) throw new ShumaiError('user: nothing is stored for this ticket', 'gone', 410)
      return known.user
    }
    return Object.create(this.sessions.get(session)?.latest ?? { id: session })
  }

  /**
   * Takes over what the handler wrote: [captured, stored]. Functions and tensors
   * belong to the ticket and leave the session with it; other values stay.
   */
  commit(user, view, session, before) {
    let captured = false
    let stored = false
    for (const key of Object.keys(user)) {
      const value = user[key]
      if (before?.get(key) === value && before.has(key)) continue
      stored = true
      const owned = typeof value === 'function' || value instanceof Tensor
      captured ||= owned
      const { latest, owners } = this.session(session, user)
      latest[key] = value
      if (owned) owners.set(key, view)
      else owners.delete(key)
    }
    if (captured) this.views.set(view, { user, session })
    return [captured, stored]
  }

  session(id, user) {
    let known = this.sessions.get(id)
    if (!known) {
      // The object that the first view was made over becomes the session's.
      const latest = user && Object.getPrototypeOf(user).id === id ? Object.getPrototypeOf(user) : { id }
      known = { latest, owners: new Map() }
      this.sessions.set(id, known)
    }
    return known
  }

  dropView(view) {
    const known = this.views.get(view)
    this.views.delete(view)
    const session = known && this.sessions.get(known.session)
    if (!session) return
    for (const [key, owner] of session.owners) {
      if (owner !== view) continue
      delete session.latest[key]
      session.owners.delete(key)
    }
  }
}

function requested(call, server, route, view, ticketed, session, wantsGradient, kind, data) {
  const { users, handlers } = servers.get(server)
  const input = tidyExclude(() => decode(kind, data))
  const fail = (error) => native.fail(call, error)
  let user, before
  const finish = (result) => {
    let content, captured, stored
    try {
      content = encode(result, 'handler')
      ;[captured, stored] = users.commit(user, view, session, before)
    } catch (error) {
      return fail(error)
    }
    native.respond(call, content[0], content[1], captured, stored)
  }
  try {
    user = users.open(view, ticketed, session)
    if (ticketed) before = new Map(Object.entries(user))
    const result = handlers[route](user, input, wantsGradient)
    if (typeof result?.then === 'function') {
      // What it wrote before its first await is there for others at once.
      if (!ticketed) {
        users.commit(user, view, session, before)
        before = new Map(Object.entries(user))
      }
      result.then(finish, fail)
    } else finish(result)
  } catch (error) {
    fail(error)
  }
}

function dropped(server, kind, key) {
  const users = servers.get(server)?.users
  if (kind === 'view') users?.dropView(key)
  else users?.sessions.delete(key)
}

native.setCallbacks({ fetched, requested, dropped })

/** A running server. */
export class Server {
  #number
  constructor(number, port, url) {
    this.#number = number
    /** The port that it listens on. */
    this.port = port
    /** "http://127.0.0.1:3000" */
    this.url = url
  }
  /** What /statistics answers. */
  statistics() { return JSON.parse(native.statistics(this.#number)) }
  /** Refuses new requests, waits for running ones up to the grace, and lets the process end. */
  stop() {
    return new Promise((resolve) => {
      const number = this.#number
      native.stop(number, () => {
        servers.delete(number)
        resolve()
      })
    })
  }
}

/**
 * Serves functions: `{name: (user, tensor) => ...}`. A handler gets the tensor
 * (or object of tensors) that was sent, and returns a tensor, an object of
 * tensors, a plain object or nothing, or a promise of one. What it keeps on
 * `user` belongs to the ticket of its answer. Listens on 127.0.0.1.
 */
export function serve(handlers, options = {}) {
  const names = Object.keys(handlers)
  for (const name of names) if (typeof handlers[name] !== 'function') throw new ShumaiError(`serve: the handler of "${name}" must be a function, got ${typeof handlers[name]}`)
  prepare()
  const [number, port, url] = native.serve(names, options)
  servers.set(number, { users: new Users(), handlers: names.map((name) => handlers[name]) })
  return new Server(number, port, url)
}

/**
 * Serves `model` at /forward, and at /optimize what takes the gradient of an
 * answer back through it, calls `gradUpdate` with the gradients of the weights,
 * and answers the gradient of the input. `handlers` adds other routes.
 */
export function serve_model(model, gradUpdate, options = {}, handlers = {}) {
  return serve(
    {
      forward: async (user, input, wantsGradient) => {
        if (!(input instanceof Tensor)) throw new ShumaiError('forward: expects one tensor')
        if (wantsGradient && input.dtype >= 9) input.requires_grad = true
        const output = await model(input)
        if (output?.requires_grad)
          user.__backward = async (jacobian) => {
            const found = await output.backward(jacobian)
            const weights = {}
            let inputGradient = null
            for (const [key, entry] of Object.entries(found)) {
              if (entry.tensor === input) inputGradient = entry.grad
              else weights[key] = entry
            }
            if (gradUpdate) await gradUpdate(weights)
            return inputGradient
          }
        return output
      },
      optimize: (user, jacobian) => {
        if (!user.__backward) throw new ShumaiError('optimize: no forward came before, from the same client', 'not_found', 404)
        return user.__backward(jacobian)
      },
      ...handlers,
    },
    options,
  )
}
