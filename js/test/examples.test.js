// Every example in JavaScript, from its start to its end, under both runtimes.
import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeApp, startServer } from './apps.js'
import { close, cppProgram, Program, runtimes } from './common.js'

for (const [runtime, command] of Object.entries(runtimes)) {
  const run = (t, app, name, ...args) => new Program(t, command, [path.join(app, name), ...args]).succeed()
  const start = (t, app, name, ...args) => startServer(t, command, [path.join(app, name), ...args])
  const stop = async ({ program }) => {
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 0, program.output)
  }

  test(`the network of sine.js fits the better the longer it learns, under ${runtime}`, async (t) => {
    const app = makeApp(t)
    const loss = async (steps) => Number(/^loss (\S+)$/m.exec(await run(t, app, 'sine.js', '--steps', String(steps)))[1])
    const few = await loss(10)
    const many = await loss(300)
    assert.ok(many < few / 2, `${few} after 10 steps, ${many} after 300`)
  })

  test(`differentiate_through_remote_model.js finds the input, under ${runtime}`, async (t) => {
    const output = await run(t, makeApp(t), 'differentiate_through_remote_model.js', '--steps', '60')
    const [, ...values] = /= (\S+), (\S+)/.exec(output)
    close(values.map(Number), [1, 1], 0.01)
  })

  test(`the model of distributed/ learns, under ${runtime}`, async (t) => {
    const app = path.join(makeApp(t), 'distributed')
    const servers = [await start(t, app, 'model_a.js', '--port', '0'), await start(t, app, 'model_b.js', '--port', '0')]
    servers.push(await start(t, app, 'composed.js', servers[0].url, servers[1].url, '--port', '0'))
    const learned = /learned m (\S+), b (\S+)/.exec(await run(t, app, 'data.js', servers[2].url))
    close(learned.slice(1).map(Number), [4, -7], 0.1)
    for (const server of servers.reverse()) await stop(server)
  })

  test(`text.js foresees characters it never saw after a few steps, under ${runtime}`, async (t) => {
    const output = await run(t, makeApp(t), 'text.js', '--steps', '20', '--seconds', '200')
    const kinds = Number(/^\d+ characters of (\d+) kinds; held out: every tenth of 100 blocks of \d+, 3\d\d\d characters/m.exec(output)[1])
    const nats = Number(/^text: (\S+) nats a character on the held-out tenth after 20 steps, \d+ seconds$/m.exec(output)[1])
    assert.ok(nats > 1 && nats < 0.75 * Math.log(kinds), output)
  })

  test(`the page of web_form.js shows what the model answers, under ${runtime}`, async (t) => {
    const server = await start(t, makeApp(t), 'web_form.js', '--port', '0')
    const page = async (query) => (await fetch(server.url + query)).text()
    assert.match(await page('/'), /<form>[^]*name="celsius"/)
    assert.match(await page('/?celsius=0,100'), /<output>32\.0, 212\.0 Fahrenheit/)
    assert.match(await page('/?celsius=warm'), /enter numbers/)
    await stop(server)
  })

  test(`the client in the original's binary trains the server of C++, under ${runtime}`, async (t) => {
    const server = await startServer(t, cppProgram('seed_server'), ['0'])
    const client = fileURLToPath(new URL('../../examples/original/client.js', import.meta.url))
    const output = await new Program(t, command, [client, server.url, '--steps', '300']).succeed()
    const [, first, last] = /^original: loss (\S+) -> (\S+) after 300 steps$/m.exec(output).map(Number)
    assert.ok(last < first / 10, output)
  })
}
