// The examples as their users have them: in a folder of their own, which has
// the package under its name.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { examples, poll, Program, root, runtimes, temporaryFolder } from './common.js'

/** A copy of the examples, with the package linked into it. */
export function makeApp(t) {
  const app = temporaryFolder(t)
  cpSync(examples, app, { recursive: true, filter: (file) => path.basename(file) !== 'node_modules' })
  mkdirSync(path.join(app, 'node_modules', '@shumai'), { recursive: true })
  symlinkSync(root, path.join(app, 'node_modules', '@shumai', 'shumai'))
  return app
}

export async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** A file of the seed in `app`, at another port than the document's: nothing else of it changes. */
function atPort(app, name, port) {
  const text = readFileSync(path.join(examples, 'seed', `${name}.js`), 'utf8')
  if (!text.includes('3000')) throw new Error(`${name}.js: expected port 3000`)
  // .mjs: the folder may have no package.json that says what .js is.
  const file = path.join(app, `${name}-${port}.mjs`)
  writeFileSync(file, text.replaceAll('3000', port))
  return file
}

/** The seed's server under a runtime: {program, url}. */
export async function startSeedServer(t, runtime, app, options) {
  const port = await freePort()
  const program = new Program(t, runtimes[runtime], [atPort(app, 'server', port)], { cwd: app, ...options })
  const url = `localhost:${port}`
  await poll(async () => {
    if (!program.running) throw new Error(`the seed's server ended:\n${program.output}`)
    return fetch(`http://${url}/health/live`).then(({ ok }) => ok, () => false)
  }, 'the seed\'s server')
  return { program, url, port }
}

/** One of the seed's clients ("client" or "client_stateful") under a runtime, from start to end. */
export const runSeedClient = (t, runtime, app, name, url, options) =>
  new Program(t, runtimes[runtime], [atPort(app, name, new URL(`http://${url.replace(/^http:\/\//, '')}`).port)], { cwd: app, ...options }).succeed()

/** A program that prints where it serves: {program, url}. */
export async function startServer(t, command, args, options) {
  const program = new Program(t, command, args, options)
  const [, url] = await program.find(/serving on (\S+)/)
  return { program, url }
}
