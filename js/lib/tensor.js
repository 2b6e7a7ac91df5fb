import { arrayOf, dtypeCode, dtypeOfArray, kNames, readAs, toHalves } from './elements.js'
import { native, ShumaiError } from './native.js'
import { currentTracker, deadToken, kA, kB, kOp, kResult, numbers, ownToken, prepare, setTensorTest, tokenFor, words } from './memory.js'
import { loadInto, loadOnly, startCheckpoint, updated } from './files.js'
import { backwardFrom, backwardOf, inheritSteps } from './steps.js'
import { kindOf } from './kinds.js'

/**
 * A multi-dimensional array of one dtype, with the graph that computed it. The
 * results of operations never change; a tensor made from data gets a new value
 * by update(). Its memory is freed when the garbage collector takes the object,
 * or at once by dispose().
 *
 * Tensors can't be posted to a worker: send `toFloat32Array()` and the shape.
 */
export class Tensor {
  constructor(handle, token) {
    if (token === undefined && handle !== undefined) return tensor(handle)
    if (typeof handle !== 'number') throw new ShumaiError('Tensor: use sm.tensor(data) to make one')
    this.__handle = handle
    this.__token = token
    this.__steps = undefined // the JavaScript gradient functions in the graph, by number
    this.__grad = undefined // the object that .grad gave last
  }

  get shape() { return native.shape(this.__handle) }
  get shape64() { return native.shape(this.__handle).map(BigInt) }
  get ndim() { return native.ndim(this.__handle) }
  get elements() { return native.elements(this.__handle) }
  get dtype() { return native.dtype(this.__handle) }
  get isDisposed() { return this.__handle === 0 }

  get requires_grad() { return native.requiresGrad(this.__handle) }
  set requires_grad(required) {
    native.requiresGrad(this.__handle, required)
    if (!required || this.__token.owner === this) return
    this.__token = ownToken(this.__handle)
    this.__token.owner = this
    native.markLeaf(this.__handle)
  }
  /** Sets requires_grad and returns this tensor. */
  requireGrad() {
    this.requires_grad = true
    return this
  }

  /** The gradient that the last backward left here; null when there is none. */
  get grad() {
    prepare()
    const known = this.__grad
    const handle = native.grad(this.__handle, known?.__handle ?? 0)
    if (handle === 0) return null
    if (handle === known?.__handle) return known
    return (this.__grad = wrap(handle))
  }
  set grad(value) { native.setGrad(this.__handle, value === null ? undefined : handleOf(value, 'grad')) }

  /**
   * Differentiates this tensor with respect to all that it was computed from:
   * returns {tensor, grad} for each leaf that requires gradients, and sets
   * .grad. When the graph crosses the network it returns a promise of that.
   */
  backward(jacobian, options) {
    if (jacobian === undefined && options === undefined && this.__steps === undefined) return backwardOf(this)
    const { retainGraph = false, createGraph = false } = options ?? {}
    const given = jacobian === undefined || jacobian === null || jacobian instanceof Tensor ? jacobian : tensor(jacobian)
    return backwardFrom(this, given, retainGraph, createGraph)
  }

  detach() { return made(native.detach, this) }
  copy() {
    const out = made(native.copy, this)
    inheritSteps(out, this)
    return out
  }
  deepCopy() { return this.copy() }

  /** Gives a leaf a new value of the same shape. Graphs that saw the old one keep it. */
  update(value) {
    native.update(this.__handle, handleOf(value, 'update'))
    if (this.__checkpoint !== undefined) updated(this)
    return this
  }

  eval() { return this }

  /** Frees the memory now. Using the tensor afterwards throws. */
  dispose() {
    if (this.__handle === 0) return
    currentTracker()?.delete(this)
    native.dispose(this.__handle)
    this.__handle = 0
    this.__token = deadToken
  }
  /** Takes the tensor out of the tidy around it. */
  untidy() {
    currentTracker()?.delete(this)
    return this
  }

  save(file) {
    native.save(this.__handle, String(file))
    return this
  }
  /** Gives this tensor the value of a file that holds one tensor of its shape. */
  load(file) {
    loadInto(this, String(file))
    return this
  }
  /**
   * Takes the value of `file` if it exists, else writes it; then writes it
   * after each update for which `when`, given their number, says so.
   */
  checkpoint(file, when) {
    startCheckpoint(this, file, when)
    return this
  }

  /**
   * The address of a DLPack struct for another library, which calls its deleter
   * once: DLManagedTensor, a copy, or DLManagedTensorVersioned, which shares
   * the memory for reading unless `copy` says otherwise.
   */
  toDLTensor({ versioned = false, copy = false } = {}) {
    return native.toDLTensor(this.__handle, versioned, copy)
  }

