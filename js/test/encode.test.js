import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { temporaryFolder } from './common.js'

const fails = (make, code, message) => assert.throws(make, (error) => error instanceof sm.ShumaiError && error.code === code && message.test(error.message))
const hex = (buffer) => Buffer.from(buffer).toString('hex')
const word = (value) => hex(BigInt64Array.of(BigInt(value)).buffer)

test('binary is the original\'s, byte for byte', () => {
  const t = sm.tensor([[1, 2]]).requireGrad()
  t.provenance = '2a'
  const bytes = sm.io.encodeBinary(t, { a: 1, b: 155n })
  const props = Buffer.from('{"a":1,"b":["bigint","155"]}')
  assert.ok(bytes instanceof ArrayBuffer)
  assert.equal(hex(bytes), [2, 0x2a, 1, 8, props.length, 1, 2].map(word).join('') + hex(Float32Array.of(1, 2).buffer) + hex(props))
  for (const form of [bytes, new Uint8Array(bytes), Buffer.from(bytes)]) {
    const back = sm.io.decodeBinary(form)
    assert.deepEqual(back.tensor.toFloat32Array(), Float32Array.of(1, 2))
    assert.deepEqual(back.tensor.shape, [1, 2])
    assert.equal(back.tensor.provenance, '2a')
    assert.equal(back.tensor.requires_grad, true)
    assert.deepEqual(back.props, { a: 1, b: 155n })
  }
})

test('a tensor from nobody comes back so', () => {
  const bytes = sm.io.encodeBinary(sm.scalar(7))
  assert.equal(hex(bytes), [0, 0xffffffff, 0, 4, 0].map(word).join('') + hex(Float32Array.of(7).buffer))
  const { tensor, props } = sm.io.decodeBinary(bytes)
  assert.deepEqual([tensor.valueOf(), tensor.provenance, tensor.requires_grad, props], [7, null, false, undefined])
  const t = sm.scalar(1)
  t.provenance = 'ffffffffffffffff'
  assert.equal(sm.io.decodeBinary(sm.io.encodeBinary(t)).tensor.provenance, t.provenance)
})

test('base64 goes both ways', () => {
  const x = sm.randn([20, 30])
  const text = sm.util.encodeBase64(x)
  assert.match(text, /^[A-Za-z0-9+/]+=*$/)
  assert.deepEqual(sm.util.decodeBase64(text).tensor.toFloat32Array(), x.toFloat32Array())
  assert.deepEqual(sm.util.decodeBase64(text).tensor.shape, [20, 30])
})

test('readable text goes both ways for every dtype', () => {
  assert.equal(sm.util.encodeReadable(sm.tensor([[77, 1], [2, 4]])), '[[77, 1], [2, 4]]:Float32')
  assert.equal(sm.util.encodeReadable(sm.scalar(77)), '77:Float32')
  const x = sm.tensor([[[1], [0]], [[1], [1]]])
  for (const name of ['Float16', 'BFloat16', 'Float32', 'Float64', 'BoolInt8', 'Int8', 'Int16', 'Int32', 'Int64', 'Uint8', 'Uint16', 'Uint32', 'Uint64']) {
    const back = sm.util.decodeReadable(sm.util.encodeReadable(x.astype(name)))
    assert.equal(back.dtype, sm.dtype[name])
    assert.deepEqual(back.shape, [2, 2, 1])
    assert.deepEqual(Array.from(back.toFloat32Array()), [1, 0, 1, 1])
  }
  const odd = sm.tensor(Float64Array.of(NaN, Infinity, -Infinity, -0.1, 1e-300))
  assert.deepEqual(sm.util.decodeReadable(sm.util.encodeReadable(odd)).toFloat64Array(), odd.toFloat64Array())
  const wide = sm.tensor(BigUint64Array.of(2n ** 64n - 1n, 3n))
  assert.deepEqual(sm.util.decodeReadable(sm.util.encodeReadable(wide)).toBigUint64Array(), wide.toBigUint64Array())
  assert.deepEqual(sm.util.decodeReadable('[]').shape, [0])
})

test('readable text of people is read', () => {
  assert.deepEqual(sm.io.decodeReadable(' [1, 0,3 ,2]: Float32 ').toFloat32Array(), Float32Array.of(1, 0, 3, 2))
  assert.deepEqual(sm.io.decodeReadable('[true, false]: bool').dtype, sm.dtype.bool)
  assert.equal(sm.io.decodeReadable('77').valueOf(), 77)
})

test('what is no encoding is refused', () => {
  fails(() => sm.io.decodeBinary(new ArrayBuffer(8)), 'protocol', /the head needs 40 bytes, got 8/)
  fails(() => sm.io.decodeBinary('text'), 'invalid_argument', /typed array/)
  fails(() => sm.io.encodeBinary([1]), 'invalid_argument', /encodeBinary: expected a tensor/)
  const named = sm.scalar(1)
  named.provenance = 'me'
  fails(() => sm.io.encodeBinary(named), 'invalid_argument', /hexadecimal digits, got "me"/)
  const bytes = new Uint8Array(sm.io.encodeBinary(sm.scalar(1), { a: 1 }))
  bytes[bytes.length - 1] = 0
  fails(() => sm.io.decodeBinary(bytes), 'protocol', /props aren't JSON/)
  fails(() => sm.io.decodeBase64('!'), 'protocol', /base64/)
  fails(() => sm.io.decodeReadable('[[1, 0], [3, 2, 4]]: Float32'), 'shape_mismatch', /rows/)
  fails(() => sm.io.decodeReadable('[1, 2: Float32'), 'protocol', /brackets/)
  fails(() => sm.io.decodeReadable('[1, x]'), 'protocol', /got "x"/)
  fails(() => sm.io.decodeReadable('[1.5]: Int64'), 'protocol', /an integer, got "1.5"/)
  fails(() => sm.io.decodeReadable('[1]: Complex'), 'dtype_mismatch', /Complex/)
})

test('readlines is in util too', async (t) => {
  const file = path.join(temporaryFolder(t), 'lines')
  writeFileSync(file, 'a\nb\nc')
  const lines = []
  for await (const line of sm.util.readlines(file)) lines.push(line)
  await new Promise((resolve) => sm.util.readlinesCallback(file, (line) => lines.push(line), resolve))
  assert.deepEqual(lines, ['a', 'b', 'c', 'a', 'b', 'c'])
})
