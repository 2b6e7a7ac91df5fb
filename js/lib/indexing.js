import { native, ShumaiError } from './native.js'
import { prepare } from './memory.js'
import { inheritSteps, isIndexData, numberHandle, Tensor, tensor, wrap } from './tensor.js'
import { kindOf } from './kinds.js'

// Runs `call` with the specs as the core takes them.
function withSpecs(name, specs, call) {
  if (!Array.isArray(specs)) throw new ShumaiError(`${name}: expected an array with a spec for each axis, got ${kindOf(specs)}`)
  const made = []
  const pick = (spec) => {
    if (spec instanceof Tensor) return [spec.__handle]
    if (typeof spec === 'string') return spec
    if (typeof spec === 'number' || typeof spec === 'bigint') return spec
    if (!Array.isArray(spec) && !ArrayBuffer.isView(spec))
      throw new ShumaiError(`${name}: expected a number, text such as '1:3', a tensor or an array, got ${kindOf(spec)}`)
    made.push(tensor(spec, isIndexData(spec) ? 'int64' : undefined))
    return [made.at(-1).__handle]
  }
  const given = specs.map(pick)
  prepare()
  const out = wrap(call(given))
  for (const item of made) item.dispose()
  return out
}

/** The part of a tensor that `specs` pick, an axis each. */
export function index(x, specs) {
  const out = withSpecs('index', specs, (given) => native.index(x.__handle, given))
  inheritSteps(out, x)
  return out
}

/** A new tensor with `value` in the part that `specs` pick. */
export function indexedAssign(x, value, specs) {
  const isTensor = value instanceof Tensor
  const isNumber = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
  const given = isTensor ? null : isNumber ? numberHandle(value, [x]) : tensor(value)
  const handle = isTensor ? value.__handle : isNumber ? given : given.__handle
  const out = withSpecs('indexedAssign', specs, (picks) => native.indexedAssign(x.__handle, handle, picks))
  inheritSteps(out, x)
  if (isTensor) inheritSteps(out, value)
  else if (isNumber) native.dispose(given)
  else given.dispose()
  return out
}

Tensor.prototype.index = function (specs) { return index(this, specs) }
Tensor.prototype.indexedAssign = function (value, specs) { return indexedAssign(this, value, specs) }

// The original's form, a pair for each axis, beside ours.
const pad = Tensor.prototype.pad
Tensor.prototype.pad = function (before, ...rest) {
  if (!Array.isArray(before?.[0])) return pad.call(this, before, ...rest)
  return pad.call(this, before.map(([first]) => first), before.map(([, last]) => last), ...rest)
}
