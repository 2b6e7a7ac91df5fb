import v8 from 'node:v8'
import vm from 'node:vm'
import { native } from './native.js'

// The core frees a tensor when the garbage collector has taken its object. It
// learns of that by groups: each Tensor refers to the token of the group that
// was open when its handle was made, and the core holds the token weakly. So
// a loop without an await frees as it goes, and a tensor costs no finalizer.
class Token {}

/** [0]: the open group is full; [1]: the handle just made wants a group of its own. Written by the core. */
const flags = new Uint32Array(native.flags())

let token = null

/** Call before anything that makes handles, never between making one and wrapping it. */
export function prepare() {
  if (flags[0] === 0) return
  token = new Token()
  native.openGroup(token)
  collectAsNeeded()
}

/** The token for the handle that was just made. */
export function tokenFor(handle) {
  if (flags[1] !== handle) return token
  flags[1] = 0
  return ownToken(handle)
}

/** A group of its own for a handle that may live long, so that it keeps no others alive. */
export function ownToken(handle) {
  const own = new Token()
  native.adopt(handle, own)
  return own
}

let tracker = null

/** Tensors made from now on are noted here; null when nobody tidies. */
export function currentTracker() {
  return tracker
}

function keep(value, seen, kept) {
  if (value === null || typeof value !== 'object' && typeof value !== 'function' || seen.has(value)) return
  seen.add(value)
  if (isTensor(value)) {
    kept.add(value)
    return
  }
  if (ArrayBuffer.isView(value)) return
  if (value instanceof Map || value instanceof Set) for (const item of value.values()) keep(item, seen, kept)
  for (const item of Array.isArray(value) ? value : Object.values(value)) keep(item, seen, kept)
}

let isTensor = () => false
export function setTensorTest(test) {
  isTensor = test
}

/**
 * Runs `fn` and disposes of every tensor that it made, except those that it
 * returns (in arrays and objects too). For an async function the tensors are
 * disposed when its promise settles; what others make meanwhile is left alone
 * only if they don't run between its awaits.
 */
export function tidy(fn, args = []) {
  const outer = tracker
  const mine = new Set()
  const finish = (result) => {
    const kept = new Set()
    keep(result, new WeakSet(), kept)
    for (const tensor of mine) {
      if (kept.has(tensor)) outer?.add(tensor)
      else tensor.dispose()
    }
    return result
  }
  tracker = mine
  let result
  try {
    result = fn(...(Array.isArray(args) ? args : [args]))
  } catch (error) {
    tracker = outer
    finish(undefined)
    throw error
  }
  tracker = outer
  if (result instanceof Promise) return result.then(finish, (error) => { finish(undefined); throw error })
  return finish(result)
}

/** Runs `fn` with the tensors that it makes left out of any tidy around it. */
export function tidyExclude(fn) {
  const outer = tracker
  tracker = null
  try {
    return fn()
  } finally {
    tracker = outer
  }
}

const options = { lowerBoundThreshold: 100e6, upperBoundThreshold: 5e9, delayBetweenGCs: 1000 }

/**
 * When to ask the garbage collector for a full collection: above
 * `upperBoundThreshold` bytes of tensors, or above `lowerBoundThreshold` and at
 * most every `delayBetweenGCs` ms. Returns the options in force.
 */
export function memoryOptions(changes = {}) {
  for (const name of Object.keys(options)) {
    const value = changes?.[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || !(value >= 0)) throw new TypeError(`memoryOptions: ${name} must be a number of 0 or more, got ${value}`)
    options[name] = value
  }
  return { ...options }
}

let collect = null
let nextCollection = 0

function fullCollection() {
  if (typeof Bun !== 'undefined') return () => Bun.gc(true)
  if (typeof globalThis.gc === 'function') return globalThis.gc
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInNewContext('gc')
  v8.setFlagsFromString('--no-expose-gc')
  return gc
}

function collectAsNeeded() {
  const bytes = native.bytesUsed()
  if (bytes < options.lowerBoundThreshold) return
  const now = performance.now()
  if (bytes < options.upperBoundThreshold && now < nextCollection) return
  collect ??= fullCollection()
  collect()
  native.sweep()
  nextCollection = performance.now() + options.delayBetweenGCs
}

prepare()
