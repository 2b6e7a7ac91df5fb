// What the tests share.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const examples = path.join(root, '..', 'examples', 'js')

// Generous: a busy machine is slow, and a test that passes never waits this long.
export const patience = 120_000

/** The executables of both runtimes, whichever runs the tests. */
export const runtimes = { node: typeof Bun === 'undefined' ? process.execPath : 'node', bun: typeof Bun === 'undefined' ? findBun() : process.execPath }

// npm may install Bun for several C libraries and processors; one of them starts here.
function findBun() {
  const folder = path.join(root, 'node_modules', '@oven')
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.map((name) => path.join(folder, name, 'bin', 'bun')).find((file) => spawnSync(file, ['--version']).status === 0) ?? 'bun'
}

export function close(actual, expected, tolerance = 1e-5) {
  const [a, b] = [actual, expected].map((value) => Array.from(typeof value === 'number' ? [value] : (value.toFloat64Array?.() ?? value)))
  assert.equal(a.length, b.length)
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) <= tolerance, `element ${i}: expected ${b[i]}, got ${value}`))
}

export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shumai-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Asks again until the answer is truthy, and returns it. */
export async function poll(ask, what) {
  const deadline = performance.now() + patience
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A program as a process of its own, killed at the end of the test. */
export class Program {
  output = ''
  #ended

  constructor(t, command, args, { env = {}, cwd } = {}) {
    this.name = [path.basename(command), ...args.map((arg) => path.basename(arg))].join(' ')
    const merged = Object.fromEntries(Object.entries({ ...process.env, ...env }).filter(([, value]) => value !== undefined))
    this.child = spawn(command, args, { cwd, env: merged, stdio: ['pipe', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) stream.setEncoding('utf8').on('data', (text) => (this.output += text))
    this.#ended = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code, signal) => resolve(signal ?? code))
    })
    this.#ended.catch(() => {})
    t.after(() => {
      this.child.kill('SIGKILL')
      return this.#ended.catch(() => {})
    })
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** The match of `pattern` in what the program wrote. */
  async find(pattern) {
    return poll(() => {
      const found = this.output.match(pattern)
      if (!found && !this.running) throw new Error(`${this.name} ended without ${pattern}:\n${this.output}`)
      return found
    }, `${pattern} from ${this.name}`)
  }

  /** Its status, or the signal that ended it. */
  async end() {
    const status = await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, patience, 'timeout').unref())])
    if (status === 'timeout') throw new Error(`${this.name} is still running:\n${this.output}`)
    return status
  }

  /** Its whole output; fails unless it ended well. */
  async succeed() {
    const status = await this.end()
    assert.equal(status, 0, `${this.name}:\n${this.output}`)
    return this.output
  }
}

/** A script that has the package as `sm`, under a runtime. */
export function runScript(t, runtime, source, options) {
  const file = path.join(temporaryFolder(t), 'script.mjs')
  writeFileSync(file, `import * as sm from ${JSON.stringify(new URL('../index.js', import.meta.url).href)}\n${source}`)
  return new Program(t, runtimes[runtime], [file], options)
}

export const thisRuntime = typeof Bun === 'undefined' ? 'node' : 'bun'

/** A program of the C++ build. */
export function cppProgram(name) {
  const folders = process.env.SHUMAI_BIN_DIR ? [process.env.SHUMAI_BIN_DIR] : ['test', 'release'].map((preset) => path.join(root, '..', 'build', preset, 'bin'))
  const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file))
  if (!found) throw new Error(`no program ${name} in ${folders.join(' or ')}: build it (./dev build), or set SHUMAI_BIN_DIR`)
  return found
}