  valueOf() { return this.elements === 1 ? native.item(this.__handle) : arrayOf(this) }
  toString() { return this.__handle === 0 ? 'tensor(disposed)' : native.describe(this.__handle) }
  toJSON() { return { dtype: kNames[this.dtype], shape: this.shape, data: Array.from(this.valuesArray(), (value) => (typeof value === 'bigint' ? value.toString() : value)) } }
  /** All elements in the typed array of this dtype. */
  valuesArray() { return readAs(this, this.dtype) }
  [Symbol.for('nodejs.util.inspect.custom')]() { return this.toString() }
}
export { load, save } from './files.js'
export { inheritSteps, noGrad, withGradFn } from './steps.js'
// Not fields of each tensor, which would cost every operation.
Tensor.prototype.__checkpoint = undefined
/** Who a tensor came from, where it came in the original's binary form. */
Tensor.prototype.provenance = null
setTensorTest((value) => value instanceof Tensor)

function handleOf(value, what) {
  if (value instanceof Tensor) return value.__handle
  throw new ShumaiError(`${what}: expected a tensor, got ${kindOf(value)}`)
}

const readers = {
  Float16: 9, Float32: 11, Float64: 12, Int8: 2, Int16: 3, Int32: 5, Uint8: 1, Uint16: 4, Uint32: 6,
}
for (const [name, code] of Object.entries(readers)) {
  const convert = { Float64: (tensor) => native.item(tensor.__handle), Float32: (tensor) => Math.fround(native.item(tensor.__handle)) }[name] ?? ((tensor) => onlyOf(tensor, code))
  Tensor.prototype[`to${name}`] = function () { return convert(this) }
  if (code !== 9) Tensor.prototype[`to${name}Array`] = function () { return readAs(this, code) }
}
// The only element, converted as the array would be.
function onlyOf(tensor, code) {
  const value = native.item(tensor.__handle)
  if (tensor.dtype === code) return value
  return code === 9 ? toHalves(tensor)[0] : readAs(tensor, code)[0]
}
Tensor.prototype.toFloat16Array = function () { return toHalves(this) }
Tensor.prototype.toBoolInt8 = function () { return native.item(this.__handle) !== 0 ? 1 : 0 }
Tensor.prototype.toBoolInt8Array = function () {
  const truth = ops.neq(this, 0)
  const out = new Int8Array(readAs(truth, 0).buffer)
  truth.dispose()
  return out
}
for (const [name, code] of [['BigInt64', 7], ['BigUint64', 8], ['Int64', 7], ['Uint64', 8]]) {
  Tensor.prototype[`to${name}`] = function () { return native.itemBigInt(this.__handle) }
  Tensor.prototype[`to${name}Array`] = function () { return readAs(this, code) }
}

/** The object for a handle that was just made. */
export function wrap(handle) {
  const tensor = new Tensor(handle, tokenFor(handle))
  currentTracker()?.add(tensor)
  return tensor
}

function made(make, tensor) {
  prepare()
  return wrap(make(tensor.__handle))
}

// --- Making tensors ---

const isNumeric = (kind) => kind === 'number' || kind === 'boolean' || kind === 'bigint'

// Writes the elements of nested arrays into `flat`, from `offset` on; returns the offset after them.
function flatten(data, shape, depth, kind, flat, offset) {
  if (!Array.isArray(data) || data.length !== shape[depth])
    throw new ShumaiError(`tensor: rows of different lengths, expected ${shape[depth]} at depth ${depth}, got ${Array.isArray(data) ? data.length : String(data)}`, 'shape_mismatch')
  if (depth + 1 < shape.length) {
    for (const item of data) offset = flatten(item, shape, depth + 1, kind, flat, offset)
    return offset
  }
  for (const item of data) {
    if (typeof item !== kind) throw wrongElement(item, kind, depth)
    flat[offset++] = item
  }
  return offset
}

function wrongElement(item, kind, depth) {
  if (Array.isArray(item)) return new ShumaiError(`tensor: rows of different depth, expected a ${kind} at depth ${depth + 1}, got an array`, 'shape_mismatch')
  return new ShumaiError(`tensor: expected numbers, booleans or bigints of one kind, got ${isNumeric(typeof item) ? `a ${typeof item} among ${kind}s` : kindOf(item)}`, 'dtype_mismatch')
}

/** [typed array, the dtype of its elements, shape] of a number or nested arrays. */
function fromNested(data, type) {
  const shape = []
  let first = data
  for (; Array.isArray(first); first = first[0]) shape.push(first.length)
  const kind = first === undefined && shape.at(-1) === 0 ? 'number' : typeof first
  if (!isNumeric(kind)) throw new ShumaiError(`tensor: expected numbers, booleans or bigints, got ${first === null ? 'null' : String(first)}`, 'dtype_mismatch')
  const count = shape.reduce((product, size) => product * size, 1)
  const [Array_, code] = kind === 'bigint' ? [BigInt64Array, 7] : kind === 'boolean' ? [Uint8Array, 0] : type === undefined ? [Float32Array, 11] : [Float64Array, 12]
  const flat = new Array_(count)
  if (shape.length === 0) flat[0] = first
  else flatten(data, shape, 0, kind, flat, 0)
  return [flat, code, shape]
}

