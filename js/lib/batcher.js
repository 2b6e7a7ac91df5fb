import { native, ShumaiError } from './native.js'
import { concatenate, zeros } from './ops.js'
import { SGD, sgd } from './optim.js'
import { Tensor } from './tensor.js'

const kMaxGroups = 64

/** False for NaN or infinity anywhere. */
const isFinite = (x) => x.dtype < 9 || Number.isFinite(x.detach().mul(0).sum().toFloat32())

/** Whether one update with a sum of gradients is as one with each of them. */
function isAdditive(gradUpdate) {
  return gradUpdate === undefined || gradUpdate === sgd || (gradUpdate instanceof SGD && gradUpdate.isAdditive)
}

/** [gradient of the input, those of the weights] */
export function split(found, input) {
  const weights = {}
  let inputGradient = null
  for (const [key, entry] of Object.entries(found)) {
    if (entry.tensor === input) inputGradient = entry.grad
    else weights[key] = entry
  }
  return [inputGradient, weights]
}

function deferred() {
  const out = {}
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }))
  return out
}

/** Calls of serve_model that run together; decides as the core's Batcher does when they begin. */
export class Batcher {
  #model
  #update
  #max
  #delay
  #updates
  #limited
  #groups = new Map()
  /** So many forwards run alone, after a batch whose gradients spread. */
  #alone = 0

  constructor(model, gradUpdate, { max, delay = 1, updates = 'auto' }, limited) {
    this.#model = model
    this.#update = gradUpdate
    this.#max = max
    this.#delay = delay
    this.#updates = updates
    this.#limited = limited
  }

