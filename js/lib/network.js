import { currentTracker, prepare, tidyExclude } from './memory.js'
import { native, ShumaiError } from './native.js'
import { collect } from './started.js'
import { Tensor, withGradFn, wrap } from './tensor.js'
import { Users } from './users.js'

// --- Content: what one message carries ---

/** [kind, data] for the core. Tensors in an object or array travel as named tensors, anything else as JSON. */
function encode(value, what) {
  if (value === undefined || value === null) return [undefined, undefined]
  if (value instanceof Tensor) return ['tensor', value.__handle]
  if (typeof value === 'function' || typeof value === 'symbol') throw new ShumaiError(`${what}: can't send a ${typeof value}`)
  if (typeof value !== 'object') return ['json', toJson(value)]
  const entries = Object.entries(value)
  const other = entries.find(([, item]) => !(item instanceof Tensor))
  if (entries.length > 0 && !other) return ['tensors', entries.map(([name, item]) => [name, item.__handle])]
  if (entries.some(([, item]) => item instanceof Tensor)) throw new ShumaiError(`${what}: an object must hold tensors only or none, "${other[0]}" is none`)
  return ['json', toJson(value)]
}

const toJson = (value) => JSON.stringify(value, (key, item) => (typeof item === 'bigint' ? item.toString() : item))

/** Must run in the same turn as the core made the handles. */
function decode(kind, data) {
  let value = data
  if (kind === 'tensor') value = wrap(data)
  else if (kind === 'tensors') {
    const entries = data.map(([name, handle]) => [name, wrap(handle)])
    // Positional ones are named by their places.
    value = entries.every(([name], i) => name === String(i)) ? entries.map(([, tensor]) => tensor) : Object.fromEntries(entries)
  } else if (kind === 'json') value = JSON.parse(data)
  prepare()
  return value
}

// An option that is silently left out, such as one that protects, would be worse than an error.
function checkNames(given, known, what) {
  for (const name of Object.keys(given ?? {}))
    if (!known.includes(name)) throw new ShumaiError(`${what} ${JSON.stringify(name)}, there is ${known.join(', ')}`)
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

function send(url, input, { timeout = 60000, headers = {}, signal, token }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw abortReason(signal)
    const [kind, data] = encode(input, 'tfetch')
    const list = Object.entries(headers).map(([name, value]) => [name, String(value)])
    if (token !== undefined) list.push(['Authorization', `Bearer ${token}`])
    const number = native.fetch(String(url), kind, data, Math.ceil(timeout), list)
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

const kFetchOptions = ['grad_fn', 'gradFn', 'timeout', 'headers', 'signal', 'token']

/**
 * Like fetch, for tensors: sends a tensor, an object of tensors or nothing,
 * and gives what the route answers: the same, a plain object, or undefined.
 * `grad_fn` makes the answer part of the local graph: it gets {grad_in}, the
 * gradient of the answer, and may return the gradient of the input. The
 * gradient of an answer carries the answer's ticket back by itself.
 * Throws ShumaiError with the server's message, `code` and `status`.
 */
export async function tfetch(url, input, options = {}) {
  checkNames(options, kFetchOptions, 'tfetch: no option')
  const gradFn = options.grad_fn ?? options.gradFn
  const answer = await send(url, input, options)
  for (const tensor of tensorsOf(answer)) currentTracker()?.add(tensor)
  if (!gradFn) return answer
  if (!(answer instanceof Tensor)) throw new ShumaiError(`tfetch: grad_fn needs a route that answers one tensor, ${url} answered ${answer === undefined ? 'nothing' : 'something else'}`)
  return withGradFn(answer, tensorsOf(input), gradFn)
}

const tensorsOf = (content) => (content instanceof Tensor ? [content] : Object.values(content ?? {}).filter((item) => item instanceof Tensor))

/**
 * A model behind a server (serve_model, or one with the same routes) as a
 * function: `await model(x)`, then `await loss.backward()`. `errorHandler` is
 * called instead of throwing when a request fails for good.
 */
export function remote_model(url, settings = {}) {
  // The original took the second URL as it is.
  const { backwardUrl, errorHandler, ...options } = typeof settings === 'string' ? { backwardUrl: settings } : settings
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
      if (!(input instanceof Tensor)) throw new ShumaiError(`remote_model: expected a tensor, got ${input === null ? 'null' : typeof input}`)
      const headers = { ...options.headers, ...perCall.headers }
      if (!input.requires_grad) headers['Shumai-Input-Gradient'] = 'none'
      return tfetch(forwardUrl, input, { ...options, ...perCall, headers, grad_fn })
    })
}

// --- Server ---

const servers = new Map()

