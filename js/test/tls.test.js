import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, poll, runScript, temporaryFolder, thisRuntime } from './common.js'

/** An authority with its certificates, in a folder that goes with the test. */
class Authority {
  constructor(t, name = 'ca') {
    this.folder = temporaryFolder(t)
    this.ca = this.file(`${name}.crt`)
    this.#openssl('req', '-x509', ...this.#key(`${name}.key`), '-subj', `/CN=${name}`, '-days', '2', '-out', this.ca)
    this.caKey = this.file(`${name}.key`)
  }
  file(name) {
    return path.join(this.folder, name)
  }
  #openssl(...args) {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
  #key(name) {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.file(name)]
  }
  /** {cert, key} of `name`, good for localhost. */
  issue(name, { days = 2 } = {}) {
    const [cert, key, request, extensions] = ['crt', 'key', 'csr', 'ext'].map((ending) => this.file(`${name}.${ending}`))
    writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n')
    this.#openssl('req', ...this.#key(`${name}.key`), '-subj', `/CN=${name}`, '-out', request)
    this.#openssl('x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', this.caKey, '-CAcreateserial', '-days', String(days), '-extfile', extensions, '-out', cert)
    return { cert, key }
  }
}

function serve(t, handlers, options) {
  const server = sm.io.serve(handlers, { port: 0, ...options })
  t.after(() => server.stop())
  return server
}

// The first request would wait for a server that is only slow; a refusal must not.
const refused = (url, tls, pattern) =>
  assert.rejects(sm.io.tfetch(url, sm.scalar(1), { tls, retryFor: 600_000, timeout: 600_000, repeatable: true }), (error) => {
    assert.equal(error.code, 'connection')
    assert.match(error.message, pattern)
    return true
  })

test('a model learns over https with mutual TLS, and handlers see whose certificate a client has', async (t) => {
  const authority = new Authority(t)
  const weight = sm.scalar(1.5).requireGrad()
  const names = new Set()
  const model = (x) => x.mul(weight)
  const server = sm.io.serve_model(model, (found) => sm.optim.sgd(found, 0.1), { port: 0, tls: { ...authority.issue('server'), clientCa: authority.ca } }, {
    who: (user) => {
      names.add(user.peerName)
      user.seen = (user.seen ?? 0) + 1
      return { name: user.peerName, seen: user.seen, id: typeof user.id }
    },
  })
  t.after(() => server.stop())
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/)
  const tls = { ca: authority.ca, ...authority.issue('alice') }
  const remote = sm.io.remote_model(server.url, { tls })
  for (let step = 0; step < 60; ++step) await sm.loss.mse(await remote(sm.scalar(2)), sm.scalar(6)).backward()
  close(weight, 3, 1e-2)
  assert.deepEqual(await sm.io.tfetch(`${server.url}/who`, undefined, { tls }), { name: 'alice', seen: 1, id: 'string' })
  const bob = await sm.io.tfetch(`https://localhost:${server.port}/who`, undefined, { tls: { ca: authority.ca, ...authority.issue('bob') } })
  assert.equal(bob.name, 'bob')
  assert.deepEqual([...names], ['alice', 'bob'])
  assert.equal(server.statistics().tls.failed, 0)
})

test('without mutual TLS nobody has a name', async (t) => {
  const authority = new Authority(t)
  const server = serve(t, { who: (user) => ({ name: user.peerName ?? null }) }, { tls: authority.issue('server') })
  assert.deepEqual(await sm.io.tfetch(`${server.url}/who`, undefined, { tls: { ca: authority.ca } }), { name: null })
})

test('a wrong authority, a missing client certificate and a port without TLS are refused at once', async (t) => {
  const authority = new Authority(t)
  const other = new Authority(t, 'other')
  const server = serve(t, { echo: (user, x) => x }, { tls: { ...authority.issue('server'), clientCa: authority.ca } })
  const url = `${server.url}/echo`
  await refused(url, { ca: other.ca }, /isn't accepted/)
  await refused(url, undefined, /isn't accepted/)
  await refused(url, { ca: authority.ca }, /may want a certificate/)
  await refused(url, { ca: authority.ca, ...other.issue('mallory') }, /refuses this client/)
  const plain = serve(t, { echo: (user, x) => x })
  await refused(`https://127.0.0.1:${plain.port}/echo`, { ca: authority.ca }, /doesn't speak TLS/)
})

test('files that can\'t be used are named', async (t) => {
  const authority = new Authority(t)
  const [good, another] = [authority.issue('good'), authority.issue('another')]
  const expired = authority.issue('expired', { days: -1 })
  const start = (tls) => sm.io.serve({ echo: (user, x) => x }, { port: 0, tls })
  assert.throws(() => start({ cert: authority.file('missing.crt'), key: good.key }), /missing\.crt: No such file/)
  assert.throws(() => start({ cert: good.cert, key: another.key }), /another\.key: it isn't the key/)
  assert.throws(() => start(expired), /expired\.crt: the certificate expired/)
  assert.throws(() => start({ cert: good.cert }), /cert, key/)
  assert.throws(() => start({ ...good, ca: authority.ca }), /no option tls\."ca"|no option tls\. ?"ca"/)
  assert.throws(() => start({ ...good, minVersion: '1.1' }), /'1\.2' or '1\.3'/)
  await assert.rejects(sm.io.tfetch('https://127.0.0.1:1/x', undefined, { tls: { ca: '/nowhere.pem' } }), /nowhere\.pem/)
  await assert.rejects(sm.io.tfetch('http://127.0.0.1:1/x', undefined, { tls: { ca: authority.ca } }), /https:\/\//)
  await assert.rejects(sm.io.tfetch('https://127.0.0.1:1/x', undefined, { tls: { caFile: authority.ca } }), /caFile/)
})

test('a renewed certificate is used without a restart', async (t) => {
  const authority = new Authority(t)
  const next = new Authority(t, 'next')
  const files = authority.issue('server')
  const server = serve(t, { echo: (user, x) => x }, { tls: files })
  const url = `${server.url}/echo`
  close(await sm.io.tfetch(url, sm.scalar(1), { tls: { ca: authority.ca } }), 1)
  for (const [kind, file] of Object.entries(next.issue('renewed'))) {
    copyFileSync(file, `${files[kind]}.new`)
    renameSync(`${files[kind]}.new`, files[kind])
  }
  await poll(() => server.statistics().tls.reloads === 1, 'the new certificate')
  close(await sm.io.tfetch(url, sm.scalar(2), { tls: { ca: next.ca } }), 2)
})

test('a process that serves and trains over TLS ends by itself', async (t) => {
  const authority = new Authority(t)
  const program = runScript(t, thisRuntime, `
const server = sm.io.serve({ echo: (user, x) => x }, { port: 0, tls: ${JSON.stringify(authority.issue('server'))} })
const answer = await sm.io.tfetch(server.url + '/echo', sm.scalar(7), { tls: { ca: ${JSON.stringify(authority.ca)} } })
console.log('got', answer.toFloat32())
await server.stop()
`)
  assert.match(await program.succeed(), /got 7/)
})
