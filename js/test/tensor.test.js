import assert from 'node:assert/strict'
import test from 'node:test'
import { inspect } from 'node:util'
import * as sm from '../index.js'
import { close, runScript, runtimes, temporaryFolder } from './common.js'

const shapeAndData = (t) => [t.shape, Array.from(t.valuesArray())]
const fails = (make, code, message) => assert.throws(make, (error) => error instanceof sm.ShumaiError && error.code === code && message.test(error.message))

test('numbers become rank-0 float32, booleans bool, bigints int64', () => {
  assert.deepEqual(shapeAndData(sm.tensor(1.5)), [[], [1.5]])
  assert.equal(sm.tensor(1.5).dtype, sm.dtype.Float32)
  assert.equal(sm.tensor(true).dtype, sm.dtype.bool)
  assert.equal(sm.tensor(3n).dtype, sm.dtype.Int64)
  assert.equal(sm.scalar(2).ndim, 0)
})

test('nested arrays give their shape', () => {
  assert.deepEqual(shapeAndData(sm.tensor([1, 2, 3])), [[3], [1, 2, 3]])
  assert.deepEqual(shapeAndData(sm.tensor([[1, 2], [3, 4], [5, 6]])), [[3, 2], [1, 2, 3, 4, 5, 6]])
  assert.deepEqual(sm.tensor([[[1], [2]], [[3], [4]]]).shape, [2, 2, 1])
  assert.deepEqual(shapeAndData(sm.tensor([[true, false]])), [[1, 2], [1, 0]])
  assert.deepEqual(shapeAndData(sm.tensor([[1n], [-2n]])), [[2, 1], [1n, -2n]])
})

test('empty arrays keep their shape', () => {
  assert.deepEqual(sm.tensor([]).shape, [0])
  assert.deepEqual(sm.tensor([[], []]).shape, [2, 0])
})

test('every typed array keeps its dtype and values', () => {
  const arrays = [Uint8Array, Int8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array]
  const names = ['uint8', 'int8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64']
  arrays.forEach((Array_, i) => {
    const t = sm.tensor(Array_.of(1, 2, 100))
    assert.equal(t.dtype, sm.dtype[names[i]])
    assert.deepEqual(t.valuesArray(), Array_.of(1, 2, 100))
  })
  assert.deepEqual(sm.tensor(BigInt64Array.of(-(2n ** 62n))).valuesArray(), BigInt64Array.of(-(2n ** 62n)))
  assert.deepEqual(sm.tensor(BigUint64Array.of(2n ** 64n - 1n)).valuesArray(), BigUint64Array.of(2n ** 64n - 1n))
  assert.equal(sm.tensor(Uint8ClampedArray.of(7)).dtype, sm.dtype.uint8)
  assert.deepEqual(Array.from(sm.tensor(Buffer.from([1, 2])).valuesArray()), [1, 2])
  if (typeof Float16Array !== 'undefined') {
    assert.equal(sm.tensor(Float16Array.of(1.5)).dtype, sm.dtype.float16)
    assert.deepEqual(sm.tensor(Float16Array.of(1.5, -2)).toFloat16Array(), Float16Array.of(1.5, -2))
  }
})

test('a view of part of a buffer gives that part', () => {
  assert.deepEqual(Array.from(sm.tensor(Float32Array.of(1, 2, 3, 4).subarray(1, 3)).valuesArray()), [2, 3])
})

test('the data is copied', () => {
  const data = Float32Array.of(1, 2)
  const t = sm.tensor(data)
  data[0] = 9
  assert.equal(t.toFloat32Array()[0], 1)
})

test('a type given by code or by either name converts', () => {
  assert.equal(sm.tensor([1.7, -1.7], 'int32').dtype, sm.dtype.Int32)
  assert.deepEqual(Array.from(sm.tensor([1.7, -1.7], sm.dtype.Int32).valuesArray()), [1, -1])
  assert.equal(sm.tensor([1], 'Float64').dtype, sm.dtype.float64)
  assert.deepEqual(Array.from(sm.tensor([0.1], 'float64').valuesArray()), [0.1])
  assert.equal(sm.tensor(sm.tensor([1]), 'float64').dtype, sm.dtype.float64)
  assert.equal(sm.scalar(2, 'uint8').dtype, sm.dtype.Uint8)
  fails(() => sm.tensor([1], 'flaot32'), 'dtype_mismatch', /flaot32/)
})

test('ragged and mixed arrays say where they go wrong', () => {
  fails(() => sm.tensor([[1, 2], [3]]), 'shape_mismatch', /different lengths, expected 2 at depth 1, got 1/)
  fails(() => sm.tensor([[1, 2], 3]), 'shape_mismatch', /different lengths.*got 3/)
  fails(() => sm.tensor([1, [2]]), 'shape_mismatch', /different depth/)
  fails(() => sm.tensor([1, 2n]), 'dtype_mismatch', /a bigint among numbers/)
  fails(() => sm.tensor([1, true]), 'dtype_mismatch', /a boolean among numbers/)
  fails(() => sm.tensor([1, 'x']), 'dtype_mismatch', /got "x"/)
  fails(() => sm.tensor([1, undefined]), 'dtype_mismatch', /got undefined/)
  fails(() => sm.scalar('x'), 'dtype_mismatch', /scalar: .*got x/)
  fails(() => sm.tensor(null), 'dtype_mismatch', /got null/)
  fails(() => sm.tensor(new DataView(new ArrayBuffer(8))), 'dtype_mismatch', /DataView/)
  fails(() => new sm.Tensor(), 'invalid_argument', /sm.tensor/)
})

