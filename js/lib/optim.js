import { updated } from './files.js'
import { prepare } from './memory.js'
import { native, ShumaiError } from './native.js'
import { note } from './started.js'
import { Tensor, wrap } from './tensor.js'
import { kindOf, oneOf } from './kinds.js'

const isPromise = (value) => typeof value?.then === 'function'

/** [entries, handles of their tensors, handles of their gradients] of what a backward pass found. */
function unpack(name, differentiated) {
  if (typeof differentiated !== 'object' || differentiated === null || differentiated instanceof Tensor) throw new ShumaiError(`${name}: expected what backward() returned, got ${kindOf(differentiated)}`)
  const entries = Object.values(differentiated).filter(({ tensor }) => tensor.requires_grad)
  return [entries, entries.map(({ tensor }) => tensor.__handle), entries.map(({ grad }) => grad.__handle)]
}

// What an update clears in the core must not be remembered here, and tensors with a checkpoint are written.
function afterUpdate(entries) {
  for (const { tensor } of entries) {
    tensor.__grad = undefined
    if (tensor.__checkpoint !== undefined) updated(tensor)
  }
}

/**
 * weight -= learningRate * gradient for every weight of a backward pass, which
 * may be a promise (of a graph that crosses the network): then so is the result.
 */
export function sgd(differentiated, learningRate = 1e-3) {
  if (isPromise(differentiated)) return note(differentiated.then((found) => sgd(found, learningRate)))
  const [entries, weights, gradients] = unpack('sgd', differentiated)
  native.sgd(weights, gradients, learningRate)
  afterUpdate(entries)
}

/** [name, tensor] of weights given as an object, as pairs, or as a module. */
function named(weights) {
  if (typeof weights?.namedParameters === 'function') return [...weights.namedParameters()]
  return typeof weights?.[Symbol.iterator] === 'function' ? [...weights] : Object.entries(weights ?? {})
}

const names = (pairs) => pairs.map(([name]) => name)
const handles = (pairs) => pairs.map(([, tensor]) => tensor.__handle)

function checkOptions(name, options = {}, known) {
  if (typeof options !== 'object' || options === null) throw new ShumaiError(`${name}: expected an object of options, got ${kindOf(options)}`)
  const given = { ...options }
  if (given.lr !== undefined) given.learningRate ??= given.lr
  delete given.lr
  for (const key of Object.keys(given))
    if (!known.includes(key)) throw new ShumaiError(`${name}: no option ${JSON.stringify(key)}, ${oneOf(key, [...known, 'lr'])}`)
  return given
}

// The core names an option that it can't read, but not the optimizer.
function makeNative(name, numbers) {
  try {
    return native.optimizer(name, numbers)
  } catch (error) {
    if (!error.message.startsWith(name)) error.message = `${name}: ${error.message}`
    throw error
  }
}

/** Any of the optimizers below. It is a function: optimizer(differentiated) makes one update. */
export class Optimizer extends Function {
  // Not super(): it would compile a function from text, which hardened runtimes forbid.
  constructor(name, known, options) {
    const call = (differentiated, learningRate) => call.step(differentiated, learningRate)
    Object.setPrototypeOf(call, new.target.prototype)
    const { schedule, ...numbers } = checkOptions(name, options, [...known, 'schedule'])
    Object.defineProperty(call, 'name', { value: name })
    Object.defineProperty(call, '__native', { value: makeNative(name, numbers) })
    Object.defineProperty(call, '__schedule', { value: undefined, writable: true })
    call.schedule = schedule
    return call
  }

  /** One update, at a learning rate of its own if there is one; what a promise of a backward pass gives is awaited. */
  step(differentiated, learningRate) {
    if (isPromise(differentiated)) return note(differentiated.then((found) => this.step(found, learningRate)))
    const [entries, weights, gradients] = unpack(this.name, differentiated)
    native.optimizerStep(this.__native, weights, gradients, learningRate ?? this.learningRate)
    afterUpdate(entries)
  }

  /** Of the next update. Setting it under a schedule sets the rate that the schedule starts from. */
  get learningRate() {
    const set = native.learningRate(this.__native)
    return this.__schedule === undefined ? set : this.__schedule(this.steps, set)
  }
  set learningRate(value) { native.learningRate(this.__native, value) }

  /** (step, initial rate) => rate: what each update runs at; undefined for always the same. */
  get schedule() { return this.__schedule }
  set schedule(schedule) {
    if (schedule !== undefined && schedule !== null && typeof schedule !== 'function')
      throw new ShumaiError(`${this.name}: schedule must be a function of the step, got ${kindOf(schedule)}`)
    this.__schedule = schedule ?? undefined
  }

  /** Updates made so far. */
  get steps() { return native.optimizerSteps(this.__native) }

  /** What is remembered of these weights, by name: tensors for sm.save. */
  state(weights) {
    const pairs = named(weights)
    prepare()
    return Object.fromEntries(native.optimizerState(this.__native, names(pairs), handles(pairs)).map(([name, handle]) => [name, wrap(handle)]))
  }

  /** Continues exactly where state() was taken, with the weights of the same names. */
  loadState(state, weights) {
    const entries = Object.entries(state)
    const pairs = named(weights)
    native.loadOptimizerState(this.__native, names(entries), handles(entries), names(pairs), handles(pairs))
    return this
  }
}

