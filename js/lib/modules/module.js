import { ShumaiError } from '../native.js'
import { saveModel } from '../files.js'
import { load as loadTensors, ops, Tensor } from '../tensor.js'
import { Checkpoint } from './checkpoint.js'

/** What a module says it has: [name, value] of each member. Sequential numbers its modules. */
export const members = Symbol('members')
/** Names of the tensors that files have transposed. */
export const transposed = Symbol('transposed')
/** The JSON text that describes a model, if it has one: see json.js. */
export const description = Symbol('description')

const isPlain = (value) => value !== null && typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** The items of what may hold tensors and modules; null for anything else. */
function itemsOf(value) {
  if (value instanceof Module) return value[members]()
  if (Array.isArray(value) || value instanceof Map) return value.entries()
  return isPlain(value) ? Object.entries(value) : null
}

// Every module and tensor in `value`, itself included: {name, value, owner, key}, where `owner` has it under `key`.
// What contains itself, as by a field for the parent, isn't entered again.
function* walk(value, name, owner, key, above) {
  if (value instanceof Tensor || value instanceof Module) yield { name, value, owner, key }
  if (value instanceof Tensor || above.has(value)) return
  const items = itemsOf(value)
  if (items === null) return
  above.add(value)
  for (const [item, inner] of items) yield* walk(inner, name === '' ? `${item}` : `${name}.${item}`, value, item, above)
  above.delete(value)
}

// Asking a tensor to require gradients makes it a weight, and it stays one while it is frozen; what was computed from
// weights requires gradients as well, but isn't one.
const isParameter = (tensor) => tensor.__token.owner === tensor
const isBuffer = (tensor) => !isParameter(tensor) && !tensor.requires_grad

const isWeight = (value) => value instanceof Tensor && isParameter(value)
const isKept = (value) => value instanceof Tensor && isBuffer(value)

// [name, value] of what `wanted` picks; a tensor or module that has several names is there once.
function* pick(module, prefix, wanted) {
  const seen = new Set()
  for (const { name, value } of walk(module, prefix, null, '', new Set())) {
    if (!wanted(value) || seen.has(value)) continue
    seen.add(value)
    yield [name, value]
  }
}

// {name, own, turn} of all weights and buffers: `turn` changes between the layouts here and in files.
function namedState(module) {
  const found = Array.from(walk(module, '', null, '', new Set())).filter(({ value }) => isWeight(value) || isKept(value))
  return found.map(({ name, value, owner, key }) => {
    const turned = owner instanceof Module && owner.constructor[transposed]?.includes(key)
    return { name, own: value, turn: turned ? (tensor) => ops.transpose(tensor) : (tensor) => tensor }
  })
}

const shown = (shape) => `[${shape.join(', ')}]`
const isFloating = (tensor) => tensor.dtype >= 9

/** What is wrong with `given` as the value of `own`: [code, text]; null if nothing is. */
function differences(name, own, given) {
  if (given === undefined) return ['not_found', `"${name}" is missing`]
  if (!(given instanceof Tensor)) return ['invalid_argument', `"${name}" must be a tensor`]
  if (shown(own.shape) !== shown(given.shape)) return ['shape_mismatch', `"${name}" must have shape ${shown(own.shape)}, got ${shown(given.shape)}`]
  if (isFloating(own) !== isFloating(given)) return ['dtype_mismatch', `"${name}" must be ${isFloating(own) ? 'floating' : 'integers'}, and isn't`]
  return null
}

/**
 * A layer or a model: subclass it, give it tensors and modules as fields, and call it like a function. Fields may also
 * be arrays, maps and objects of these; their names are joined by dots: "layers.0.weight". What isn't to be found is
 * kept in a private field (#cache).
 */
export class Module extends Function {
  // Not super(): it would compile a function from text, which hardened runtimes forbid.
  constructor() {
    const call = (...args) => call.forward(...args)
    // A function's own are read-only, and fields may be called like that.
    Object.defineProperty(call, 'name', { value: new.target.name, writable: true })
    Object.defineProperty(call, 'length', { value: 0, writable: true })
    Object.defineProperty(call, 'training', { value: true, writable: true, configurable: true })
    return Object.setPrototypeOf(call, new.target.prototype)
  }

  /** What calling the module does. */
  forward() {
    throw new Error(`${this.constructor.name}: a module must have a forward() method`)
  }

  [members]() {
    return Object.entries(this)
  }

  /** [name, tensor] of every weight, in this module and those within. */
  *namedParameters(prefix = '') {
    yield* pick(this, prefix, isWeight)
  }
  parameters() {
    return Array.from(this.namedParameters(), ([, tensor]) => tensor)
  }
  /** [name, tensor] of what isn't trained but belongs to the model, such as running statistics. */
  *namedBuffers(prefix = '') {
    yield* pick(this, prefix, isKept)
  }
  /** [name, module]: itself, named '', and all modules within. */
  *namedModules(prefix = '') {
    yield* pick(this, prefix, (value) => value instanceof Module)
  }

  /** Sets the mode of this module and all within: dropout and batch statistics are for training. Returns this. */
  train(on = true) {
    for (const [, module] of this.namedModules()) module.training = on
    return this
  }
  eval() {
    return this.train(false)
  }
  /** Whether the weights get gradients: false freezes them. Returns this. */
  requireGrad(required = true) {
    for (const tensor of this.parameters()) tensor.requires_grad = required
    return this
  }

  /**
   * Weights and buffers by name, as save() writes them: names and layouts are those of C++ and PyTorch, so the weight of
   * Linear is [outputs, inputs]. Later updates don't change what this returned.
   */
  state() {
    const out = {}
    for (const { name, own, turn } of namedState(this)) {
      if (name in out) throw new ShumaiError(`${this.constructor.name}: two tensors are named "${name}"`)
      out[name] = turn(own.detach())
    }
    return out
  }

  /** Takes the values of another state(). Names and shapes must be the same; nothing changes otherwise. Returns this. */
  loadState(state) {
    const named = namedState(this)
    const known = new Set(named.map(({ name }) => name))
    const wrong = named.map(({ name, own, turn }) => differences(name, turn(own.detach()), state[name])).filter((found) => found !== null)
    for (const name of Object.keys(state)) if (!known.has(name)) wrong.push(['invalid_argument', `"${name}" isn't part of the module`])
    if (wrong.length > 0) throw new ShumaiError(`${this.constructor.name}: ${wrong.map(([, text]) => text).join('; ')}`, wrong[0][0], wrong[0][0] === 'not_found' ? 404 : 400)
    for (const { name, own, turn } of named) own.update(turn(state[name].detach()))
    return this
  }

  /** Writes state() to a safetensors file, atomically, with the description of a model that has one. */
  save(file) {
    saveModel(file, this.state(), this[description])
  }
  /** Reads what save() wrote, here or in C++. Returns this. */
  load(file) {
    try {
      return this.loadState(loadTensors(file))
    } catch (error) {
      if (error instanceof ShumaiError) error.message = `load: "${file}": ${error.message}`
      throw error
    }
  }

  /**
   * Keeps numbered files of this module in `directory`, which is made if need be, and starts from the newest one there.
   * `keep` files stay. What this returns writes the next file when its save() is called.
   */
  checkpoint(directory, keep = 2) {
    return new Checkpoint(this, directory, keep)
  }
}

/** The same as model.checkpoint(directory, keep). */
export const checkpoint = (model, directory, keep) => model.checkpoint(directory, keep)
