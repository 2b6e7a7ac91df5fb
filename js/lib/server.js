import { Batcher, split } from './batcher.js'
import { checkNames, decode, encode, toJson } from './content.js'
import { fetched } from './fetch.js'
import { Learner, namedTensors } from './learner.js'
import { tidyExclude } from './memory.js'
import { Module } from './module.js'
import { description } from './modules/module.js'
import { native, ShumaiError } from './native.js'
import { withOrigin } from './origin.js'
import { ignoreSignals, stopAtSignals } from './signals.js'
import { collect } from './started.js'
import { Tensor } from './tensor.js'
import { Users } from './users.js'
import { isClass, kindOf } from './kinds.js'

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
function invoke(handler, user, input, wantsGradient, call) {
  const [result, started] = collect(() => handler(user, input, wantsGradient, call))
  if (typeof result?.then === 'function' || started.length === 0) return result
  // A handler that isn't async can't have awaited the backward passes and
  // updates that it started: its answer stands for them, and so do its errors.
  return Promise.all(started).then(() => result)
}

/** `user` as one call sees it: clients of several names may share a session. */
function withPeerName(user, peerName) {
  return new Proxy(user, { get: (target, key) => (key === 'peerName' ? peerName : target[key]) })
}

function requested(call, server, route, name, ticketed, session, token, peerName, origin, wantsGradient, kind, data) {
  const input = tidyExclude(() => decode(kind, data))
  const known = servers.get(server)
  if (!known) return native.fail(call, 'the server has stopped', 'unavailable', 503)
  const { users, handlers } = known
  const view = users.open(name, ticketed, session, token)
  const { writes, captures } = view
  const user = peerName ? withPeerName(view.user, peerName) : view.user
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
    const result = withOrigin(origin, () => invoke(handlers[route], user, input, wantsGradient, call))
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

function checkEntries(entries = {}) {
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries)) throw new ShumaiError('serve: statistics must return an object')
  return entries
}

/** Asks for the caller's own entries of /statistics, and tells the core when they are there. */
function askStatistics(server) {
  const record = servers.get(server)
  const told = (entries) => native.tellStatistics(server, toJson((record.entries = checkEntries(entries))))
  const fail = (error) => native.tellStatistics(server, undefined, describe(error)[0])
  try {
    const found = record?.statistics?.()
    if (typeof found?.then === 'function') found.then(told).catch(fail)
    else told(found)
  } catch (error) {
    fail(error)
  }
}

/** [what `ask` returns, undefined] or [undefined, message]. */
function tell(ask) {
  try {
    return [ask(), undefined]
  } catch (error) {
    return [undefined, describe(error)[0]]
  }
}
const tellState = (server) => tell(() => servers.get(server)?.learner.state())
const loadState = (server, entries) => tell(() => servers.get(server)?.learner.load(entries))

native.setCallbacks({ fetched, requested, dropped, askStatistics, tellState, loadState })

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
  /** What /statistics answers; entries that have to be awaited are those of the last time. */
  statistics() {
    const own = JSON.parse(native.statistics(this.#number))
    const record = servers.get(this.#number)
    const entries = record.statistics?.()
    if (typeof entries?.then !== 'function') return { ...own, ...JSON.parse(toJson(checkEntries(entries))) }
    entries.catch(() => {})
    return { ...own, ...JSON.parse(toJson(record.entries ?? {})) }
  }
  /** Refuses new requests, waits for running ones up to the grace, writes a last checkpoint, and lets the process end. */
  stop() {
    return (this.#stopped ??= new Promise((resolve) => {
      const number = this.#number
      native.stop(number, () => {
        servers.delete(number)
        ignoreSignals(this)
        resolve()
      })
    }))
  }
}

const kOptions = [
  'port', 'hostname', 'socketMode', 'token', 'tokens', 'tokenFile', 'tokenFromEnvironment', 'insecure', 'cors', 'allowedHosts',
  'limits', 'checkpoint', 'staleness', 'guard', 'batch', 'replicas', 'signals', 'statistics', 'inference', 'tls',
]
const kLimits = [
  'maxBodyBytes', 'maxHeaderBytes', 'maxHeaders', 'maxConnections', 'maxRequestsInFlight', 'maxRequestsInFlightPerSession', 'maxHops',
  'headerTimeout', 'bodyTimeout', 'minBodyRate', 'keepAliveTimeout', 'writeTimeout', 'lingerTimeout',
  'maxSessions', 'sessionLifetime', 'maxTickets', 'maxTicketsPerSession', 'maxTicketBytes', 'maxTicketBytesPerSession', 'ticketLifetime',
  'finishedLifetime', 'maxFinishedTickets', 'answerLifetime', 'maxStoredAnswerBytes', 'shutdownGrace',
]

