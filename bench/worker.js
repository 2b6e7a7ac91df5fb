// What worker.hpp describes, for Node and Bun.
import { createInterface } from 'node:readline'

/** Seconds for one call of `work`: the mean over calls for about so many seconds. */
function secondsEach(seconds, work) {
  const start = performance.now()
  let spent = 0
  let calls = 0
  for (let chunk = 1; spent < seconds * 1e3; ) {
    for (let i = 0; i < chunk; ++i) work()
    calls += chunk
    const before = spent
    spent = performance.now() - start
    if (spent - before < 0.2) chunk *= 2
  }
  return spent / 1e3 / calls
}

export const repeat = (work, check = () => []) => ({ measure: (seconds) => secondsEach(seconds, work), check })

/** Numbers between -scale and scale that look random: those of noise() in workloads.hpp. */
export function fill(count, seed, scale = 1) {
  return Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin(12.9898 * i + 78.233 * seed) * 43758.5453
    return scale * (2 * (x - Math.floor(x)) - 1)
  })
}

/** Answers requests for `workloads`: functions of their arguments that return {measure, check}, or promises of them. */
export async function run(workloads) {
  let key, workload
  const answer = async (request) => {
    const wanted = request.workload + JSON.stringify(request.arguments)
    if (wanted !== key) {
      key = undefined
      workload = await workloads[request.workload](request.arguments)
      key = wanted
    }
    if (request.check) return { check: await workload.check() }
    return { value: await workload.measure(request.seconds) }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
}