  forward(user, input, wantsGradient, call) {
    const caller = { user, input, wantsGradient, call, since: performance.now(), ...deferred() }
    const [rows] = input.shape
    if (this.#alone > 0 || !rows || rows >= this.#max) {
      if (this.#alone > 0) --this.#alone
      this.#run(undefined, [caller])
      return caller.promise
    }
    const group = this.#groupFor(input)
    if (group.rows + rows > this.#max) this.#start(group)
    group.waiting.push(caller)
    group.rows += rows
    if (group.running > 0 || group.looking) ++group.late
    if (group.rows === this.#max) this.#start(group)
    else if (!group.timer || group.waiting.length >= group.expected) this.#lookSoon(group)
    return caller.promise
  }

  #groupFor(input) {
    const key = `${input.dtype}:${input.shape.slice(1)}`
    const known = this.#groups.get(key)
    if (known) return known
    if (this.#groups.size >= kMaxGroups)
      for (const [name, { waiting, running, looking }] of this.#groups) if (waiting.length === 0 && running === 0 && !looking) this.#groups.delete(name)
    const group = { waiting: [], rows: 0, expected: 1, late: 0, running: 0, looking: false, timer: undefined }
    this.#groups.set(key, group)
    return group
  }

  /** Once those that have arrived are here. */
  #lookSoon(group) {
    if (group.looking) return
    group.looking = true
    setImmediate(() => {
      group.looking = false
      if (group.waiting.length === 0) return
      if (group.running === 0 && group.waiting.length >= group.expected) this.#start(group)
      else group.timer ??= setTimeout(() => this.#start(group), Math.max(0, group.waiting[0].since + this.#delay - performance.now()))
    })
  }

  #start(group) {
    clearTimeout(group.timer)
    group.timer = undefined
    const callers = group.waiting
    if (callers.length === 0) return
    Object.assign(group, { waiting: [], rows: 0, late: 0, running: group.running + 1 })
    this.#run(group, callers)
  }

  async #run(group, callers) {
    native.countBatch(callers[0].call, 'forward', callers.length)
    let together = false
    if (callers.length > 1) {
      together = await this.#runTogether(callers).catch(() => false)
      if (!together) native.countBatch(callers[0].call, 'fallback', 1)
    }
    if (!together) for (const caller of callers) await this.#runAlone(caller)
    if (!group) return
    --group.running
    group.expected = callers.length + group.late
    this.#lookSoon(group)
  }

  async #runAlone({ user, input, wantsGradient, resolve, reject }) {
    try {
      if (wantsGradient && input.dtype >= 9) input.requires_grad = true
      const output = await this.#model(input)
      if (output?.requires_grad)
        user.__backward = async (jacobian, call) => {
          native.countBatch(call, 'backward', 1)
          const [inputGradient, weights] = split(await output.backward(jacobian), input)
          if (this.#update) await this.#update(weights)
          return inputGradient
        }
      resolve(output)
    } catch (error) {
      reject(error)
    }
  }

  async #runTogether(callers) {
    const input = concatenate(callers.map((caller) => caller.input), 0)
    if (input.dtype >= 9 && callers.some(({ wantsGradient }) => wantsGradient)) input.requires_grad = true
    const output = await this.#model(input)
    if (!(output instanceof Tensor) || output.shape[0] !== input.shape[0]) return false
    const graph = output.requires_grad ? { input, output, outstanding: callers.length, waiting: [], timer: undefined } : undefined
    if (graph && !(isFinite(input) && isFinite(output))) return false
    let begin = 0
    const answers = callers.map((caller) => {
      const end = begin + caller.input.shape[0]
      const rows = { graph, begin, end, wantsGradient: caller.wantsGradient, finished: false }
      begin = end
      return [caller, rows, output.slice(0, rows.begin, end)]
    })
    for (const [{ user, resolve }, rows, answer] of answers) {
      if (graph) user.__backward = (jacobian, call) => this.#backward(rows, jacobian, call)
      resolve(answer)
    }
    return true
  }

  #backward(rows, jacobian, call) {
    const { graph } = rows
    if (rows.finished || graph.waiting.some((other) => other.rows === rows)) throw new ShumaiError('backward: the graph was consumed by an earlier backward; forward again', 'gone', 410)
    const shape = [rows.end - rows.begin, ...graph.output.shape.slice(1)]
    if (String(jacobian.shape) !== String(shape)) throw new ShumaiError(`backward: expected a jacobian of the output's shape [${shape.join(', ')}], got [${jacobian.shape.join(', ')}]`, 'shape_mismatch')
    const returning = { rows, jacobian, call, ...deferred() }
    graph.waiting.push(returning)
    if (graph.waiting.length >= graph.outstanding) this.#goBack(graph)
    else graph.timer ??= setTimeout(() => this.#goBack(graph), this.#delay)
    return returning.promise
  }

  async #goBack(graph) {
    clearTimeout(graph.timer)
    const all = graph.waiting
    Object.assign(graph, { waiting: [], timer: undefined })
    const joins = !this.#limited && (this.#updates === 'summed' || (this.#updates === 'auto' && isAdditive(this.#update)))
    if (joins || all.length === 1) {
      native.countBatch(all[0].call, 'backward', all.length)
      if (await this.#step(graph, all)) return
      native.countBatch(all[0].call, 'fallback', 1)
    }
    for (const each of all) {
      native.countBatch(each.call, 'backward', 1)
      await this.#step(graph, [each])
    }
  }

  /** Takes the step of all of them as one. False when each has to be tried alone. */
  async #step(graph, all) {
    let retry = all.length > 1
    try {
      const jacobian = jointJacobian(graph, all)
      const [inputGradient, weights] = split(await graph.output.backward(jacobian, { retainGraph: true }), graph.input)
      if (isFinite(jacobian) && !Object.values(weights).every(({ grad }) => isFinite(grad))) {
        retry = false
        this.#alone += all.length
        throw new ShumaiError("optimize: the batch of this ticket has gradients that aren't finite; forward again", 'gone', 410)
      }
      try {
        if (this.#update) await this.#update(weights)
      } catch (error) {
        // The guard comes before any weight moves; what else an update throws may come after that.
        retry &&= error?.code === 'unprocessable'
        throw error
      }
      const gradients = all.map(({ rows }) => (rows.wantsGradient && inputGradient ? inputGradient.slice(0, rows.begin, rows.end).copy() : null))
      graph.outstanding -= all.length
      all.forEach(({ rows, resolve }, i) => {
        rows.finished = true
        resolve(gradients[i])
      })
    } catch (error) {
      if (retry) return false
      for (const { reject } of all) reject(error)
    }
    return true
  }
}

function jointJacobian({ output }, returning) {
  const parts = []
  let at = 0
  const fillUpTo = (end) => {
    if (end > at) parts.push(zeros([end - at, ...output.shape.slice(1)]).astype(output.dtype))
  }
  for (const { rows, jacobian } of [...returning].sort((a, b) => a.rows.begin - b.rows.begin)) {
    fillUpTo(rows.begin)
    parts.push(jacobian.astype(output.dtype))
    at = rows.end
  }
  fillUpTo(output.shape[0])
  return concatenate(parts, 0)
}
