import { checkNames, decode, encode, tensorsOf } from './content.js'
import { currentTracker, tidyExclude } from './memory.js'
import { native, ShumaiError } from './native.js'
import { currentOrigin, willCall } from './origin.js'
import { Tensor, withGradFn } from './tensor.js'
import { kindOf } from './kinds.js'

const fetching = new Map()

/** The core's answer to native.fetch(). */
export function fetched(number, error, kind, data) {
  const { resolve, reject, cleanup } = fetching.get(number)
  fetching.delete(number)
  cleanup?.()
  if (error) reject(error)
  else resolve(tidyExclude(() => decode(kind, data)))
}

export function abortReason(signal) {
  return signal.reason ?? new ShumaiError('the request was aborted', 'cancelled', 499)
}

/** Milliseconds for the core. */
function time(value, name) {
  if (typeof value !== 'number' || !(value >= 0)) throw new ShumaiError(`tfetch: ${name} must be milliseconds, 0 or more, got ${kindOf(value)}`)
  return Math.min(Math.ceil(value), kLongest)
}
const kLongest = 2 ** 40

function send(url, input, { timeout = 60000, retryFor = 10000, repeatable = false, headers = {}, signal, token, wire, compress, id, tls }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw abortReason(signal)
    const [kind, data] = encode(input, 'tfetch')
    const list = Object.entries(headers).map(([name, value]) => [name, String(value)])
    if (token !== undefined && (typeof token !== 'string' || token === '')) throw new ShumaiError(`tfetch: token must be a string that isn't empty, got ${typeof token === 'string' ? 'an empty one' : typeof token}`)
    const options = { timeout: time(timeout, 'timeout'), retryFor: time(retryFor, 'retryFor'), repeatable, headers: list, token, wire, compress, id, tls }
    willCall()
    const number = native.fetch(String(url), kind, data, options, currentOrigin())
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

/** Text or a URL object: what else would become text, such as undefined, is somebody's mistake. */
export function checkUrl(what, url) {
  if (typeof url !== 'string' && !(url instanceof URL)) throw new ShumaiError(`${what}: expected a URL as text, such as 'localhost:3000/forward', got ${kindOf(url)}`)
}

const kFetchOptions = ['grad_fn', 'gradFn', 'timeout', 'retryFor', 'repeatable', 'headers', 'signal', 'token', 'wire', 'compress', 'id', 'tls']

export function checkOptions(what, options) {
  checkNames(options, kFetchOptions, `${what}: no option`)
  checkNames(options.tls, ['ca', 'cert', 'key', 'serverName'], `${what}: no option tls.`)
}

/**
 * Like fetch, for tensors: sends a tensor, an object of tensors or nothing,
 * and gives what the route answers: the same, a plain object, or undefined.
 * `grad_fn` makes the answer part of the local graph: it gets {grad_in}, the
 * gradient of the answer, and may return the gradient of the input. The
 * gradient of an answer carries the answer's ticket back by itself.
 * Failures that another attempt may cure are retried for `retryFor`.
 * Throws ShumaiError with the server's message, `code` and `status`.
 */
export async function tfetch(url, input, options = {}) {
  checkUrl('tfetch', url)
  checkOptions('tfetch', options)
  const gradFn = options.grad_fn ?? options.gradFn
  // A forward that runs twice leaves one ticket too many, which expires.
  const answer = await send(url, input, gradFn ? { ...options, repeatable: true } : options)
  for (const tensor of tensorsOf(answer)) currentTracker()?.add(tensor)
  if (!gradFn) return answer
  if (!(answer instanceof Tensor)) throw new ShumaiError(`tfetch: grad_fn needs a route that answers one tensor, ${url} answered ${answer === undefined ? 'nothing' : kindOf(answer)}`)
  return withGradFn(answer, tensorsOf(input), gradFn)
}