/** What the core takes of anything that was thrown. */
function describe(error) {
  try {
    if (typeof error !== 'object' || error === null) return [`a handler threw ${String(error)}`, '', 0]
    return [String(error.message ?? error), typeof error.code === 'string' ? error.code : '', Number.isInteger(error.status) ? error.status : 0]
  } catch {
    return ['a handler threw something that can\'t be read', '', 0]
  }
}

/** Calls a handler; the result is a promise only if there is something to wait for. */
function invoke(handler, user, input, wantsGradient) {
  const [result, started] = collect(() => handler(user, input, wantsGradient))
  if (typeof result?.then === 'function' || started.length === 0) return result
  // A handler that isn't async can't have awaited the backward passes and
  // updates that it started: its answer stands for them, and so do its errors.
  return Promise.all(started).then(() => result)
}

function requested(call, server, route, name, ticketed, session, wantsGradient, kind, data) {
  const input = tidyExclude(() => decode(kind, data))
  const known = servers.get(server)
  if (!known) return native.fail(call, 'the server has stopped', 'unavailable', 503)
  const { users, handlers } = known
  const view = users.open(name, ticketed, session)
  const { writes, captures } = view
  const fail = (error) => {
    if (view.holds === 0) users.forget(view)
    native.fail(call, ...describe(error))
  }
  const finish = (result) => {
    const captured = view.captures > captures
    try {
      const [kind, data] = encode(result, 'handler')
      native.respond(call, kind, data, captured, view.writes > writes)
    } catch (error) {
      return fail(error)
    }
    if (captured) users.remember(view)
  }
  try {
    const result = invoke(handlers[route], view.user, input, wantsGradient)
    if (typeof result?.then === 'function') result.then(finish, fail)
    else finish(result)
  } catch (error) {
    fail(error)
  }
}

function dropped(server, kind, key) {
  const users = servers.get(server)?.users
  if (kind === 'view') users?.dropView(key)
  else users?.sessions.delete(key)
}

/** The caller's own entries of /statistics, as JSON text. */
function asked(server) {
  const entries = servers.get(server)?.statistics?.() ?? {}
  if (typeof entries !== 'object' || Array.isArray(entries) || typeof entries.then === 'function')
    throw new ShumaiError('serve: statistics must return an object, at once')
  return toJson(entries)
}

/** [JSON text, undefined] or [undefined, message]. */
function tellStatistics(server) {
  try {
    return [asked(server), undefined]
  } catch (error) {
    return [undefined, describe(error)[0]]
  }
}

native.setCallbacks({ fetched, requested, dropped, tellStatistics })

/** A running server. */
export class Server {
  #number
  #stopped
  constructor(number, port, url) {
    this.#number = number
    /** The port that it listens on. */
    this.port = port
    /** "http://127.0.0.1:3000" */
    this.url = url
  }
  /** What /statistics answers. */
  statistics() {
    return { ...JSON.parse(native.statistics(this.#number)), ...JSON.parse(asked(this.#number)) }
  }
  /** Refuses new requests, waits for running ones up to the grace, and lets the process end. */
  stop() {
    return (this.#stopped ??= new Promise((resolve) => {
      const number = this.#number
      native.stop(number, () => {
        servers.delete(number)
        resolve()
      })
    }))
  }
}

const kOptions = ['port', 'hostname', 'insecure', 'limits', 'statistics']
const kLimits = [
  'maxBodyBytes', 'maxConnections', 'maxRequestsInFlight', 'maxSessions', 'maxTickets', 'maxTicketsPerSession', 'ticketLifetime',
  'sessionLifetime', 'maxStoredAnswerBytes', 'shutdownGrace',
]

/**
 * Serves functions: `{name: (user, tensor) => ...}`. A handler gets the tensor
 * (or object of tensors) that was sent, and returns a tensor, an object of
 * tensors, a plain object or nothing, or a promise of one. What it keeps on
 * `user` belongs to the ticket of its answer. Listens on 127.0.0.1.
 */
export function serve(handlers, options = {}) {
  const names = Object.keys(handlers)
  for (const name of names) if (typeof handlers[name] !== 'function') throw new ShumaiError(`serve: the handler of "${name}" must be a function, got ${typeof handlers[name]}`)
  checkNames(options, kOptions, 'serve: no option')
  checkNames(options.limits, kLimits, 'serve: no limit')
  const { statistics } = options
  if (statistics !== undefined && typeof statistics !== 'function') throw new ShumaiError(`serve: statistics must be a function, got ${typeof statistics}`)
  const [number, port, url] = native.serve(names, options)
  servers.set(number, { users: new Users(), handlers: names.map((name) => handlers[name]), statistics })
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
