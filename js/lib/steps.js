import { isAnyArrayBuffer } from 'node:util/types'
import { native, ShumaiError } from './native.js'
import { found, kA, kResult, prepare, tidy, words } from './memory.js'
import { note } from './started.js'
import { Tensor, wrap } from './tensor.js'
import { kindOf } from './kinds.js'

// The functions of JavaScript's in a graph: gradients that they give, and what
// checkpoint computes again. The core knows them by number; they hang on the
// objects of the tensors that were computed from them.

// Backward names the very object that was asked to require gradients: the core
// finds its handle, the handle's token, and that its owner. Not by a WeakRef,
// which would keep the object until the next await.
function leafOf(handle, marked, token = marked ? native.tokenOf(handle) : undefined) {
  if (!marked) return wrap(handle)
  return token?.owner ?? wrap(native.again(handle))
}

let lastStep = 0

/** `value` as the result of a function of `inputs` whose gradients `gradFn` gives. */
export function withGradFn(value, inputs, gradFn) {
  if (typeof gradFn !== 'function') throw new ShumaiError(`grad_fn: expected a function, got ${kindOf(gradFn)}`)
  prepare()
  const number = ++lastStep
  const out = wrap(native.withGradFn(value.__handle, inputs.map((input) => input.__handle), number))
  out.__steps = new Map([[number, gradFn]])
  for (const input of inputs) inheritSteps(out, input)
  return out
}

export function inheritSteps(out, input) {
  const theirs = input.__steps
  // A result without a graph would keep the functions for nothing.
  if (theirs === undefined || out.__steps === theirs || !native.requiresGrad(out.__handle)) return
  if (out.__steps === undefined) out.__steps = theirs
  else out.__steps = new Map([...out.__steps, ...theirs])
}

/** The result of a pass, from the count of what is in `found`, or from a buffer of the same. */
function toGradients(result) {
  const all = typeof result === 'number' ? found : new Uint32Array(result)
  return gradientsIn(all, typeof result === 'number' ? result : all.length / 3)
}

// `token` is that of the first leaf's group, where it is known.
function gradientsIn(all, count, token) {
  const out = count === 1 ? { 0: undefined } : {}
  for (let id = 0; id < count; ++id) out[id] = { tensor: null, grad: wrap(all[3 * id + 2]), id }
  for (let id = 0; id < count; ++id) {
    const tensor = leafOf(all[3 * id], all[3 * id + 1] === 1, id === 0 ? token : undefined)
    tensor.__grad = undefined
    out[id].tensor = tensor
  }
  return out
}

async function awaitPass(root, pass) {
  const steps = root.__steps ?? new Map()
  await runReady(pass, steps, root)
  prepare()
  return toGradients(native.finishPass(pass))
}

// Starts every step that is ready, all at once, and goes on with what each one makes ready.
async function runReady(pass, steps, root) {
  const running = []
  for (;;) {
    prepare()
    const step = withSteps(steps, () => native.nextStep(pass))
    if (step === undefined) break
    running.push(runStep(pass, steps, root, step))
  }
  const failed = (await Promise.allSettled(running)).find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
}

async function runStep(pass, steps, root, [node, number, gradient, output, inputs]) {
  const grad_in = gradient === 0 ? null : wrap(gradient)
  const forward_output = wrap(output)
  const forward_inputs = inputs.map(wrap)
  let result
  if (grad_in) {
    const gradFn = steps.get(number)
    if (!gradFn) throw new ShumaiError('backward: a gradient function of this graph is gone', 'internal', 500)
    result = await gradFn({ grad_in, backward_input: grad_in, forward_output, forward_inputs, backward_output_index: 0, root })
  }
  const gradients = result === undefined || result === null ? [] : Array.isArray(result) ? result : [result]
  for (const item of gradients)
    if (item !== null && item !== undefined && !(item instanceof Tensor)) throw new ShumaiError(`grad_fn: expected a tensor or nothing, got ${kindOf(item)}`)
  native.finishStep(pass, node, gradients.map((item) => item?.__handle ?? 0))
  await runReady(pass, steps, root)
}

const AsyncFunction = (async () => {}).constructor

/** Runs `fn` without recording graphs. */
export function noGrad(fn) {
  if (fn instanceof AsyncFunction) throw new ShumaiError('noGrad: expected a function that isn\'t async, other code would run between its awaits')
  native.beginNoGrad()
  try {
    return fn()
  } finally {
    native.endNoGrad()
  }
}

/** Differentiates `root`: what backward found, or a promise of it when steps have to be awaited. */
export function backwardFrom(root, jacobian, retainGraph, createGraph) {
  prepare()
  const pass = withSteps(root.__steps, () => native.backward(root.__handle, jacobian?.__handle, retainGraph, createGraph))
  return toResult(root, pass)
}

const { backwardAlone } = native
const kOther = 0xffffffff // in the place of a count

/** backwardFrom(root) without a jacobian, options and functions of JavaScript's in the graph. */
export function backwardOf(root) {
  prepare()
  words[kA] = root.__handle
  const result = backwardAlone()
  const count = words[kResult]
  return count === kOther ? toResult(root, result) : gradientsIn(found, count, result)
}

function toResult(root, pass) {
  return typeof pass === 'number' || isAnyArrayBuffer(pass) ? toGradients(pass) : note(awaitPass(root, pass))
}

// Where the core's walk finds the functions that it has to run again.
let known

function withSteps(steps, fn) {
  const before = known
  known = steps
  try {
    return fn()
  } finally {
    known = before
  }
}

native.onCheckpoint((number, handles) => {
  const fn = known?.get(number)
  if (!fn) throw new ShumaiError('checkpoint: the function of this graph is gone', 'internal', 500)
  let again, steps
  tidy(() => {
    const result = fn(...handles.map(wrap))
    if (!(result instanceof Tensor)) throw new ShumaiError(`checkpoint: expected a function that returns a tensor and isn't async, got ${kindOf(result)}`)
    prepare()
    // A handle of the core's own: the object's goes now if it was made here, with the graph that it holds.
    again = native.again(result.__handle)
    steps = result.__steps
  })
  // The pass goes on through the graph that was made just now.
  if (steps !== undefined) known = new Map([...known, ...steps])
  return again
})

/**
 * fn(...inputs), with a graph that keeps the inputs instead of all that `fn`
 * computes on the way, and runs `fn` again in backward. Tensors that `fn`
 * makes, but its result, are disposed when it returns.
 */
export function checkpoint(fn, ...inputs) {
  if (typeof fn !== 'function') throw new ShumaiError(`checkpoint: expected a function, got ${kindOf(fn)}`)
  const wrong = inputs.find((input) => !(input instanceof Tensor))
  if (wrong !== undefined) throw new ShumaiError(`checkpoint: expected tensors as inputs, got ${kindOf(wrong)}`)
  prepare()
  const number = ++lastStep
  const steps = new Map([[number, fn]])
  const out = wrap(withSteps(steps, () => native.checkpoint(number, inputs.map((input) => input.__handle))))
  if (!native.requiresGrad(out.__handle)) return out
  out.__steps = steps
  for (const input of inputs) inheritSteps(out, input)
  return out
}