const kReplicaOptions = ['rendezvous', 'group', 'id', 'address', 'every', 'interval', 'synchronous', 'outer', 'timeout', 'weights']

function checkOptions(options) {
  checkNames(options, kOptions, 'serve: no option')
  checkNames(options.limits, kLimits, 'serve: no limit')
  checkNames(options.tls, ['cert', 'key', 'clientCa', 'minVersion'], 'serve: no option tls.')
  const { statistics, guard, staleness, checkpoint, batch, replicas } = options
  if (replicas !== undefined) {
    if (typeof replicas !== 'object' || replicas === null) throw new ShumaiError(`serve: replicas must be {rendezvous, ...}, got ${String(replicas)}`)
    checkNames(replicas, kReplicaOptions, 'serve: no option replicas.')
    checkNames(replicas.outer, ['rate', 'momentum'], 'serve: no option replicas.outer.')
  }
  if (batch !== undefined) checkNames(batch, ['max', 'delay', 'updates'], 'serve: no option batch.')
  for (const token of Array.isArray(options.tokens) ? options.tokens : []) checkNames(token, ['name', 'secret', 'routes'], 'serve: no option tokens[].')
  if (statistics !== undefined && typeof statistics !== 'function') throw new ShumaiError(`serve: statistics must be a function, got ${kindOf(statistics)}`)
  if (typeof guard === 'object') checkNames(guard, ['maxNorm'], 'serve: no option guard.')
  else if (guard !== undefined && typeof guard !== 'boolean') throw new ShumaiError(`serve: guard must be true, false or {maxNorm}, got ${guard}`)
  if (typeof staleness === 'object') checkNames(staleness, ['policy', 'limit'], 'serve: no option staleness.')
  if (checkpoint !== undefined && typeof checkpoint !== 'object') throw new ShumaiError(`serve: checkpoint must be {directory, weights, ...}, got ${kindOf(checkpoint)}`)
}

/** The models of the Open Inference Protocol as a list. */
function listModels(options) {
  if (options.inference === undefined) return options
  const inference = [options.inference].flat()
  for (const model of inference) {
    if (typeof model !== 'object' || model === null) throw new ShumaiError(`serve: inference must be {name, route, inputs, outputs} or an array of these, got ${String(model)}`)
    checkNames(model, ['name', 'route', 'inputs', 'outputs'], 'serve: no option inference.')
    for (const info of [model.inputs ?? [], model.outputs ?? []].flat()) checkNames(info, ['name', 'datatype', 'shape'], "serve: no option of a model's tensor")
  }
  return { ...options, inference }
}

/** What the program `shumai serve` was told, where the caller says nothing else. */
function withEnvironment(options) {
  const { env } = process
  if (env.SHUMAI_COMMAND !== 'serve') return options
  const told = {}
  for (const [name, variable] of [['port', 'SHUMAI_PORT'], ['hostname', 'SHUMAI_HOST'], ['tokenFile', 'SHUMAI_TOKEN_FILE']])
    if (env[variable]) told[name] = env[variable]
  if (env.SHUMAI_INSECURE) told.insecure = true
  if (env.SHUMAI_TOKEN) told.tokenFromEnvironment = true
  const { SHUMAI_TLS_CERT: cert, SHUMAI_TLS_KEY: key, SHUMAI_TLS_CLIENT_CA: clientCa } = env
  if (cert) told.tls = { cert, key, clientCa: clientCa || undefined }
  return { ...told, ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) }
}

/**
 * Serves functions: `{name: (user, tensor) => ...}`. A handler gets the tensor
 * (or object of tensors) that was sent, and returns a tensor, an object of
 * tensors, a plain object or nothing, or a promise of one. What it keeps on
 * `user` belongs to the ticket of its answer. Listens on 127.0.0.1.
 */
