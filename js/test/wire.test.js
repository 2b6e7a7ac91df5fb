import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as sm from '../index.js'
import { close, temporaryFolder } from './common.js'

function echo(t, options = {}) {
  const seen = []
  const server = sm.io.serve(
    {
      echo: (user, x) => {
        seen.push(x.dtype)
        return x
      },
      huge: () => sm.scalar(1e5),
    },
    { port: 0, signals: false, ...options },
  )
  t.after(() => server.stop())
  return { server, seen, url: `${server.url}/echo` }
}

test('narrow floats are float32 at both ends', async (t) => {
  const { url, seen } = echo(t)
  const x = sm.tensor(new Float32Array([1 / 3, -2, 1000.1]))
  for (const [wire, tolerance] of [['bf16', 2], ['f16', 0.3]]) {
    const back = await sm.io.tfetch(url, x, { wire })
    assert.equal(back.dtype, sm.dtype.Float32)
    assert.notEqual(back.toFloat32Array()[0], Math.fround(1 / 3))
    close(back, x, tolerance)
  }
  assert.deepEqual(seen, [sm.dtype.Float32, sm.dtype.Float32])
  assert.equal((await sm.io.tfetch(url, x.astype(sm.dtype.BFloat16), { wire: 'f16' })).dtype, sm.dtype.BFloat16)
})

test('what float16 can\'t hold is an error on both sides', async (t) => {
  const { url, server } = echo(t)
  await assert.rejects(sm.io.tfetch(url, sm.scalar(70000), { wire: 'f16' }), { code: 'out_of_range', message: /70000/ })
  await assert.rejects(sm.io.tfetch(`${server.url}/huge`, undefined, { wire: 'f16' }), { code: 'not_acceptable', message: /65504/ })
})

test('a remote model trains over narrow and compressed bodies', async (t) => {
  const weight = sm.scalar(0)
  weight.requires_grad = true
  const server = sm.io.serve_model((x) => x.mul(weight), (found) => sm.optim.sgd(found, 0.1), { port: 0, signals: false })
  t.after(() => server.stop())
  const model = sm.io.remote_model(server.url, { wire: 'bf16', compress: 'zstd' })
  for (let i = 0; i < 50; ++i) {
    const x = sm.randn([1000])
    await sm.loss.mse(await model(x), x.mul(3)).backward()
  }
  close(weight, [3], 0.03)
})

test('compressed bodies count decoded for the limit of the server', async (t) => {
  const { url } = echo(t, { limits: { maxBodyBytes: 5000 } })
  const back = await sm.io.tfetch(url, sm.full([1000], 0.5), { compress: 'zstd' })
  assert.equal(back.toFloat32Array()[999], 0.5)
  await assert.rejects(sm.io.tfetch(url, sm.full([2000], 0.5), { compress: 'zstd' }), { code: 'too_large', status: 413 })
})

test('wire and compress are checked', async (t) => {
  const { url } = echo(t)
  const x = sm.scalar(1)
  await assert.rejects(sm.io.tfetch(url, x, { wire: 'f8' }), /wire must be 'safetensors'/)
  await assert.rejects(sm.io.tfetch(url, x, { wire: 16 }), /wire/)
  await assert.rejects(sm.io.tfetch(url, x, { compress: 'gzip' }), /compress must be 'zstd'/)
  await assert.rejects(sm.io.tfetch(url, x, { wire: 'shumai', id: 'me' }), /hexadecimal/)
  await assert.rejects(sm.io.tfetch(url, { a: x, b: x }, { wire: 'shumai' }), /one tensor/)
})

test('serves and trains over a Unix socket', async (t) => {
  const file = path.join(temporaryFolder(t), 'model.sock')
  const weight = sm.scalar(0)
  weight.requires_grad = true
  const server = sm.io.serve_model((x) => x.mul(weight), (found) => sm.optim.sgd(found, 0.5), { hostname: `unix:${file}`, signals: false })
  t.after(() => server.stop())
  assert.equal(statSync(file).mode & 0o777, 0o600)
  for (const url of [server.url, `unix:${file}:`]) {
    const model = sm.io.remote_model(url)
    const x = sm.full([4], 1)
    await sm.loss.mse(await model(x), x).backward()
  }
  assert.equal(weight.toFloat32(), 1)
  assert.equal((await sm.io.tfetch(`unix:${file}:/forward`, sm.scalar(2))).toFloat32(), 2)
  assert.equal((await sm.io.tfetch(`${server.url}:/statistics`)).weights.updates, 2)
})
