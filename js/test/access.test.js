import assert from 'node:assert/strict'
import { request } from 'node:http'
import { chmodSync, renameSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, poll, runScript, temporaryFolder, thisRuntime } from './common.js'

const kAll = 'all-secret-0123456789abcdef'
const kForward = 'forward-secret-0123456789ab'
const kStatistics = 'statistics-secret-012345678'
const tokens = [
  { name: 'all', secret: kAll },
  { name: 'trainer', secret: kForward, routes: ['forward'] },
  { name: 'watcher', secret: kStatistics, routes: ['statistics'] },
]

const handlers = {
  forward: (user, x) => {
    user.opt = (jacobian) => jacobian.mul(sm.scalar(3))
    return x.mul(sm.scalar(2))
  },
  optimize: (user, jacobian) => user.opt(jacobian),
  who: (user) => ({ token: user.token, id: user.id }),
}

function serve(t, options = {}) {
  const server = sm.io.serve(handlers, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}

/** fetch, with headers that fetch keeps for itself. */
function raw(server, route, { method = 'GET', headers = {}, body, socketPath } = {}) {
  return new Promise((resolve, reject) => {
    const to = socketPath ? { socketPath } : { host: '127.0.0.1', port: server.port }
    const call = request({ ...to, path: `/${route}`, method, headers: body ? { 'Content-Type': 'application/json', ...headers } : headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part) => (text += part))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    call.on('error', reject)
    call.end(body)
  })
}
const bearer = (secret) => (secret ? { Authorization: `Bearer ${secret}` } : {})
const failure = (promise) => promise.then(() => assert.fail('nothing was thrown'), (error) => error)

test('every route wants a token that is for it', async (t) => {
  const server = serve(t, { tokens })
  const rows = {
    forward: [401, 401, 200, 403, 200],
    optimize: [401, 401, 403, 403, 200],
    who: [401, 401, 403, 403, 200],
    statistics: [401, 401, 403, 200, 200],
    metrics: [401, 401, 403, 403, 200],
    nowhere: [401, 401, 403, 403, 404],
    'v2/models/model': [401, 401, 200, 403, 200],
    'health/live': [200, 200, 200, 200, 200],
    'health/ready': [200, 200, 200, 200, 200],
  }
  for (const [route, expected] of Object.entries(rows)) {
    const takesTensor = route === 'forward' || route === 'optimize'
    const got = []
    for (const secret of [undefined, `${kAll}x`, kForward, kStatistics, kAll])
      got.push((await raw(server, route, { method: takesTensor ? 'POST' : 'GET', headers: bearer(secret), body: takesTensor ? '[1]' : undefined })).status)
    assert.deepEqual(got, expected, route)
  }
  const { unauthorized, forbidden } = server.statistics().refused
  assert.deepEqual([unauthorized, forbidden], [14, 11])
})

test('tfetch and remote_model send a token, and tell refusals by their code', async (t) => {
  const server = serve(t, { tokens })
  const url = `${server.url}/forward`
  close(await sm.io.tfetch(url, sm.tensor([1, 2]), { token: kForward }), [2, 4])
  const none = await failure(sm.io.tfetch(url, sm.tensor([1])))
  assert.deepEqual([none.code, none.status], ['unauthorized', 401])
  const other = await failure(sm.io.tfetch(`${server.url}/who`, undefined, { token: kForward }))
  assert.deepEqual([other.code, other.status], ['forbidden', 403])
  assert.match(other.message, /"trainer" isn't for \/who/)
  for (const token of ['', 12, null]) assert.equal((await failure(sm.io.tfetch(url, sm.tensor([1]), { token }))).message.includes('token'), true)
  const blank = await failure(sm.io.tfetch(url, sm.tensor([1]), { token: `${kAll}\n` }))
  assert.match(blank.message, /visible/)
  assert.ok(!blank.message.includes(kAll))

  const model = sm.io.remote_model(server.url, { token: kAll })
  const x = sm.tensor([1]).requireGrad()
  const y = await model(x)
  close(y, [2])
  await y.sum().backward()
  close(x.grad, [3])
  assert.equal((await failure(sm.io.remote_model(server.url, { retryFor: 0 })(x))).code, 'unauthorized')
})

test('a token stays with the server that it is for', async (t) => {
  const seen = []
  const backward = sm.io.serve({ optimize: (user, jacobian) => jacobian }, { port: 0, tokens: [{ name: 'a', secret: kForward }] })
  t.after(() => backward.stop())
  const forward = sm.io.serve({
    forward: async (user, x) => {
      seen.push((await failure(sm.io.tfetch(`${backward.url}/optimize`, x, { retryFor: 0 }))).code)
      return x
    },
  }, { port: 0, token: kAll })
  t.after(() => forward.stop())
  const x = sm.tensor([1]).requireGrad()
  const step = async (options) => (await sm.io.remote_model(`${forward.url}/forward`, { backwardUrl: `${backward.url}/optimize`, token: kAll, retryFor: 0, ...options })(x)).sum().backward()
  assert.equal((await failure(step())).code, 'unauthorized')
  await step({ backwardToken: kForward })
  assert.deepEqual(seen, ['unauthorized', 'unauthorized'])
})

test('a token has a session of its name, others on request, and sees no other token\'s', async (t) => {
  const server = serve(t, { tokens: [{ name: 'ann', secret: kAll }, { name: 'bob', secret: kForward }] })
  const who = async (secret, session) => JSON.parse((await raw(server, 'who', { headers: { ...bearer(secret), ...(session && { 'Shumai-Session': session }) } })).text)
  assert.deepEqual(await who(kAll), { token: 'ann', id: 'ann' })
  const own = await who(kAll, 'new')
  assert.equal(own.id.length, 32)
  assert.equal((await who(kAll, own.id)).id, own.id)
  assert.notEqual((await who(kForward, own.id)).id, own.id)
  const made = await raw(server, 'forward', { method: 'POST', headers: bearer(kAll), body: '[1]' })
  const back = (secret) => raw(server, 'optimize', { method: 'POST', headers: { ...bearer(secret), 'Shumai-Ticket': made.headers['shumai-ticket'] }, body: '[1]' })
  assert.equal((await back(kForward)).status, 403)
  assert.equal((await back(kAll)).status, 200)
  const open = serve(t)
  assert.deepEqual(Object.keys(JSON.parse((await raw(open, 'who')).text)), ['id'])
})

test('a token file is read at the start and when it changes', async (t) => {
  const file = path.join(temporaryFolder(t), 'tokens')
  const write = (text) => {
    writeFileSync(`${file}.new`, text, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  write(`# all\nall ${kAll} who # more\n`)
  const server = serve(t, { tokenFile: file })
  const status = async (secret) => (await raw(server, 'who', { headers: bearer(secret) })).status
  assert.deepEqual([await status(kAll), await status(kForward)], [200, 401])
  write(`all ${kForward}\n`)
  await poll(async () => (await status(kForward)) === 200, 'the new token')
  assert.equal(await status(kAll), 401)
  write('all\n')
  assert.throws(() => serve(t, { tokenFile: file }), /line 1/)
})

test('what can\'t be a token is refused at the start without being told', (t) => {
  const refused = (options, pattern) =>
    assert.throws(() => serve(t, options), (error) => error.code === 'invalid_argument' && pattern.test(error.message) && !error.message.includes('hunter2'))
  refused({ token: 'hunter2' }, /openssl rand -hex 32/)
  refused({ tokens: [{ name: 'a', secret: `${kAll} hunter2` }] }, /tokens\[0\].*a blank/)
  refused({ tokens: 'hunter2hunter2hunter2' }, /an array/)
  refused({ tokens: [{ name: 'a', secret: kAll, route: ['forward'] }] }, /"route"/)
  refused({ tokens: [{ name: 'a', secret: 12 }] }, /secret/)
  refused({ tokenFromEnvironment: true }, /SHUMAI_TOKEN/)
  refused({ cors: ['app.example'] }, /origins/)
})

test('another address than this machine\'s needs a token or insecure', async (t) => {
  for (const hostname of ['0.0.0.0', '::']) {
    assert.throws(() => serve(t, { hostname }), /tokens.*insecure/)
    assert.ok(serve(t, { hostname, token: kAll }).port > 0)
    assert.ok(serve(t, { hostname, insecure: true }).port > 0)
  }
  const file = path.join(temporaryFolder(t), 'socket')
  const server = serve(t, { hostname: `unix:${file}`, socketMode: 0o640 })
  assert.equal(statSync(file).mode & 0o777, 0o640)
  assert.equal((await raw(server, 'who', { socketPath: file })).status, 200)
})

test('without tokens the requests of web pages are refused', async (t) => {
  const server = serve(t)
  const status = async (headers, to = server) => (await raw(to, 'who', { headers })).status
  assert.equal(await status({ Host: 'evil.example' }), 403)
  assert.equal(await status({ Host: `localhost:${server.port}` }), 200)
  assert.equal(await status({ Origin: 'https://evil.example' }), 403)
  assert.equal(await status({ Origin: `http://127.0.0.1:${server.port}` }), 200)
  assert.equal(await status({ 'Sec-Fetch-Site': 'cross-site' }), 403)
  assert.equal(await status({ Host: 'models.example' }, serve(t, { allowedHosts: ['models.example'] })), 200)
  assert.equal(await status({ Host: 'models.example', ...bearer(kAll) }, serve(t, { token: kAll })), 200)
})

test('listed origins, and no others, get CORS headers', async (t) => {
  const origin = 'https://app.example'
  const cors = (answer) => Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))
  const server = serve(t, { token: kAll, cors: [origin] })
  const preflight = { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,content-type' }
  const allowed = await raw(server, 'forward', { method: 'OPTIONS', headers: preflight })
  assert.equal(allowed.status, 204)
  assert.equal(allowed.headers['access-control-allow-origin'], origin)
  assert.match(allowed.headers['access-control-allow-headers'], /Authorization/)
  assert.equal(allowed.headers['access-control-max-age'], '600')
  assert.equal(allowed.headers.vary, 'Origin')
  const answer = await fetch(`${server.url}/forward`, { method: 'POST', headers: { ...bearer(kAll), 'Content-Type': 'application/json', Origin: origin }, body: '[1]' })
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('Access-Control-Expose-Headers'), /Shumai-Ticket.*/)
  assert.ok(cors(await raw(server, 'forward', { method: 'POST', headers: { Origin: origin }, body: '[1]' })).length > 0)
  assert.deepEqual(cors(await raw(server, 'forward', { method: 'OPTIONS', headers: { ...preflight, Origin: 'https://evil.example' } })), [])
  assert.deepEqual(cors(await raw(serve(t, { token: kAll }), 'forward', { method: 'OPTIONS', headers: preflight })), [])
  const any = await raw(serve(t, { cors: ['*'] }), 'who', { headers: { Origin: origin } })
  assert.equal(any.headers['access-control-allow-origin'], '*')
  assert.ok(!('access-control-allow-credentials' in any.headers))
})

test('no secret shows up in anything that a run writes or answers', async (t) => {
  const file = path.join(temporaryFolder(t), 'tokens')
  writeFileSync(file, `file ${kForward}\n`)
  chmodSync(file, 0o644)
  const source = `
    const wrong = 'wrong-secret-0123456789abcdef'
    const handlers = { forward: (user, x) => x, fail: (user) => { throw new Error('failed for ' + user.token) }, who: (user) => ({ ...user, id: user.id, token: user.token }) }
    const server = sm.io.serve(handlers, { port: 0, token: ${JSON.stringify(kAll)}, tokenFile: ${JSON.stringify(file)}, tokenFromEnvironment: true })
    const say = (value) => console.log(value?.stack ?? value, JSON.stringify(value))
    for (const token of [${JSON.stringify(kAll)}, ${JSON.stringify(kForward)}, process.env.SHUMAI_TOKEN, wrong])
      for (const route of ['forward', 'fail', 'who', 'nowhere', 'statistics', 'metrics'])
        await sm.io.tfetch(server.url + '/' + route, undefined, { token, retryFor: 0 }).then(say, say)
    say(await (await fetch(server.url + '/metrics', { headers: { Authorization: 'Bearer ' + wrong } })).text())
    say(server.statistics())
    say(server)
    for (const options of [{ token: wrong + ' ' }, { tokens: [{ name: wrong + '!', secret: wrong }] }, { token: wrong, tokens: [{ name: 'default', secret: wrong }] }])
      try { sm.io.serve(handlers, { port: 0, ...options }) } catch (error) { say(error) }
    await sm.io.tfetch('http://127.0.0.1:1/x', undefined, { token: wrong, retryFor: 50 }).catch(say)
    await sm.io.tfetch('http://192.0.2.1:1/x', undefined, { token: wrong, retryFor: 0, timeout: 50 }).catch(say)
    await server.stop()
    console.log('the end')`
  const secret = 'environment-secret-0123456789'
  const program = runScript(t, thisRuntime, source, { env: { SHUMAI_TOKEN: secret, SHUMAI_LOG: 'trace' } })
  const output = await program.succeed()
  assert.match(output, /the end/)
  assert.match(output, /wrong token/)
  assert.match(output, /unencrypted/)
  for (const known of [kAll, kForward, secret, 'wrong-secret']) assert.ok(!output.includes(known), output)
})