test('values are read back in every type', () => {
  const t = sm.tensor([1, 0, 3])
  for (const [name, Array_] of Object.entries({ Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array }))
    assert.deepEqual(t[`to${name}`](), Array_.of(1, 0, 3))
  assert.deepEqual(t.toBigInt64Array(), BigInt64Array.of(1n, 0n, 3n))
  assert.deepEqual(t.toInt64Array(), BigInt64Array.of(1n, 0n, 3n))
  assert.deepEqual(t.toBigUint64Array(), BigUint64Array.of(1n, 0n, 3n))
  assert.deepEqual(t.toBoolInt8Array(), Int8Array.of(1, 0, 1))
  assert.deepEqual(Array.from(t.toFloat16Array()), [1, 0, 3])
})

test('single values are read back as numbers and bigints', () => {
  assert.equal(sm.scalar(1.5).toFloat32(), 1.5)
  assert.equal(sm.tensor([[2]]).toInt32(), 2)
  assert.equal(sm.scalar(5).toBoolInt8(), 1)
  assert.equal(sm.scalar(2n ** 60n + 1n).toBigInt64(), 2n ** 60n + 1n)
  assert.equal(sm.tensor(BigUint64Array.of(2n ** 64n - 1n)).toUint64(), 2n ** 64n - 1n)
  assert.throws(() => sm.tensor([1, 2]).toFloat32(), sm.ShumaiError)
})

test('strided views are read in row order', () => {
  assert.deepEqual(Array.from(sm.tensor([[1, 2, 3], [4, 5, 6]]).T().toFloat32Array()), [1, 4, 2, 5, 3, 6])
})

test('a tensor of one element works as a number', () => {
  assert.equal(sm.scalar(2) + 1, 3)
  assert.equal(Number(sm.tensor([4])), 4)
  assert.ok(sm.scalar(2) < sm.scalar(3))
  assert.equal(`${sm.scalar(2)}`, 'tensor(2, float32)')
})

test('shape, ndim, elements and dtype describe the tensor', () => {
  const t = sm.zeros([2, 3, 4], 'int16')
  assert.deepEqual([t.shape, t.ndim, t.elements, t.dtype], [[2, 3, 4], 3, 24, sm.dtype.Int16])
  assert.deepEqual(t.shape64, [2n, 3n, 4n])
})

test('tensors print readably alone and inside other values', () => {
  const t = sm.tensor([[1, 2], [3, 4]])
  const text = 'tensor([[1, 2],\n        [3, 4]], float32)'
  assert.equal(String(t), text)
  assert.equal(inspect(t), text)
  assert.match(inspect({ weight: sm.scalar(1) }), /weight: tensor\(1, float32\)/)
  const gone = sm.scalar(1)
  gone.dispose()
  assert.equal(String(gone), 'tensor(disposed)')
})

for (const runtime of Object.keys(runtimes))
  test(`console.log prints tensors under ${runtime}`, async (t) => {
    const output = await runScript(t, runtime, 'console.log(sm.tensor([1, 2])); console.log({ w: sm.scalar(3) }, [sm.scalar(true)])').succeed()
    assert.match(output, /^tensor\(\[1, 2\], float32\)$/m)
    assert.match(output, /w: tensor\(3, float32\)/)
    assert.match(output, /tensor\(true, bool\)/)
    assert.doesNotMatch(output, /__handle/)
  })

test('JSON holds dtype, shape and data', () => {
  assert.deepEqual(JSON.parse(JSON.stringify({ t: sm.tensor([[1], [2]]) })), { t: { dtype: 'float32', shape: [2, 1], data: [1, 2] } })
})

test('tensors are saved and loaded by name', (t) => {
  const file = `${temporaryFolder(t)}/weights.safetensors`
  sm.save(file, { a: sm.tensor([1, 2]), b: sm.tensor([[3n]]) })
  const { a, b } = sm.load(file)
  assert.deepEqual(shapeAndData(a), [[2], [1, 2]])
  assert.deepEqual(shapeAndData(b), [[1, 1], [3n]])
  fails(() => sm.load(`${file}.none`), 'not_found', /none/)
})

test('the same seed gives the same values', () => {
  sm.manual_seed(7)
  const first = sm.randn([8])
  sm.manual_seed(7)
  close(sm.randn([8]), first, 0)
})

test('a tensor of a million numbers is made whole', () => {
  const data = Array.from({ length: 1000 }, (_, row) => Array.from({ length: 1000 }, (_, column) => row * 1000 + column))
  const t = sm.tensor(data)
  assert.deepEqual(t.shape, [1000, 1000])
  assert.equal(t.toFloat32Array()[999_999], 999_999)
})

test('a tensor can\'t be cloned, and the error says what to do', () => {
  for (const t of [sm.scalar(1), sm.tensor([1, 2]).add(1)]) {
    assert.throws(() => structuredClone(t), /toFloat32Array/)
    assert.throws(() => structuredClone({ deep: [t] }), /toFloat32Array/)
    t.dispose()
    assert.throws(() => structuredClone(t), /toFloat32Array/)
  }
})

test('update takes a tensor of the same shape only', () => {
  const w = sm.tensor([1, 2])
  assert.equal(w.update(sm.tensor([3, 4])), w)
  close(w, [3, 4])
  assert.throws(() => w.update(sm.tensor([1])), sm.ShumaiError)
  fails(() => w.update(3), 'invalid_argument', /update: expected a tensor, got 3/)
})
