// Servers and clients in C++, Node and Bun with one another, as real processes.
import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { makeApp, runSeedClient, startSeedServer, startServer } from './apps.js'
import { close, cppProgram, Program, runtimes } from './common.js'

const kSides = ['C++', 'node', 'bun']

const startServing = (t, side, app) => (side === 'C++' ? startServer(t, cppProgram('seed_server'), ['0']) : startSeedServer(t, side, app))
const trainFrom = (t, side, app, url) => (side === 'C++' ? new Program(t, cppProgram('seed_client'), [url]).succeed() : runSeedClient(t, side, app, 'client', url))

for (const server of kSides)
  for (const client of kSides) {
    if (server === client) continue
    test(`a ${server} server is trained by a ${client} client`, async (t) => {
      const app = makeApp(t)
      const { url } = await startServing(t, server, app)
      for (let i = 0; i < 2; ++i) await trainFrom(t, client, app, url)
      close(await sm.io.tfetch(`${url}/forward`, sm.scalar(1)), 3, 0.01)
    })
  }

test('a model spread over a C++, a Node and a Bun server is trained by each kind of client', async (t) => {
  const app = path.join(makeApp(t), 'distributed')
  const script = (runtime, name, ...args) => [runtimes[runtime], [path.join(app, name), ...args]]
  const a = await startServer(t, cppProgram('distributed_a'), ['--port', '0'])
  const b = await startServer(t, ...script('node', 'model_b.js', '--port', '0'))
  const composed = await startServer(t, ...script('bun', 'composed.js', a.url, b.url, '--port', '0'))
  const clients = [script('node', 'data.js', composed.url), script('bun', 'data.js', composed.url), [cppProgram('distributed_data'), [composed.url]]]
  for (const [command, args] of clients) {
    const learned = /learned m (\S+), b (\S+)/.exec(await new Program(t, command, args).succeed())
    close(Number(learned[1]), 4, 0.1)
    close(Number(learned[2]), -7, 0.1)
  }
  for (const { program } of [composed, b, a]) {
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 0, program.output)
  }
})
