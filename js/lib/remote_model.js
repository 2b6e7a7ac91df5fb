import { checkOptions, checkUrl, tfetch } from './fetch.js'
import { prepare, tidyExclude } from './memory.js'
import { native, ShumaiError } from './native.js'
import { willCall } from './origin.js'
import { Tensor, wrap } from './tensor.js'
import { kindOf } from './kinds.js'

// True when the server took no step and won't take one under this ticket.
const isForgotten = (error) => error?.code === 'gone' || error?.code === 'stale'

/** Sends the gradient, after another forward when the server has forgotten the one that it belongs to. */
async function sendBack(call, gradient, headers) {
  const back = { ...call.back, headers: { ...call.back.headers, ...headers } }
  const giveUp = performance.now() + call.back.retryFor
  for (;;) {
    try {
      return await tfetch(call.backwardUrl, gradient, back)
    } catch (error) {
      // Then only the answer is lost, which nobody needs.
      if (error?.code === 'already_done' && !call.wantsGradient) return undefined
      if (!isForgotten(error) || performance.now() > giveUp) throw error
    }
    const output = await tfetch(call.forwardUrl, call.input, call.forward)
    if (!(output instanceof Tensor) || String(output.shape) !== String(gradient.shape))
      throw new ShumaiError(`${call.forwardUrl} answered another shape when the forward was repeated`, 'shape_mismatch')
    prepare()
    gradient = wrap(native.retag(gradient.__handle, output.__handle))
  }
}

/** A colon parts a Unix socket's path from the route. */
const routeUrl = (url, route) => `${/^unix:(?!.*:\/)(?!.*:$)/.test(url) ? `${url}:` : url}/${route}`

/**
 * A model behind a server (serve_model, or one with the same routes) as a
 * function: `await model(x)`, then `await loss.backward()`. When the server
 * has forgotten the forward by the time of the gradient, because it was
 * restarted, say, or finds it stale, the forward is repeated with the input,
 * which is kept for that. `errorHandler` is called instead of throwing when a
 * request fails for good.
 */
export function remote_model(url, settings = {}) {
  checkUrl('remote_model', url)
  // The original took the second URL as it is.
  const { backwardUrl, backwardToken, errorHandler, reportLoss, ...given } = typeof settings === 'string' ? { backwardUrl: settings } : settings
  checkOptions('remote_model', given)
  const options = { retryFor: 60000, ...given }
  const urls = { forwardUrl: backwardUrl ? url : routeUrl(url, 'forward'), backwardUrl: backwardUrl ?? routeUrl(url, 'optimize') }
  // A token is for the server that it was given for.
  const shared = native.sameServer(urls.forwardUrl, urls.backwardUrl)
  willCall()
  const guarded = async (action) => {
    try {
      return await action()
    } catch (error) {
      if (!errorHandler) throw error
      return await errorHandler(error)
    }
  }
  let steps = 0
  const reportOf = (root) => (reportLoss && root.elements === 1 ? { 'Shumai-Loss': root.valueOf(), 'Shumai-Step': ++steps } : {})
  return (input, perCall = {}) =>
    guarded(() => {
      if (!(input instanceof Tensor)) throw new ShumaiError(`remote_model: expected a tensor, got ${kindOf(input)}${Array.isArray(input) ? '; make a tensor of it by tensor(array)' : ''}`)
      const wantsGradient = input.requires_grad
      const headers = { ...options.headers, ...perCall.headers }
      if (!wantsGradient) headers['Shumai-Input-Gradient'] = 'none'
      const forward = { ...options, ...perCall, headers, repeatable: true }
      // A tidy around the forward must not dispose of what a later backward may need.
      const back = { ...options, token: backwardToken ?? (shared ? forward.token : undefined) }
      const call = { ...urls, wantsGradient, forward, back, input: tidyExclude(() => input.detach()) }
      return tfetch(urls.forwardUrl, input, { ...forward, grad_fn: (grad) => guarded(() => sendBack(call, grad.grad_in, reportOf(grad.root))) })
    })
}