/**
 * A tensor from a number, an array, nested arrays, any typed array, or a file's
 * name, which stands for the one tensor in it. Numbers become float32, booleans bool, bigints int64, unless `type` says otherwise.
 * Text is the name of a file with one tensor, as save() wrote it.
 */
export function tensor(data, type) {
  if (data instanceof Tensor) return type === undefined ? data.copy() : data.astype(type)
  if (typeof data === 'string') {
    const loaded = loadOnly(data)
    return type === undefined ? loaded : loaded.astype(type)
  }
  prepare()
  if (!ArrayBuffer.isView(data)) return fromArray(...fromNested(data, type), type)
  const [code, as = type] = dtypeOfArray(data)
  return fromArray(data, code, [data.length], type ?? as)
}

function fromArray(flat, code, shape, type) {
  const handle = native.fromData(flat, code, shape)
  const out = new Tensor(handle, ownToken(handle))
  currentTracker()?.add(out)
  if (type === undefined || dtypeCode(type) === code) return out
  const cast = out.astype(type)
  out.dispose()
  return cast
}

/** A rank-0 tensor, float32 unless `type` says otherwise. */
export function scalar(value, type) {
  if (typeof value === 'string') throw new ShumaiError(`scalar: expected a number, got ${value}`, 'dtype_mismatch')
  return tensor(value, type)
}

/** Bytes that all tensors hold now. */
export const bytesUsed = () => BigInt(native.bytesUsed())
/** Starts the random stream of a seed: the same values as in C++. */
export const manual_seed = (seed) => native.manualSeed(seed)
/** Elements lie in row order here, as in the original unless told otherwise. */
export const layout = Object.freeze({
  setRowMajor() {},
  setColMajor() { throw new ShumaiError('layout: elements are always in row order; give a transpose for columns') },
  isRowMajor: () => true,
  isColMajor: () => false,
})
export const isTensor = (value) => value instanceof Tensor

// --- Operations: one function and one method for each row of the table ---

// JavaScript's numbers don't say whether they are meant as integers: whole ones
// are, beside a tensor of integers, and bigints always.
export function numberHandle(value, operands) {
  const whole = typeof value === 'bigint' || (Number.isSafeInteger(value) && operands.some((item) => item instanceof Tensor && isInteger(item.dtype)))
  return native.number(value, whole)
}

const isInteger = (code) => code >= 1 && code <= 8

const isData = (value) => Array.isArray(value) || ArrayBuffer.isView(value)

// Numbers in the place of indices are int64; booleans stay what they are.
export const isIndexData = (value) => Array.isArray(value) && typeof value.flat(Infinity)[0] !== 'boolean'

/** `given` with arrays in the place of tensors made into tensors, which go into `made`. */
function makeTensors(args, given, made) {
  const make = (value, index) => {
    if (!isData(value)) return value
    const out = tensor(value, index && isIndexData(value) ? 'int64' : undefined)
    made.push(out)
    return out
  }
  return given.map((value, i) => {
    const kind = args[i].kind
    if (kind === 'tensors' && Array.isArray(value)) return value.map((item) => make(item))
    return kind === 'tensor' || kind === 'tensor?' ? make(value, args[i].index) : value
  })
}

// Arguments that are no tensors are checked by the core, which names them.
function convert(name, arg, value, operands, numbers) {
  const one = (item) => {
    if (item instanceof Tensor) return item.__handle
    if (!isNumeric(typeof item)) throw new ShumaiError(`${name}: ${arg.name} must be a tensor or a number, got ${kindOf(item)}`)
    const handle = arg.index ? native.number(item, true) : numberHandle(item, operands)
    numbers.push(handle)
    return handle
  }
  switch (arg.kind) {
    case 'tensor': return one(value)
    case 'tensor?': return value === undefined || value === null ? undefined : one(value)
    case 'tensors': {
      if (!Array.isArray(value)) throw new ShumaiError(`${name}: ${arg.name} must be an array of tensors`)
      return value.map(one)
    }
    case 'dtype': return value === undefined ? undefined : dtypeCode(value)
    default: return value
  }
}

// Tensors at the end may be given one by one instead of in an array: einsum('ij,jk->ik', a, b).
function gathered(args, given) {
  const last = args.length - 1
  if (last < 1 || args[last].kind !== 'tensors') return given
  const inArray = given.length === args.length && Array.isArray(given[last]) && given[last].some((item) => item instanceof Tensor)
  return inArray ? given : [...given.slice(0, last), given.slice(last)]
}

