import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire } from 'node:module'
import v8 from 'node:v8'
import vm from 'node:vm'
import { native, ShumaiError } from './native.js'

// The core frees a tensor when the garbage collector has taken its object. It
// learns of that by groups: each Tensor refers to the token of the group that
// was open when its handle was made, and the core holds the token weakly. So
// a loop without an await frees as it goes, and a tensor costs no finalizer.
class Token {}

// Cloning reads every property, so a tensor that is posted to another thread
// says here why it can't be, instead of arriving as an object without memory.
const kRefuseClone = {
  enumerable: true,
  get() {
    throw new ShumaiError('a tensor belongs to its thread and can\'t be cloned or posted: send toFloat32Array() and shape, and make a tensor of them there')
  },
}
const newToken = () => Object.defineProperty(new Token(), 'clone', kRefuseClone)

/** What a disposed tensor refers to. */
export const deadToken = newToken()

const shared = native.words()
/** Memory that the core reads and writes too: its SharedWords, at the places that these constants name. */
export const words = new Uint32Array(shared)
/** The plain number among an operation's operands, at [0]. */
export const numbers = new Float64Array(shared, 24, 1)
const kGroupFull = 0
const kLarge = 1
const kMany = 2
export const kOp = 3
export const kA = 4
export const kB = 5
export const kResult = 8
/** What a backward pass found, three numbers for each tensor: its handle, whether a leaf is marked by it, its gradient's handle. */
export const found = words.subarray(9)

let token = null

/** Call before anything that makes handles, never between making one and wrapping it. */
export function prepare() {
  if (words[kGroupFull] === 0) return
  // A token that a collection finds here would be older than its group.
  token = null
  const many = words[kMany]
  if (many !== 0) {
    words[kMany] = 0
    collectYoung(many === 2)
  }
  collectAsNeeded()
  token = newToken()
  native.openGroup(token)
}

/** The token for the handle that was just made. */
export function tokenFor(handle) {
  if (words[kLarge] !== handle) return token
  words[kLarge] = 0
  return ownToken(handle)
}

/** A group of its own for a handle that may live long, so that it keeps no others alive. */
export function ownToken(handle) {
  const own = newToken()
  native.adopt(handle, own)
  return own
}

// Each tidy has a set of the tensors made in it, across its awaits too. The
// context is off while nobody tidies: promises are slower with it.
const context = new AsyncLocalStorage()
let tidies = 0

/** Where tensors made from now on are noted; undefined when nobody tidies. */
export function currentTracker() {
  return tidies === 0 ? undefined : context.getStore()
}

function keep(value, seen, kept) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) return
  seen.add(value)
  if (isTensor(value)) {
    kept.add(value)
    return
  }
  if (ArrayBuffer.isView(value)) return
  if (value instanceof Map) for (const pair of value) keep(pair, seen, kept)
  if (value instanceof Set) for (const item of value) keep(item, seen, kept)
  for (const item of Array.isArray(value) ? value : Object.values(value)) keep(item, seen, kept)
}

let isTensor = () => false
export function setTensorTest(test) {
  isTensor = test
}

/**
 * Runs `fn` and disposes of every tensor that it made, except those that it
 * returns (in arrays, objects, maps and sets too). For an async function that
 * is when its promise settles, and what it makes after an await counts as well.
 */
export function tidy(fn, args = []) {
  const outer = currentTracker()
  const mine = new Set()
  const finish = (result) => {
    const kept = new Set()
    if (mine.size > 0) keep(result, new WeakSet(), kept)
    for (const tensor of mine) {
      if (!kept.has(tensor)) tensor.dispose()
      else outer?.add(tensor)
    }
    if (--tidies === 0) context.disable()
    return result
  }
  const fail = (error) => {
    finish(undefined)
    throw error
  }
  ++tidies
  let result
  try {
    result = context.run(mine, fn, ...(Array.isArray(args) ? args : [args]))
  } catch (error) {
    fail(error)
  }
  return typeof result?.then === 'function' && !isTensor(result) ? result.then(finish, fail) : finish(result)
}

/** Runs `fn` with the tensors that it makes left out of any tidy around it. */
export function tidyExclude(fn) {
  return tidies === 0 ? fn() : context.run(undefined, fn)
}

const options = { lowerBoundThreshold: 100e6, upperBoundThreshold: 5e9, delayBetweenGCs: 1000 }

/**
 * When to ask the garbage collector for a full collection: above
 * `upperBoundThreshold` bytes of tensors, or above `lowerBoundThreshold` when
 * `delayBetweenGCs` ms have passed since the last or the bytes have doubled.
 * Returns the options in force.
 */
export function memoryOptions(changes = {}) {
  const next = { ...options }
  for (const [name, value] of Object.entries(changes ?? {})) {
    if (!(name in options)) throw new ShumaiError(`memoryOptions: no option ${JSON.stringify(name)}, there is ${Object.keys(options).join(', ')}`)
    if (value === undefined) continue
    if (typeof value !== 'number' || !(value >= 0)) throw new ShumaiError(`memoryOptions: ${name} must be a number of 0 or more, got ${value}`)
    next[name] = value
  }
  if (next.lowerBoundThreshold > next.upperBoundThreshold)
    throw new ShumaiError(`memoryOptions: lowerBoundThreshold must not be above upperBoundThreshold, got ${next.lowerBoundThreshold} and ${next.upperBoundThreshold}`)
  return { ...Object.assign(options, next) }
}

let collect = null
let nextCollection = 0
let bytesAfterLast = 0

function exposedCollector() {
  if (typeof globalThis.gc === 'function') return globalThis.gc
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInNewContext('gc')
  v8.setFlagsFromString('--no-expose-gc')
  return gc
}

function fullCollection() {
  return typeof Bun !== 'undefined' ? () => Bun.gc(true) : exposedCollector()
}

function youngCollection() {
  if (typeof Bun !== 'undefined') return createRequire(import.meta.url)('bun:jsc').edenGC
  const gc = exposedCollector()
  return () => gc({ type: 'minor' })
}

/** `collect` as a function that says whether it ran: not again before `share` times as long as it usually takes. */
function seldom(collect, share) {
  let next = 0
  let usual = 0.05
  return (urgent) => {
    const began = performance.now()
    if (began < next && !urgent) return false
    collect()
    const ended = performance.now()
    // Once it may take long because something else runs.
    usual = Math.min(ended - began, 2 * usual)
    next = ended + share * usual
    return true
  }
}

// The collectors go by the small size of the objects, and know little of the
// memory behind them, which should be used again while it is in the caches.
// Where a program's own objects make collections slow, they come less often.
let young = null
let full = null
let leftByFull = 0

// What JavaScriptCore's young collection happens to find on the stack is old
// from then on, so some of everything stays until a full one.
function collectYoung(urgent) {
  young ??= seldom(youngCollection(), 3)
  if (!young(urgent)) return
  const left = native.sweep()
  if (typeof Bun === 'undefined' || left < 2 * leftByFull + 512) return
  full ??= seldom(fullCollection(), 10)
  if (full(false)) leftByFull = native.sweep()
}

function collectAsNeeded() {
  const bytes = native.bytesUsed()
  if (bytes < options.lowerBoundThreshold) return
  const grown = bytes > 2 * bytesAfterLast + options.lowerBoundThreshold
  if (bytes < options.upperBoundThreshold && !grown && performance.now() < nextCollection) return
  collect ??= fullCollection()
  collect()
  native.sweep()
  bytesAfterLast = native.bytesUsed()
  nextCollection = performance.now() + options.delayBetweenGCs
}

prepare()
