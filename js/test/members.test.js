import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { inspect } from 'node:util'
import * as sm from '../index.js'
import { close, runScript, temporaryFolder, thisRuntime } from './common.js'

const values = (t) => Array.from(t.toFloat64Array())
const fails = (make, code, message) => assert.throws(make, (error) => error instanceof sm.ShumaiError && error.code === code && message.test(error.message))

test('every tensor has the members of the original', () => {
  const t = sm.tensor([[1, 2], [3, 4]])
  assert.deepEqual(t.shape, [2, 2])
  assert.deepEqual(t.shape64, [2n, 2n])
  assert.equal(t.ndim, 2)
  assert.equal(t.elements, 4)
  assert.equal(t.dtype, sm.dtype.Float32)
  assert.equal(t.requires_grad, false)
  assert.equal(t.requireGrad(), t)
  assert.equal(t.requires_grad, true)
  assert.equal(t.grad, null)
  t.mul(3).sum().backward()
  assert.deepEqual(values(t.grad), [3, 3, 3, 3])
  assert.equal(t.detach().requires_grad, false)
  assert.deepEqual(values(t.copy()), [1, 2, 3, 4])
  assert.deepEqual(values(t.deepCopy()), [1, 2, 3, 4])
  assert.equal(t.update(sm.tensor([[5, 6], [7, 8]])), t)
  assert.deepEqual(values(t), [5, 6, 7, 8])
  assert.equal(t.astype(sm.dtype.Int32).dtype, sm.dtype.Int32)
  assert.equal(t.eval(), t)
  assert.equal(sm.scalar(7).valueOf(), 7)
  assert.match(t.toString(), /^tensor\(\[\[5/)
  assert.equal(inspect(t), t.toString())
  assert.equal(t.provenance, null)
  assert.equal(t.isDisposed, false)
  t.dispose()
  assert.equal(t.isDisposed, true)
  assert.equal(sm.layout.isRowMajor(), true)
  assert.equal(sm.layout.isColMajor(), false)
  sm.layout.setRowMajor()
  fails(() => sm.layout.setColMajor(), 'invalid_argument', /row order/)
})

test('every dtype has its readers', () => {
  const arrays = {
    Float16: globalThis.Float16Array ?? Float32Array, Float32: Float32Array, Float64: Float64Array, BoolInt8: Int8Array, Int8: Int8Array, Int16: Int16Array,
    Int32: Int32Array, Int64: BigInt64Array, BigInt64: BigInt64Array, Uint8: Uint8Array, Uint16: Uint16Array, Uint32: Uint32Array, Uint64: BigUint64Array, BigUint64: BigUint64Array,
  }
  for (const [name, Array_] of Object.entries(arrays)) {
    const t = sm.tensor([1]).astype(sm.dtype[name])
    const one = Array_ === BigInt64Array || Array_ === BigUint64Array ? 1n : 1
    assert.ok(t[`to${name}Array`]() instanceof Array_, name)
    assert.equal(t[`to${name}Array`]()[0], one, name)
    assert.equal(t[`to${name}`](), one, name)
  }
})

// In a process of its own, where no tensors of other tests are collected meanwhile.
test('bytesUsed counts what tensors hold', async (t) => {
  const output = await runScript(t, thisRuntime, `
    const before = sm.bytesUsed()
    const made = [sm.zeros([1000]), sm.tensor(new Float32Array(1000))]
    const held = sm.bytesUsed() - before
    for (const x of made) x.dispose()
    console.log(held, sm.bytesUsed() - before)`).succeed()
  assert.equal(output, '8000n 0n\n')
})

test('a tensor is saved and loaded in both formats', (t) => {
  const folder = temporaryFolder(t)
  for (const name of ['x.npy', 'x.safetensors', 'x']) {
    const file = path.join(folder, name)
    assert.ok(sm.tensor([[1, 2], [3, 4]]).save(file) instanceof sm.Tensor)
    assert.deepEqual(sm.tensor(file).shape, [2, 2])
    assert.equal(sm.tensor(file, 'int32').dtype, sm.dtype.int32)
    assert.deepEqual(values(sm.zeros([2, 2]).load(file)), [1, 2, 3, 4])
    assert.deepEqual(values(sm.load(file).tensor), [1, 2, 3, 4])
    fails(() => sm.zeros([3]).load(file), 'shape_mismatch', /\[3\].*\[2, 2\]/)
  }
  sm.save(path.join(folder, 'two'), { a: sm.scalar(1), b: sm.scalar(2) })
  fails(() => sm.tensor(path.join(folder, 'two')), 'invalid_argument', /expected one tensor in .*two", got 2: a, b/)
  fails(() => sm.tensor(path.join(folder, 'none')), 'not_found', /none/)
})

test('checkpoint loads what is there, and saves after updates', (t) => {
  const file = path.join(temporaryFolder(t), 'w')
  const weight = sm.tensor([1, 2]).requireGrad()
  assert.equal(weight.checkpoint(file), weight)
  assert.deepEqual(values(sm.tensor(file)), [1, 2])
  weight.update(sm.tensor([3, 4]))
  assert.deepEqual(values(sm.tensor(file)), [3, 4])
  sm.optim.sgd(weight.sum().backward(), 1)
  assert.deepEqual(values(sm.tensor(file)), [2, 3])
  new sm.optim.SGD({ lr: 1 })(weight.sum().backward())
  assert.deepEqual(values(sm.tensor(file)), [1, 2])
  assert.deepEqual(values(sm.tensor([0, 0]).checkpoint(file)), [1, 2])
  fails(() => sm.zeros([3]).checkpoint(file), 'shape_mismatch', /\[3\]/)
})

test('checkpoint asks when to save', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'w')
  const asked = []
  const weight = sm.tensor([0]).checkpoint(file, (updates) => asked.push(updates) && updates % 2 === 0)
  for (const value of [1, 2, 3]) weight.update(sm.tensor([value]))
  assert.deepEqual(asked, [1, 2, 3])
  assert.deepEqual(values(sm.tensor(file)), [2])
  fails(() => weight.checkpoint(file, 3), 'invalid_argument', /function/)
})

test('a checkpoint without a name is found again by the same line', (t) => {
  const before = process.cwd()
  process.chdir(temporaryFolder(t))
  try {
    const make = () => sm.tensor([0]).checkpoint(() => true)
    const [first, second] = [1, 2].map(() => make())
    assert.deepEqual(values(second), [0])
    first.update(sm.tensor([5]))
    assert.deepEqual(values([1].map(() => make())[0].update(sm.tensor([6]))), [6])
  } finally {
    process.chdir(before)
  }
})

test('DLPack goes both ways', () => {
  for (const type of ['float32', 'float64', 'int32', 'int64', 'bool', 'bfloat16'])
    for (const options of [{}, { versioned: true }, { versioned: true, copy: true }]) {
      const a = sm.tensor([[1, 0, 1], [0, 1, 1]]).astype(type)
      const address = a.toDLTensor(options)
      assert.equal(typeof address, 'number')
      const b = sm.fromDLTensor(BigInt(address), options)
      assert.equal(b.dtype, a.dtype)
      assert.deepEqual(b.shape, [2, 3])
      assert.deepEqual(values(b), values(a))
    }
  fails(() => sm.fromDLTensor(0), 'invalid_argument', /null/)
})

test('checkpointed functions give the same gradients', () => {
  sm.manual_seed(1)
  const x = sm.randn([4, 3]).requireGrad()
  const weight = sm.randn([3, 3]).requireGrad()
  const block = (input) => sm.dropout(input.matmul(weight).tanh(), 0.5)
  const nested = (input) => sm.checkpoint(block, sm.checkpoint(block, input).mul(2)).add(sm.checkpoint((y) => y.mul(y), input))
  const run = (apply) => {
    sm.manual_seed(2)
    apply(apply(x)).sum().backward()
  }
  const plain = (input) => block(block(input).mul(2)).add(input.mul(input))
  run(plain)
  const expected = [x, weight].map((t) => t.grad)
  const same = () => [x, weight].forEach((t, i) => close(t.grad, expected[i]))
  run(nested)
  same()
  run((input) => sm.checkpoint(nested, input))
  same()
})

test('checkpoint goes with gradients that are awaited', async () => {
  const x = sm.scalar(3).requireGrad()
  const out = sm.checkpoint((y) => y.mul(y), sm.withGradFn(x.mul(2), [x], async ({ grad_in }) => grad_in.mul(2)))
  const pass = out.backward()
  assert.equal(typeof pass.then, 'function')
  await pass
  assert.equal(x.grad.valueOf(), 2 * 6 * 2)
})

// As above, and each disposes of what it made before the next one counts.
test('checkpoint keeps the inputs alone', async (t) => {
  const output = await runScript(t, thisRuntime, `
    const x = sm.ones([1000]).requireGrad()
    const block = (input) => {
      for (let i = 0; i < 20; ++i) input = input.sin()
      return input
    }
    const held = (apply) => sm.util.tidy(() => {
      const before = sm.bytesUsed()
      let out = x
      for (let i = 0; i < 10; ++i) out = apply(out)
      const bytes = sm.bytesUsed() - before
      out.sum().backward()
      return Number(bytes)
    })
    console.log(held((input) => sm.checkpoint(block, input)), held(block))`).succeed()
  const [alone, all] = output.split(' ').map(Number)
  assert.ok(alone <= 12 * 4000, output)
  assert.ok(all >= 199 * 4000, output)
})

test('checkpoint says what it can not do', () => {
  const x = sm.scalar(3).requireGrad()
  const outside = x.mul(2)
  fails(() => sm.checkpoint((y) => y.mul(outside), x), 'invalid_argument', /result of mul from outside/)
  fails(() => sm.checkpoint(() => 3, x), 'invalid_argument', /returns a tensor/)
  fails(() => sm.checkpoint(async (y) => y, x), 'invalid_argument', /returns a tensor/)
  fails(() => sm.checkpoint(3, x), 'invalid_argument', /function/)
  assert.throws(() => sm.checkpoint(() => { throw new RangeError('mine') }, x), RangeError)
  assert.equal(x.mul(2).requires_grad, true)
})
