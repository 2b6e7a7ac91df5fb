// cost.js SECONDS: what a dashboard that is left open costs a server that trains, and the machine that shows it.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { defer, isLive, launch, open } from './browser.js'
import { trainDigits } from './digits.js'
import { measure } from './measure.js'

const kStepsPerSecond = 20
const kTicksPerSecond = 100 // what Linux counts processes' time in
const seconds = Number(process.argv[2] ?? 60)
const around = Math.max(10, Math.min(60, seconds / 4))

/** Seconds of a core that a process had so far, and the bytes that it holds. */
function usage({ child: { pid } }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
  const resident = Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) * 1024
  return { time: (Number(fields[11]) + Number(fields[12])) / kTicksPerSecond, resident, at: performance.now() / 1000 }
}

/** The share of a core between two usages. */
const share = (before, after) => (after.time - before.time) / (after.at - before.at)

async function shareWhile(program, length) {
  const before = usage(program)
  await wait(length * 1000)
  return share(before, usage(program))
}

const percent = (part) => `${(100 * part).toFixed(2)}%`
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(2)} MiB`

/** The share of a core that the page's process takes, and what its script holds, from 30 s after it opened on. */
async function watch(session, browser, program, length) {
  const renderer = async () => {
    const { processInfo } = await browser.send('SystemInfo.getProcessInfo')
    return {
      time: processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime, 0),
      at: performance.now() / 1000,
    }
  }
  await wait(Math.min(30, length / 4) * 1000)
  const held = await measure(session)
  const before = [usage(program), await renderer()]
  await wait(length * 1000)
  const after = [usage(program), await renderer(), await measure(session)]
  return {
    server: share(before[0], after[0]),
    page: share(before[1], after[1]),
    resident: [before[0].resident, after[0].resident],
    heap: [held.heap, after[2].heap],
    nodes: [held.nodes, after[2].nodes],
  }
}

async function main(t) {
  const { server, trainers, url } = await trainDigits(t, { pace: kStepsPerSecond })
  const chromium = await launch()
  defer(t, () => chromium.close())
  await wait(10_000)
  const first = await shareWhile(server, around)
  const page = await open(t, chromium, url)
  await isLive(page)
  const seen = await watch(
    await page.context().newCDPSession(page),
    await chromium.newBrowserCDPSession(),
    server,
    seconds,
  )
  trainers[0].child.kill('SIGKILL')
  const idleSeen = await shareWhile(server, around)
  await page.close()
  const idle = await shareWhile(server, around)
  console.log(
    `the server, at ${kStepsPerSecond} steps a second: ${percent(first)} of a core without the page, ${percent(seen.server)} with it`,
  )
  console.log(`the server, idle: ${percent(idle)} of a core without the page, ${percent(idleSeen)} with it`)
  console.log(`the server's memory in ${seconds} s: ${seen.resident.map(mebibytes).join(' to ')}`)
  console.log(
    `the page: ${percent(seen.page)} of a core, its heap ${seen.heap.map(mebibytes).join(' to ')}, ${seen.nodes.join(' to ')} nodes`,
  )
}

const ends = []
await main({ after: (end) => ends.push(end) }).finally(async () => {
  for (const end of ends) await end()
})