/** A function of tensors and other arguments, as `args` says: `run` gets handles and gives one, or an array of them. */
export function makeFunction(run, name, args) {
  return (...all) => {
    const given = gathered(args, all)
    if (given.length > args.length) throw new ShumaiError(`${name}: takes at most ${args.length} arguments, got ${given.length}`)
    const made = []
    const operands = makeTensors(args, given, made)
    prepare()
    const numbers = []
    const result = run(...args.map((arg, i) => convert(name, arg, operands[i], operands, numbers)))
    const outputs = (Array.isArray(result) ? result : [result]).map(wrap)
    for (const handle of numbers) native.dispose(handle)
    for (const item of given.flat()) if (item instanceof Tensor) for (const out of outputs) inheritSteps(out, item)
    // The graph holds what it needs of these; here they are only kept until the operation has run.
    for (const tensor of made) tensor.dispose()
    return Array.isArray(result) ? outputs : outputs[0]
  }
}

// The most common shapes of an op, without what the general one does for others.
// They leave their operands in shared memory and find the result there.
const { runBinary, runNumber, runUnary } = native

function makeUnary(code, general) {
  return (x) => {
    if (!(x instanceof Tensor)) return general(x)
    prepare()
    words[kOp] = code
    words[kA] = x.__handle
    runUnary()
    const out = wrap(words[kResult])
    if (x.__steps !== undefined) inheritSteps(out, x)
    return out
  }
}

function makeBinary(code, general) {
  return (a, b) => {
    const both = a instanceof Tensor ? b instanceof Tensor : undefined
    if (both === true) {
      prepare()
      words[kOp] = code
      words[kA] = a.__handle
      words[kB] = b.__handle
      runBinary()
      const out = wrap(words[kResult])
      if (a.__steps !== undefined) inheritSteps(out, a)
      if (b.__steps !== undefined) inheritSteps(out, b)
      return out
    }
    const tensor = both === false ? a : b
    const number = both === false ? b : a
    if (typeof number !== 'number' || !(tensor instanceof Tensor)) return general(a, b)
    prepare()
    words[kOp] = code
    words[kA] = tensor.__handle
    words[kB] = tensor === b ? 1 : 0
    numbers[0] = number
    runNumber()
    const out = wrap(words[kResult])
    if (tensor.__steps !== undefined) inheritSteps(out, tensor)
    return out
  }
}

// One tensor, then arguments that the core reads as they are.
function makeFirst(code, general, args) {
  const run = native.run
  const alone = args.slice(1).every(({ optional }) => optional) ? makeUnary(code, general) : undefined
  return function (x, a, b, c, d, e) {
    if (alone !== undefined && a === undefined && arguments.length <= 2) return alone(x)
    if (!(x instanceof Tensor) || arguments.length > args.length) return general(...arguments)
    prepare()
    const out = wrap(run(code, x.__handle, a, b, c, d, e))
    if (x.__steps !== undefined) inheritSteps(out, x)
    return out
  }
}

function makeOp(code, name, args, many) {
  const general = makeFunction(native.run.bind(undefined, code), name, args)
  if (many) return general
  const kinds = args.map(({ kind, index }) => (index ? 'index' : kind))
  if (kinds.join() === 'tensor') return makeUnary(code, general)
  if (kinds.join() === 'tensor,tensor') return makeBinary(code, general)
  const plain = kinds[0] === 'tensor' && kinds.length <= 6 && kinds.slice(1).every((kind) => ['bool', 'int', 'float', 'dims', 'string'].includes(kind))
  return plain ? makeFirst(code, general, args) : general
}

/** `run` as a method of its first argument. */
function makeMethod(run, count) {
  if (count === 1) return function () { return run(this) }
  if (count === 2) return function (other) { return run(this, other) }
  return function (...rest) { return rest.length === 0 ? run(this) : run(this, ...rest) }
}

/** Every operation by each of its JavaScript names. */
export const ops = {}
native.table().forEach((row, code) => {
  const run = makeOp(code, row.name, row.args, row.many)
  for (const name of row.js.split(' ')) {
    ops[name] = run
    if (row.args[0]?.kind !== 'tensor') continue
    // A method with this tensor as the first argument.
    Tensor.prototype[name] = makeMethod(run, row.args.length)
  }
})
Object.defineProperty(Tensor.prototype, 'T', {
  // Without axes the last two change places, and a vector becomes a column, as in the original.
  value: function (axes) {
    const { ndim } = this
    if (axes !== undefined || ndim === 0) return ops.transpose(this, axes)
    return ndim === 1 ? ops.unsqueeze(this, 1) : ops.transpose(this, Array.from({ length: ndim }, (_, i) => (i < ndim - 2 ? i : 2 * ndim - 3 - i)))
  },
  configurable: true,
})