export function serve(handlers, options = {}) {
  if (typeof handlers !== 'object' || handlers === null || Array.isArray(handlers))
    throw new ShumaiError(`serve: expected functions by the names of their routes, {forward: (user, tensor) => ...}, got ${kindOf(handlers)}`)
  if ('statistics' in handlers) {
    // The original has them among the handlers.
    const { statistics, ...others } = handlers
    if (options.statistics !== undefined) throw new ShumaiError('serve: statistics are given twice, among the handlers and the options')
    return serve(others, { ...options, statistics })
  }
  const names = Object.keys(handlers)
  for (const name of names) if (typeof handlers[name] !== 'function') throw new ShumaiError(`serve: the handler of "${name}" must be a function, got ${kindOf(handlers[name])}`)
  checkOptions(options)
  const learner = options.checkpoint ? new Learner(options.checkpoint) : undefined
  const [number, port, url] = native.serve(names, withEnvironment(listModels(options)), learner?.handles(), learner?.load, replicaWeights(options))
  servers.set(number, { users: new Users(), handlers: names.map((name) => handlers[name]), statistics: options.statistics, entries: undefined, learner })
  const server = new Server(number, port, url)
  if (options.signals !== false) stopAtSignals(server)
  return server
}

/** For the core: [[name, handle], ...]. */
function replicaWeights({ replicas, checkpoint }) {
  if (!replicas) return undefined
  const weights = replicas.weights ?? checkpoint?.weights
  if (weights === undefined) throw new ShumaiError('serve: replicas need weights: a module, or tensors in an object or array')
  return namedTensors(weights, 'replicas').map(([name, tensor]) => [name, tensor.__handle])
}

/** What came instead of one tensor. */
function describeContent(input) {
  if (input === undefined) return 'a request without a body'
  if (Array.isArray(input)) return `${input.length} tensors`
  const names = Object.keys(input)
  return names.some((name) => input[name] instanceof Tensor) ? `the tensors ${names.join(', ')}` : kindOf(input)
}

function checkModel(model, gradUpdate) {
  if (typeof model !== 'function' || isClass(model)) throw new ShumaiError(`serve_model: the model must be a module or a function, got ${kindOf(model)}`)
  if (gradUpdate !== undefined && gradUpdate !== null && (typeof gradUpdate !== 'function' || isClass(gradUpdate)))
    throw new ShumaiError(`serve_model: what applies the gradients must be an optimizer, such as new sm.optim.SGD(), or a function, got ${kindOf(gradUpdate)}`)
}

/** Weights and optimizer are what is served, unless told. */
function withDefaults(given, model, gradUpdate) {
  let options = given
  if (options.replicas && model instanceof Module) options = { ...options, replicas: { weights: model, ...options.replicas } }
  if (!options.checkpoint) return options
  const checkpoint = { ...options.checkpoint }
  if (model instanceof Module) {
    checkpoint.weights ??= model
    checkpoint.model ??= model[description]
  }
  if (typeof gradUpdate?.loadState === 'function') checkpoint.optimizer ??= gradUpdate
  return { ...options, checkpoint }
}

/**
 * Serves `model` at /forward, and at /optimize what takes the gradient of an
 * answer back through it, calls `gradUpdate` with the gradients of the weights,
 * and answers the gradient of the input. `handlers` adds other routes. A
 * checkpoint saves the parameters of a module without being told so, and the
 * state of an optimizer object. With `options.batch` what several clients send
 * runs as one.
 */
export function serve_model(model, gradUpdate, options = {}, handlers = {}) {
  checkModel(model, gradUpdate)
  const batcher = options.batch?.max > 1 ? new Batcher(model, gradUpdate, options.batch, Number.isFinite(options.guard?.maxNorm)) : undefined
  return serve(
    {
      forward: async (user, input, wantsGradient, call) => {
        if (!(input instanceof Tensor)) throw new ShumaiError(`forward: expects one tensor, got ${describeContent(input)}`)
        if (batcher) return batcher.forward(user, input, wantsGradient, call)
        if (wantsGradient && input.dtype >= 9) input.requires_grad = true
        const output = await model(input)
        if (output?.requires_grad)
          user.__backward = async (jacobian) => {
            const [inputGradient, weights] = split(await output.backward(jacobian), input)
            if (gradUpdate) await gradUpdate(weights)
            return inputGradient
          }
        return output
      },
      optimize: (user, jacobian, wantsGradient, call) => {
        if (!user.__backward) throw new ShumaiError('optimize: no forward came before, from the same client; send the Shumai-Ticket of its answer', 'not_found', 404)
        return user.__backward(jacobian, call)
      },
      ...handlers,
    },
    withDefaults(options, model, gradUpdate),
  )
}