/** Gradient descent with momentum, Nesterov's form and weight decay. */
export class SGD extends Optimizer {
  constructor(options) {
    super('SGD', ['learningRate', 'momentum', 'dampening', 'nesterov', 'weightDecay'], options)
    const { momentum, dampening, weightDecay } = options ?? {}
    Object.defineProperty(this, '__adds', { value: !momentum && !dampening && !weightDecay })
  }
  /** Whether one update with a sum of gradients moves weights as one update with each of them does. */
  get isAdditive() { return this.__adds && this.schedule === undefined }
}
const kAdam = ['learningRate', 'betas', 'eps', 'weightDecay', 'amsgrad']
/** Kingma and Ba, 2015; with `amsgrad`, Reddi et al., 2018. */
export class Adam extends Optimizer {
  // Numbers, one after another, are the original's form.
  constructor(options, b1 = 0.9, b2 = 0.999, eps = 1e-8) { super('Adam', kAdam, typeof options === 'number' ? { learningRate: options, betas: [b1, b2], eps } : options) }
}
/** Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019). */
export class AdamW extends Optimizer {
  constructor(options) { super('AdamW', kAdam, options) }
}
/** Tieleman and Hinton, 2012. */
export class RMSprop extends Optimizer {
  constructor(options) { super('RMSprop', ['learningRate', 'alpha', 'eps', 'weightDecay', 'momentum', 'centered'], options) }
}
export const adam = (...args) => new Adam(...args)
export const adamW = (options) => new AdamW(options)
export const rmsprop = (options) => new RMSprop(options)

// --- Learning rate schedules: functions of the step, from 0, and the optimizer's own rate ---

function scheduled(...description) {
  const schedule = native.schedule(...description)
  return (step, initial = 1) => native.scheduledRate(schedule, step, initial)
}

/** initial * factor(step) */
export const lambdaLR = (factor) => (step, initial = 1) => initial * factor(step)
/** initial * gamma^floor(step / stepSize) */
export const stepLR = (stepSize, gamma = 0.1) => scheduled('stepLR', stepSize, gamma)
/** initial * gamma^(milestones reached) */
export const multiStepLR = (milestones, gamma = 0.1) => scheduled('multiStepLR', milestones, gamma)
/** initial * gamma^step */
export const exponentialLR = (gamma) => scheduled('exponentialLR', gamma)
/** initial * factor before step totalIters, then initial */
export const constantLR = (factor = 1 / 3, totalIters = 5) => scheduled('constantLR', factor, totalIters)
/** From initial * startFactor evenly to initial * endFactor: a warmup. */
export const linearLR = (startFactor = 1 / 3, endFactor = 1, totalIters = 5) => scheduled('linearLR', startFactor, endFactor, totalIters)
/** initial * (1 - step / totalIters)^power */
export const polynomialLR = (totalIters = 5, power = 1) => scheduled('polynomialLR', totalIters, power)
/** Along a cosine from initial to etaMin at tMax (Loshchilov and Hutter, 2017). */
export const cosineAnnealingLR = (tMax, etaMin = 0) => scheduled('cosineAnnealingLR', tMax, etaMin)
/** The same from the start again after t0 steps, and each time after tMult times as many. */
export const cosineAnnealingWarmRestarts = (t0, tMult = 1, etaMin = 0) => scheduled('cosineAnnealingWarmRestarts', t0, tMult, etaMin)
/** Up to maxLR and down to almost nothing in totalSteps (Smith and Topin, 2018). */
export const oneCycleLR = (maxLR, totalSteps, options = {}) =>
  scheduled('oneCycleLR', maxLR, totalSteps, checkOptions('oneCycleLR', options, ['pctStart', 'linear', 'divFactor', 'finalDivFactor', 'threePhase']))

/** schedules[i] from milestones[i - 1] on, which is its step 0. */
export function sequentialLR(schedules, milestones) {
  if (schedules.length !== milestones.length + 1)
    throw new ShumaiError(`sequentialLR: needs a milestone between any two schedules, got ${schedules.length} schedules and ${milestones.length} milestones`)
  return (step, initial = 1) => {
    const reached = milestones.filter((milestone) => step >= milestone).length
    return schedules[reached](reached === 0 ? step : step - milestones[reached - 1], initial)
  }
}

// --- Clipping ---

function withGradients(entries, gradients) {
  const wrapped = gradients.map(wrap)
  return Object.fromEntries(entries.map(({ tensor }, id) => [id, { tensor, grad: wrapped[id], id }]))
}

/**
 * The gradients scaled so that their norm as one vector is at most maxNorm, as
 * {gradients, totalNorm}; of a promise, a promise of that.
 */
export function clipGradNorm(differentiated, maxNorm, { normType = 2, errorIfNonfinite = false } = {}) {
  if (isPromise(differentiated)) return note(differentiated.then((found) => clipGradNorm(found, maxNorm, { normType, errorIfNonfinite })))
  const [entries, weights, gradients] = unpack('clipGradNorm', differentiated)
  prepare()
  const [totalNorm, clipped] = native.clipGradNorm(weights, gradients, maxNorm, normType, errorIfNonfinite)
  return { gradients: withGradients(entries, clipped), totalNorm }
}

/** The gradients with every element held between -clipValue and clipValue. */
export function clipGradValue(differentiated, clipValue) {
  if (isPromise(differentiated)) return note(differentiated.then((found) => clipGradValue(found, clipValue)))
  const [entries, weights, gradients] = unpack('clipGradValue', differentiated)
  prepare()
  return withGradients(entries, native.clipGradValue(weights, gradients, clipValue))
}
