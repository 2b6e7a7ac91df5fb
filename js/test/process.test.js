// What needs processes and threads of its own, under both runtimes.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import * as sm from '../index.js'
import { close, poll, runScript, runtimes, temporaryFolder } from './common.js'

const both = (name, body) => {
  for (const runtime of Object.keys(runtimes)) test(`${name}, under ${runtime}`, (t) => body(t, runtime))
}

both('a process ends by itself after fetches and a stopped server', async (t, runtime) => {
  const output = await runScript(t, runtime, `
    const server = sm.io.serve({ twice: (user, x) => x.mul(2) }, { port: 0 })
    console.log((await sm.io.tfetch(server.url + '/twice', sm.scalar(4))).toFloat32())
    await server.stop()
    console.log('stopped')`).succeed()
  assert.match(output, /^8\nstopped\n$/)
})

both('a server keeps its process alive until it is told to stop', async (t, runtime) => {
  const program = runScript(t, runtime, `
    const server = sm.io.serve({ stop: () => { server.stop() } }, { port: 0 })
    console.log('serving on ' + server.url)`)
  const [, url] = await program.find(/serving on (\S+)/)
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
  assert.ok(program.running)
  await sm.io.tfetch(`${url}/stop`)
  await program.succeed()
})

both('process.exit ends a process in the middle of requests', async (t, runtime) => {
  for (const how of ['process.exit(7)', 'setImmediate(() => process.exit(7))', 'server.stop(); process.exit(7)']) {
    const program = runScript(t, runtime, `
      const w = sm.scalar(1).requireGrad()
      const server = sm.io.serve({ wait: () => new Promise(() => {}), forward: (user, x) => { const y = x.mul(w); user.f = () => y; return y } }, { port: 0 })
      for (let i = 0; i < 4; ++i) sm.io.tfetch(server.url + '/wait', sm.scalar(i)).catch(() => {})
      await sm.io.tfetch(server.url + '/forward', sm.scalar(1))
      ${how}`)
    assert.equal(await program.end(), 7, program.output)
    assert.equal(program.output, '')
  }
})

both('a rejected handler leaves the server serving', async (t, runtime) => {
  const output = await runScript(t, runtime, `
    const server = sm.io.serve({
      later: async () => { await null; throw new Error('after an await') },
      broken: async (user, x) => { const y = sm.withGradFn(x, [], () => { throw new Error('in a gradient') }); user.opt = (j) => { sm.optim.sgd(y.backward(j), 1) }; return y },
      back: (user, j) => { user.opt(j) },
    }, { port: 0 })
    const message = (promise) => promise.then(() => 'none', (error) => error.message)
    console.log(await message(sm.io.tfetch(server.url + '/later')))
    const y = await sm.io.tfetch(server.url + '/broken', sm.scalar(1), { grad_fn: (g) => sm.io.tfetch(server.url + '/back', g.grad_in) })
    console.log(await message(y.backward()))
    console.log(await message(sm.io.tfetch(server.url + '/later')))
    await server.stop()`).succeed()
  assert.equal(output, 'after an await\nin a gradient\nafter an await\n')
})

both('health is answered while a handler computes', async (t, runtime) => {
  const flag = `${temporaryFolder(t)}/seen`
  const program = runScript(t, runtime, `
    import { existsSync } from 'node:fs'
    const server = sm.io.serve({ busy: () => { while (!existsSync(${JSON.stringify(flag)})); return { done: true } } }, { port: 0, statistics: () => ({ mine: 1 }) })
    console.log('serving on ' + server.url)`)
  const [, url] = await program.find(/serving on (\S+)/)
  await poll(async () => (await (await fetch(`${url}/statistics`)).json()).mine === 1, 'the entries')
  const busy = sm.io.tfetch(`${url}/busy`)
  await poll(async () => (await (await fetch(`${url}/statistics`)).json()).requests_in_flight > 1, 'the handler to run')
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
  assert.equal((await fetch(`${url}/health/ready`)).status, 200)
  assert.equal((await (await fetch(`${url}/statistics`)).json()).mine, 1)
  assert.equal(existsSync(flag), false)
  writeFileSync(flag, '')
  assert.deepEqual(await busy, { done: true })
})

both('each worker has its own tensors, and may serve', async (t, runtime) => {
  const output = await runScript(t, runtime, `
    import { Worker, isMainThread, parentPort } from 'node:worker_threads'
    if (isMainThread) {
      const worker = new Worker(new URL(import.meta.url))
      const next = () => new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
      const url = await next()
      console.log((await sm.io.tfetch(url + '/twice', sm.tensor([1, 2]))).toString())
      try { worker.postMessage(sm.scalar(1)); console.log('posted') } catch (error) { console.log(error.message) }
      worker.postMessage({ data: sm.tensor([5, 6]).toFloat32Array(), shape: [2, 1] })
      console.log(await next())
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      worker.postMessage('stop')
      await ended
      console.log('ended')
    } else {
      const server = sm.io.serve({ twice: (user, x) => x.mul(2) }, { port: 0 })
      parentPort.on('message', async (message) => {
        if (message === 'stop') { await server.stop(); parentPort.close(); return }
        parentPort.postMessage(sm.tensor(message.data).reshape(message.shape).toString())
      })
      parentPort.postMessage(server.url)
    }`).succeed()
  assert.match(output, /^tensor\(\[2, 4\], float32\)\n.*toFloat32Array\(\) and shape.*\ntensor\(\[\[5\],\n +\[6\]\], float32\)\nended\n$/)
})

both('a worker is terminated in the middle of requests', async (t, runtime) => {
  const output = await runScript(t, runtime, `
    import { Worker, isMainThread, parentPort } from 'node:worker_threads'
    if (isMainThread) {
      for (let i = 0; i < 3; ++i) {
        const worker = new Worker(new URL(import.meta.url))
        const url = await new Promise((resolve) => worker.once('message', resolve))
        const failures = Array.from({ length: 4 }, () => sm.io.tfetch(url + '/wait', sm.scalar(i), { retryFor: 0 }).then(() => 'none', (error) => error.code))
        await new Promise((resolve) => worker.once('message', resolve))
        await worker.terminate()
        console.log((await Promise.all(failures)).every((code) => ['unavailable', 'connection'].includes(code)))
      }
      console.log('alive', sm.scalar(1).add(1).toFloat32())
    } else {
      let seen = 0
      const server = sm.io.serve({ wait: () => { if (++seen === 4) parentPort.postMessage('all'); return new Promise(() => {}) } }, { port: 0 })
      parentPort.postMessage(server.url)
    }`).succeed()
  assert.equal(output, 'true\ntrue\ntrue\nalive 2\n')
})

test('each thread has its own list of what it holds', async (t) => {
  const before = sm.util.held().tensors
  await runScript(t, 'node', 'console.log(sm.util.held().tensors)').succeed()
  assert.ok(sm.util.held().tensors >= before)
  close(sm.scalar(1), 1)
})
