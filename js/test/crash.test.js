// Servers as processes that end: killed in the middle of training, or told to stop. Under both runtimes.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import * as sm from '../index.js'
import { poll, runScript, runtimes, temporaryFolder } from './common.js'

const both = (name, body) => {
  for (const runtime of Object.keys(runtimes)) test(`${name}, under ${runtime}`, (t) => body(t, runtime))
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** A process that serves y = x w, whose updates add the gradient of w. */
async function startCounter(t, runtime, directory, { port = 0, durability = 'every-update', options = '', handlers = '', before = '' } = {}) {
  const program = runScript(t, runtime, `
    const weight = sm.scalar(0).requireGrad()
    const add = (found) => { for (const { tensor, grad } of Object.values(found)) tensor.update(tensor.detach().add(grad)) }
    ${before}
    const server = sm.io.serve_model((x) => x.mul(weight), add, {
      port: ${port}, checkpoint: { directory: ${JSON.stringify(directory)}, weights: { weight }, durability: '${durability}', interval: 3600000 }, ${options}
    }, { weight: () => weight, ${handlers} })
    console.log('serving on ' + server.url)`)
  const [, url] = await program.find(/serving on (\S+)/)
  return { program, url }
}

const savedWeight = (directory) => sm.load(`${directory}/${readdirSync(directory).sort().at(-1)}`).weight.toFloat32()

both('a server that is killed costs its clients time, and no step is lost or taken twice', async (t, runtime) => {
  const directory = temporaryFolder(t)
  const port = await freePort()
  let { program, url } = await startCounter(t, runtime, directory, { port })
  let acknowledged = 0
  let training = true
  const model = sm.io.remote_model(url)
  const clients = Array.from({ length: 3 }, async () => {
    while (training) {
      await (await model(sm.scalar(1))).backward()
      ++acknowledged
    }
  })
  const failed = Promise.all(clients).then(() => undefined, (error) => error)
  for (let kill = 0; kill < 5; ++kill) {
    const until = acknowledged + 1 + Math.floor(Math.random() * 20)
    await poll(async () => acknowledged >= until || Promise.race([failed, false]), 'steps')
    program.child.kill('SIGKILL')
    await program.end()
    ;({ program } = await startCounter(t, runtime, directory, { port }))
  }
  const after = acknowledged + 5
  await poll(async () => acknowledged >= after || Promise.race([failed, false]), 'steps after the last crash')
  training = false
  assert.equal(await failed, undefined)
  assert.equal((await sm.io.tfetch(`${url}/weight`)).toFloat32(), acknowledged)
  assert.equal((await (await fetch(`${url}/statistics`)).json()).weights.version, acknowledged)
})

both('SIGTERM under load answers what runs, writes a checkpoint, and ends with 0', async (t, runtime) => {
  const directory = temporaryFolder(t)
  const { program, url } = await startCounter(t, runtime, directory, { durability: 'interval' })
  let acknowledged = 0
  const model = sm.io.remote_model(url, { retryFor: 0 })
  const clients = Array.from({ length: 4 }, async () => {
    for (;;) {
      await (await model(sm.scalar(1))).backward()
      ++acknowledged
    }
  })
  const ended = Promise.all(clients.map((client) => client.catch((error) => error.code)))
  await poll(() => acknowledged > 20, 'steps')
  assert.deepEqual(readdirSync(directory), [])
  program.child.kill('SIGTERM')
  program.child.kill('SIGTERM')  // one request, as timeout(1) sends it to the process and to its group
  assert.equal(await program.end(), 0, program.output)
  for (const code of await ended) assert.ok(['unavailable', 'connection'].includes(code), code)
  assert.equal(savedWeight(directory), acknowledged)
})

both('a handler that runs is waited for at SIGTERM, while the server isn\'t ready any more', async (t, runtime) => {
  const directory = temporaryFolder(t)
  const { program, url } = await startCounter(t, runtime, directory, {
    before: 'const released = new Promise((resolve) => process.stdin.once("data", resolve))',
    handlers: 'wait: async () => { await released; weight.update(sm.scalar(7)); return { done: true } }',
  })
  const waiting = sm.io.tfetch(`${url}/wait`)
  await poll(async () => (await (await fetch(`${url}/statistics`)).json()).requests_in_flight > 1, 'the handler')
  program.child.kill('SIGTERM')
  await poll(() => fetch(`${url}/health/ready`).then(({ status }) => status === 503, () => true), 'the server not to be ready')
  assert.ok(program.running)
  program.child.stdin.write('go')
  assert.deepEqual(await waiting, { done: true })
  assert.equal(await program.end(), 0)
  assert.equal(savedWeight(directory), 7)
})

both('a process that listens for SIGTERM itself, or says so, is left to it', async (t, runtime) => {
  const own = await startCounter(t, runtime, temporaryFolder(t), { before: 'process.on("SIGTERM", () => { console.log("mine"); process.exit(3) })' })
  own.program.child.kill('SIGTERM')
  assert.equal(await own.program.end(), 3)
  assert.match(own.program.output, /mine/)
  const off = await startCounter(t, runtime, temporaryFolder(t), { options: 'signals: false' })
  off.program.child.kill('SIGTERM')
  assert.equal(await off.program.end(), 'SIGTERM')
})

both('process.exit with a checkpoint ends at once', async (t, runtime) => {
  const { program, url } = await startCounter(t, runtime, temporaryFolder(t), { durability: 'interval', handlers: 'exit: () => { process.exit(4) }' })
  await (await sm.io.remote_model(url)(sm.scalar(1))).backward()
  const begin = performance.now()
  await assert.rejects(sm.io.tfetch(`${url}/exit`, sm.scalar(1), { retryFor: 0 }))
  assert.equal(await program.end(), 4)
  assert.ok(performance.now() - begin < 9_000, 'it waited for the grace')
})
