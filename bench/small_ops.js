// What a small operation costs in JavaScript: the loops of small_ops.cpp.
import * as sm from '../js/index.js'

/** The median over rounds of the time of one call. */
function nanoseconds(calls, call) {
  const kRounds = 7
  const rounds = []
  for (let round = 0; round <= kRounds; ++round) {
    const start = performance.now()
    for (let i = 0; i < calls; ++i) call()
    const spent = performance.now() - start
    if (round > 0) rounds.push((spent * 1e6) / calls) // the first one warms up
  }
  return rounds.sort((p, q) => p - q)[(kRounds - 1) / 2]
}

const report = (name, ns) => console.log(JSON.stringify({ name, ns }))

const a = sm.randn([32])
const b = sm.randn([32])
report('add_32', nanoseconds(200_000, () => a.add(b)))
report('mul_number_32', nanoseconds(200_000, () => a.mul(2)))
report('exp_32', nanoseconds(200_000, () => a.exp()))
report('sum_32', nanoseconds(200_000, () => a.sum()))
const matrix = sm.randn([8, 8])
report('matmul_8', nanoseconds(100_000, () => matrix.matmul(matrix)))

const weight = sm.scalar(1.5).requireGrad()
const x = sm.scalar(2)
report('scalar_step', nanoseconds(20_000, () => x.mul(weight).square().backward()))
