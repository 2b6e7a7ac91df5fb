import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, poll, runScript, temporaryFolder, thisRuntime } from './common.js'

const token = 'runner-secret-0123456789abcdef'
const isRunning = (pid) => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
const gone = (pid) => poll(() => !isRunning(pid), `the end of process ${pid}`)

function start(t, options = {}) {
  const lines = []
  const directory = temporaryFolder(t)
  const server = sm.io.serve_runner({ token, port: 0, directory, log: (line) => lines.push(line), ...options })
  t.after(() => server.stop())
  return { server, lines, directory, runner: sm.network.remote_runner(server.url, { token }) }
}

test('a runner needs a token, also on this machine and when it may be insecure', () => {
  for (const options of [undefined, {}, { port: 0 }, { port: 0, tokens: [] }, { port: 0, token: undefined }])
    assert.throws(() => sm.io.serve_runner(options), /needs a token/)
  assert.throws(() => sm.io.serve_runner({ token, port: 0, insecure: true }), /no option "insecure"/)
  assert.throws(() => sm.io.serve_runner({ token: 'short', port: 0 }), /openssl/)
})

test('it listens on this machine only, for who has the token', async (t) => {
  const { server } = start(t)
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:/)
  for (const given of [{}, { token: 'wrong-secret-0123456789abcdef' }])
    await assert.rejects(sm.io.remote_runner(server.url, given).shell('id'), { status: 401 })
})

test('commands give their output, and everything that runs is logged', async (t) => {
  const { runner, lines, directory } = start(t)
  assert.equal(await runner.shell('echo $((6 * 7)); echo hidden >&2'), '42\n')
  assert.equal((await runner.shell('pwd')).trim(), directory)
  const failed = await runner.run('echo out; echo err >&2; exit 3')
  assert.deepEqual(failed, { stdout: 'out\n', stderr: 'err\n', status: 3, signal: null, dropped: 0 })
  assert.equal((await runner.run('kill -TERM $$')).signal, 'SIGTERM')
  const name = 'it\'s $(a) `b` "c"\n;x'
  assert.equal(await runner.shell`printf %s ${name}`, name)
  assert.equal(await runner.shell`printf 'a\\tb'`, 'a\tb')
  assert.ok(lines.some((line) => /^runner: default: "echo out; echo err >&2; exit 3": process \d+ starts$/.test(line)), lines.join('\n'))
  assert.ok(lines.some((line) => /"echo out; echo err >&2; exit 3": exit status 3 after \d+ ms$/.test(line)), lines.join('\n'))
  assert.ok(lines.every((line) => !line.includes('\n') && !line.includes(token)))
})

test('commands don\'t see the secret', async (t) => {
  const source = `
    const token = process.env.SHUMAI_TOKEN
    const server = sm.io.serve_runner({ tokenFromEnvironment: true, port: 0 })
    const runner = sm.io.remote_runner(server.url, { token })
    console.log('[' + await runner.shell('env; cat /proc/$$/cmdline') + ']')
    await server.stop()`
  const output = await runScript(t, thisRuntime, source, { env: { SHUMAI_TOKEN: token } }).succeed()
  assert.match(output, /PATH=/)
  assert.ok(!output.includes(token), output)
})

test('output, number and time of commands are limited, and what they leave running is ended', async (t) => {
  const { server, runner, directory } = start(t, { timeLimit: 3000, maxOutput: 1000, maxCommands: 1 })
  const long = await runner.run('yes | head -c 5000')
  assert.deepEqual([long.stdout.length, long.dropped], [1000, 4000])
  const [, left] = (await runner.shell('sleep 1000 & echo left $!')).split(' ')
  await gone(Number(left))
  const file = path.join(directory, 'pid')
  const late = assert.rejects(runner.shell('(sleep 1000 & echo $! > pid); sleep 1000'), { code: 'timeout', status: 504 })
  await poll(() => existsSync(file) && readFileSync(file, 'utf8').includes('\n'), 'the command')
  const another = sm.io.tfetch(`${server.url}/shell`, sm.tensor(new Uint8Array([58])), { token, retryFor: 0 })
  await assert.rejects(another, { code: 'too_many_requests', status: 429 })
  await late
  await gone(Number(readFileSync(file, 'utf8')))
})

test('what runs ends with the server, and when its process is killed', async (t) => {
  const { server, runner, directory } = start(t)
  const file = path.join(directory, 'pid')
  const running = runner.shell('sleep 1000 & echo $! > pid; wait').then(() => 'answered', () => 'refused')
  await poll(() => existsSync(file) && readFileSync(file, 'utf8').includes('\n'), 'the command')
  await server.stop()
  await gone(Number(readFileSync(file, 'utf8')))
  await running

  const other = temporaryFolder(t)
  const source = `
    const server = sm.io.serve_runner({ token: ${JSON.stringify(token)}, port: 0 })
    sm.io.remote_runner(server.url, { token: ${JSON.stringify(token)} }).shell('sleep 1000 & echo $! > pid; exec sleep 1000').catch(() => {})`
  const program = runScript(t, thisRuntime, source, { cwd: other })
  const pid = path.join(other, 'pid')
  await poll(() => existsSync(pid) && readFileSync(pid, 'utf8').includes('\n'), 'the command')
  program.child.kill('SIGKILL')
  await gone(Number(readFileSync(pid, 'utf8')))
})

test('a model from a file is served, trained, replaced, and its logs are told', async (t) => {
  const { server, runner, directory } = start(t)
  const file = path.join(temporaryFolder(t), 'model.mjs')
  const write = (factor) => writeFileSync(file, `
    import * as sm from '@shumai/shumai'
    const weight = sm.scalar(${factor}).requireGrad()
    console.log('a model of', ${factor})
    export default (x) => x.mul(weight)
    export const backward = (grads) => sm.optim.sgd(grads, 0.1)`)
  write(3)
  const model = await runner.serve_model(file, 0)
  close(await model(sm.tensor([2])), [6])
  await (await model(sm.tensor([1]))).sum().backward()
  close(await model(sm.tensor([1])), [2.9])
  assert.match((await runner.logs()).stdout, /a model of 3/)
  write(5)
  close(await (await runner.serve_model(file, 0))(sm.tensor([2])), [10])
  assert.equal(readdirSync(directory).length, 1)
  writeFileSync(file, 'throw new Error("no such luck")')
  await assert.rejects(runner.serve_model(file, 0), /no such luck/)
  await server.stop()
  assert.deepEqual(readdirSync(directory), [])
})
