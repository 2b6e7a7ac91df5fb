// The original Shumai on either end, by the bytes of its own conversations: see tests/e2e/recorded/README.md.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import * as sm from '../index.js'
import { root } from './common.js'

const recorded = (name) => readFileSync(path.join(root, '..', 'tests', 'e2e', 'recorded', name))
const bodyOf = (message) => message.subarray(message.indexOf('\r\n\r\n') + 4)
const numbers = [1, 2, 3, 4, 5, 6]
const requestsOf = (folder) => numbers.map((i) => recorded(`${folder}/0${i}.request`))
const answersOf = (folder) => numbers.map((i) => recorded(`${folder}/0${i}.response`))

// w of y = w x, before the first and after each step.
const weights = [1.5, 3.4921875, 3.2999267578125, 3.1687088012695312]
const inputs = [[1, 2, -0.5, 4], [0.5, -1, 2, 1], [1, 1, 1, -2]].map((row) => sm.tensor(new Float32Array(row)).reshape([2, 2]))

/** The length of the message at the front of `bytes`, 0 while it isn't complete. */
function messageLength(bytes) {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return 0
  const length = Number(/content-length: (\d+)/i.exec(bytes.subarray(0, end).toString())?.[1] ?? 0)
  return bytes.length >= end + 4 + length ? end + 4 + length : 0
}

/** Calls `take` with each message of a socket. */
function onMessage(socket, take) {
  let pending = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    pending = Buffer.concat([pending, bytes])
    for (let length; (length = messageLength(pending)) > 0; pending = pending.subarray(length)) take(pending.subarray(0, length))
  })
}

/** Sends the requests one after another, and calls `seen` with each answer. */
async function replay(port, requests, seen) {
  const socket = net.connect(port, '127.0.0.1')
  const waiting = []
  onMessage(socket, (message) => waiting.shift()(message))
  for (const [i, request] of requests.entries()) {
    const answer = new Promise((resolve, reject) => {
      waiting.push(resolve)
      socket.once('close', () => reject(new Error('the server closed the connection')))
    })
    socket.write(request)
    seen(await answer, i)
  }
  socket.destroy()
}

/** A server that answers what it was given, in order, and keeps the requests. */
async function replayServer(t, answers) {
  const requests = []
  const server = net.createServer((socket) => {
    t.after(() => socket.destroy())
    onMessage(socket, (message) => socket.write(answers[requests.push(message) - 1] ?? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${server.address().port}`, requests }
}

function firstWeight() {
  const weight = sm.scalar(weights[0])
  weight.requires_grad = true
  return weight
}

async function checkReplay(server, folder, weight) {
  const answers = answersOf(folder)
  await replay(server.port, requestsOf(folder), (answer, i) => {
    assert.deepEqual(bodyOf(answer), bodyOf(answers[i]), `answer ${i + 1}`)
    assert.equal(weight.toFloat32(), weights[(i + 1) >> 1])
  })
}

test("the original's client trains a server of handlers", async (t) => {
  const weight = firstWeight()
  const ids = new Set()
  const server = sm.io.serve(
    {
      forward: (user, x) => {
        ids.add(user.id)
        const y = x.mul(weight)
        user.opt = (jacobian) => {
          sm.optim.sgd(y.backward(jacobian), 0.25)
        }
        return y
      },
      optimize: (user, jacobian) => {
        user.opt(jacobian)
      },
    },
    { port: 0, signals: false },
  )
  t.after(() => server.stop())
  await checkReplay(server, 'seed', weight)
  // Its provenance is who it is.
  assert.deepEqual([...ids], [bodyOf(recorded('seed/01.request')).readBigUInt64LE(8).toString(16)])
})

test("the original's client trains a served model", async (t) => {
  const weight = firstWeight()
  const server = sm.io.serve_model((x) => x.mul(weight), (found) => sm.optim.sgd(found, 0.25), { port: 0, signals: false })
  t.after(() => server.stop())
  await checkReplay(server, 'model', weight)
})

test("the original's client gets data without sending any", async (t) => {
  const server = sm.io.serve({ data: () => inputs[0] }, { port: 0, signals: false })
  t.after(() => server.stop())
  await replay(server.port, [recorded('other/data.request')], (answer) => assert.deepEqual(bodyOf(answer), bodyOf(recorded('other/data.response'))))
})

const idOf = (folder) => bodyOf(recorded(`${folder}/01.request`)).readBigUInt64LE(8).toString(16)

function lossOf(y, x) {
  const error = y.sub(x.mul(3))
  return error.mul(error).sum().div(8)
}

function checkRequests(requests, folder) {
  assert.equal(requests.length, 6)
  for (const [i, expected] of requestsOf(folder).entries()) {
    assert.deepEqual(bodyOf(requests[i]), bodyOf(expected), `request ${i + 1}`)
    assert.equal(requests[i].toString().split('\r\n')[0], expected.toString().split('\r\n')[0])
    assert.match(requests[i].toString(), /\r\nContent-Type: application\/octet-stream\r\n/)
  }
}

test('tfetch trains an original server', async (t) => {
  const { url, requests } = await replayServer(t, answersOf('seed'))
  const options = { wire: 'shumai', id: idOf('seed') }
  for (const x of inputs) {
    const y = await sm.io.tfetch(`${url}/forward`, x.detach(), { ...options, grad_fn: (grad) => sm.io.tfetch(`${url}/optimize`, grad.grad_in, options) })
    await lossOf(y, x).backward()
  }
  checkRequests(requests, 'seed')
})

test('remote_model trains an original server', async (t) => {
  const { url, requests } = await replayServer(t, answersOf('model'))
  const model = sm.io.remote_model(url, { wire: 'shumai', id: idOf('model') })
  for (const x of inputs) await lossOf(await model(x.detach()), x).backward()
  checkRequests(requests, 'model')
})

test('an original server sends the gradient of the input back', async (t) => {
  const { url } = await replayServer(t, [recorded('model/01.response'), recorded('model/02.response')])
  const x = inputs[0].detach()
  x.requires_grad = true
  const y = await sm.io.remote_model(url, { wire: 'shumai' })(x)
  await y.sum().backward()
  assert.deepEqual([...x.grad.toFloat32Array()], [-0.5625, -1.125, 0.28125, -2.25])
})

test("the original's answers are read without being told of it, and its errors are errors", async (t) => {
  const page = '<!DOCTYPE html><html></html>'
  const names = ['data', 'statistics', 'nothing', 'fails', 'nowhere', 'number']
  const answers = [...names.map((name) => recorded(`other/${name}.response`)), `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\n\r\n${page}`]
  const { url } = await replayServer(t, answers)
  const ask = () => sm.io.tfetch(`${url}/x`, undefined, { wire: 'shumai' })
  assert.deepEqual([...(await sm.io.tfetch(`${url}/x`)).toFloat32Array()], [1, 2, -0.5, 4])
  assert.deepEqual(await ask(), { weight: 1.5 })
  assert.equal(await ask(), undefined)
  await assert.rejects(ask(), { name: 'ShumaiError', status: 500 })
  await assert.rejects(ask(), { code: 'protocol', message: /Welcome to Bun!/ })
  await assert.rejects(ask(), { code: 'protocol', message: /text\/plain/ })
  await assert.rejects(ask(), { code: 'protocol', message: /text\/html/ })
})
