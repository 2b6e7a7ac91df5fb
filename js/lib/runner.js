import { mkdtempSync, rmSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.js'
import { checkNames } from './content.js'
import { tfetch } from './fetch.js'
import { Job } from './jobs.js'
import { ShumaiError } from './native.js'
import { remote_model } from './remote_model.js'
import { serve } from './server.js'
import { Tensor, tensor } from './tensor.js'

const kIndex = new URL('../index.js', import.meta.url).href
const kModelProgram = fileURLToPath(new URL('./runner_model.js', import.meta.url))
const kTokenOptions = ['token', 'tokens', 'tokenFile', 'tokenFromEnvironment']
const kOptions = [...kTokenOptions, 'port', 'hostname', 'timeLimit', 'maxOutput', 'maxCommands', 'directory', 'log', 'signals']
const kLongestCommand = 64 * 1024

const toBytes = (text) => tensor(new Uint8Array(Buffer.from(text)))

function textOf(input, what, most = Infinity) {
  if (!(input instanceof Tensor)) throw new ShumaiError(`runner: expected ${what} as a tensor of bytes`)
  const text = Buffer.from(input.toUint8Array()).toString()
  if (text.length > most) throw new ShumaiError(`runner: ${what} is longer than ${most}`, 'too_large', 413)
  return text
}

function checkTokens(options) {
  const given = options.token !== undefined || options.tokens?.length > 0 || options.tokenFile !== undefined || options.tokenFromEnvironment
  if (!given)
    throw new ShumaiError('serve_runner: runs any command for whoever reaches it, so it needs a token, also on this machine: {token} (a secret: openssl rand -hex 32), {tokens} or {tokenFile}')
}

class Runner {
  #jobs = new Set()
  #model
  #folder

  constructor({ timeLimit = 60_000, maxOutput = 1 << 20, maxCommands = 4, directory = process.cwd(), log = (line) => console.error(line), ...server }) {
    Object.assign(this, { timeLimit, maxOutput, maxCommands, directory, log })
    this.tokens = Object.fromEntries(kTokenOptions.filter((name) => server[name] !== undefined).map((name) => [name, server[name]]))
    if (server.tokenFromEnvironment) this.secret = process.env.SHUMAI_TOKEN
    const { SHUMAI_TOKEN: _, ...env } = process.env
    this.env = env
  }

  /** A job that is logged, begin and end. */
  #start(user, what, command, options) {
    const begin = performance.now()
    const job = new Job(command, { cwd: this.directory, env: this.env, maxOutput: this.maxOutput, ...options })
    this.#jobs.add(job)
    const tell = (how) => {
      this.#jobs.delete(job)
      this.log(`runner: ${user.token}: ${what}: ${how} after ${Math.round(performance.now() - begin)} ms`)
    }
    this.log(`runner: ${user.token}: ${what}: process ${job.pid} starts`)
    job.ended.then(({ status, signal }) => tell(signal ? `ended by ${signal}` : `exit status ${status}`), (error) => tell(error.message))
    return job
  }

  async shell(user, input) {
    const command = textOf(input, 'a command', kLongestCommand)
    if (this.#jobs.size - (this.#model ? 1 : 0) >= this.maxCommands) throw new ShumaiError(`runner: ${this.maxCommands} commands are running, which is the limit`, 'too_many_requests', 429)
    const job = this.#start(user, JSON.stringify(command), ['/bin/sh', '-c', command], {})
    let late = false
    const timer = setTimeout(() => {
      late = true
      job.stop()
    }, this.timeLimit)
    const ended = await job.ended.finally(() => clearTimeout(timer))
    if (late) throw new ShumaiError(`runner: the command took longer than ${this.timeLimit} ms and was killed`, 'timeout', 504)
    return { stdout: job.stdout.text(), stderr: job.stderr.text(), ...ended, dropped: job.stdout.dropped + job.stderr.dropped }
  }

  /** Writes the model where its imports are found, and this package under its name. */
  #write(source, extension) {
    this.#clear()
    this.#folder = mkdtempSync(path.join(this.directory, '.shumai-runner-'))
    const own = path.join(this.#folder, 'node_modules', '@shumai', 'shumai')
    mkdirSync(own, { recursive: true })
    // By its URL: through a link, Node 18 would load this package a second time.
    writeFileSync(path.join(own, 'package.json'), '{"type": "module", "exports": "./index.js"}')
    writeFileSync(path.join(own, 'index.js'), `export * from ${JSON.stringify(kIndex)}\n`)
    const file = path.join(this.#folder, `entry${extension}`)
    writeFileSync(file, source, { mode: 0o600 })
    return file
  }

  async serve_model(user, input) {
    const { source, extension, port } = JSON.parse(textOf(input, 'a model'))
    if (typeof source !== 'string' || !/^\.[mc]?[jt]s$/.test(extension)) throw new ShumaiError('runner: a model is the source of a .js, .mjs, .cjs or .ts file')
    if (!Number.isInteger(port) || port < 0 || port > 65535) throw new ShumaiError(`runner: port must be 0 to 65535, got ${port}`)
    const before = this.#model
    this.#model = undefined
    before?.stop()
    await before?.ended
    const file = this.#write(source, extension)
    const given = this.secret === undefined ? this.tokens : { ...this.tokens, tokenFromEnvironment: true }
    const env = this.secret === undefined ? this.env : { ...this.env, SHUMAI_TOKEN: this.secret }
    const job = this.#start(user, `model of ${source.length} characters`, [process.execPath, kModelProgram, file], {
      env, keepLast: true, extra: 1, input: JSON.stringify({ ...given, port, hostname: '127.0.0.1' }),
    })
    this.#model = job
    const told = new Promise((resolve) => {
      let text = ''
      job.extra.on('data', (part) => (text += part).includes('\n') && resolve(text))
    })
    const timer = setTimeout(() => job.stop(), this.timeLimit)
    const text = await Promise.race([told, job.ended.then(() => undefined)]).finally(() => clearTimeout(timer))
    if (text === undefined) throw new ShumaiError(`runner: the model didn't start, logs below:\n${job.stderr.text()}`, 'internal', 500)
    return JSON.parse(text)
  }

  logs() {
    return { stdout: this.#model?.stdout.text() ?? '', stderr: this.#model?.stderr.text() ?? '' }
  }

  #clear() {
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  stop() {
    for (const job of this.#jobs) job.stop()
    this.#clear()
  }
}

/**
 * Runs commands and serves models for remote_runner, on port 3113 of this
 * machine's own address: whoever has its token may do all that this process
 * may. Every command is logged with the name of the token, and ends at
 * `timeLimit`, with this process, or with the server.
 */
export function serve_runner(options = {}) {
  checkNames(options, kOptions, 'serve_runner: no option')
  checkTokens(options)
  const runner = new Runner(options)
  const { port = 3113, hostname = '127.0.0.1', signals } = options
  const tokens = Object.fromEntries(kTokenOptions.map((name) => [name, options[name]]))
  const server = serve(
    { shell: (user, input) => runner.shell(user, input), serve_model: (user, input) => runner.serve_model(user, input), logs: () => runner.logs() },
    { ...tokens, port, hostname, signals, limits: { maxBodyBytes: 64 << 20 } },
  )
  const { stop } = server
  const atExit = () => runner.stop()
  process.once('exit', atExit)
  server.stop = () => {
    process.off('exit', atExit)
    runner.stop()
    return stop.call(server)
  }
  runner.log(`serving runner on ${server.url}`)
  return server
}

const quoted = (value) => `'${String(value).replaceAll("'", "'\\''")}'`

/** Runs commands, and a model from a file, where serve_runner() is. */
export function remote_runner(url, options = {}) {
  checkNames(options, ['token', 'timeout'], 'remote_runner: no option')
  const { token, timeout = 0 } = options
  const call = (route, input) => tfetch(`${url}/${route}`, input, { token, timeout })
  const run = (command, ...values) => call('shell', toBytes(typeof command === 'string' ? command : String.raw({ raw: command }, ...values.map(quoted))))
  const logs = async () => (await call('logs')) ?? { stdout: '', stderr: '' }
  return {
    /** What a command writes to its standard output. As a template, with its values quoted. */
    shell: async (command, ...values) => (await run(command, ...values)).stdout,
    /** The same with {stdout, stderr, status, signal, dropped}. */
    run,
    /** What the served model has written last. */
    logs,
    /** Serves the default export of a file, trained by its `backward`, and gives the remote model. */
    async serve_model(file, port = 3000) {
      const model = { ...(await bundle(file)), port }
      const served = await call('serve_model', toBytes(JSON.stringify(model)))
      const host = url.replace(/^http:\/\//, '').replace(/(:\d+)?\/*$/, '')
      return remote_model(`${host}:${served.port}`, {
        token,
        errorHandler: async (error) => {
          const { stderr } = await logs().catch(() => ({ stderr: 'none' }))
          throw new ShumaiError(`Error using remote runner: ${error.message}, logs below:\n${stderr}`, error.code, error.status)
        },
      })
    },
  }
}
