import assert from 'node:assert/strict'
import test from 'node:test'
import * as sm from '../index.js'
import { close, nextTurn } from './common.js'

const { tidy, tidyExclude } = sm.util
const disposedMessage = /disposed/

test('a disposed tensor throws when used, and says so', () => {
  const t = sm.tensor([1, 2])
  assert.equal(t.isDisposed, false)
  t.dispose()
  t.dispose()
  assert.equal(t.isDisposed, true)
  const uses = [
    () => t.shape, () => t.add(1), () => sm.add(1, t), () => t.mul(sm.scalar(1)), () => t.toFloat32Array(), () => t.requires_grad, () => t.backward(),
    () => t.grad, () => t.detach(), () => t.update(sm.tensor([1, 2])), () => sm.tensor([1, 2]).update(t), () => +t, () => sm.concat([t]), () => t.save('x'),
  ]
  for (const use of uses) assert.throws(use, (error) => error instanceof sm.ShumaiError && disposedMessage.test(error.message), String(use))
})

test('disposing of one tensor leaves those that share its values', () => {
  const base = sm.tensor([[1, 2], [3, 4]])
  const views = [base.T(), base.reshape([4]), base.detach(), base.slice(0, 0, 1)]
  base.dispose()
  close(views[0], [1, 3, 2, 4])
  close(views[1], [1, 2, 3, 4])
  close(views[2], [1, 2, 3, 4])
  close(views[3], [1, 2])
})

test('a graph keeps what it needs of disposed tensors', () => {
  const w = sm.tensor([2, 3]).requireGrad()
  const square = w.mul(w)
  const y = square.sum()
  square.dispose()
  y.backward()
  close(w.grad, [4, 6])
})

test('dispose gives the bytes back at once', () => {
  const before = Number(sm.bytesUsed())
  const t = sm.ones([1000, 1000])
  assert.ok(sm.bytesUsed() >= before + 4e6)
  const held = sm.util.held().tensors
  t.dispose()
  assert.ok(sm.bytesUsed() < before + 4e6)
  assert.equal(sm.util.held().tensors, held - 1)
})

test('tidy disposes of what was made inside, and keeps what is returned', () => {
  let inner
  const out = tidy(() => {
    inner = sm.tensor([1])
    return inner.add(1)
  })
  assert.ok(inner.isDisposed)
  close(out, [2])
})

test('tidy keeps tensors in arrays, objects, maps, sets and modules', () => {
  const make = () => sm.tensor([1])
  const out = tidy(() => {
    const cycle = { t: make() }
    cycle.self = cycle
    return { list: [make(), [make()]], map: new Map([['k', make()]]), set: new Set([make()]), layer: sm.module.linear(1, 1), cycle }
  })
  for (const t of [out.list[0], out.list[1][0], out.map.get('k'), ...out.set, out.layer.weight, out.layer.bias, out.cycle.t]) assert.equal(t.isDisposed, false)
})

test('tidy passes arguments on, and leaves tensors from outside alone', () => {
  const outside = sm.tensor([1])
  const out = tidy((a, b) => a.add(b).add(0), [outside, 5])
  close(out, [6])
  assert.equal(outside.isDisposed, false)
})

test('tidies nest: what the inner one returns belongs to the outer', () => {
  let kept
  const out = tidy(() => {
    kept = tidy(() => sm.tensor([1]).add(1))
    assert.equal(kept.isDisposed, false)
    return kept.add(1)
  })
  assert.ok(kept.isDisposed)
  close(out, [3])
})

test('tidy cleans up after a throw', () => {
  let inner
  assert.throws(() => tidy(() => { inner = sm.tensor([1]); throw new Error('inside') }), /inside/)
  assert.ok(inner.isDisposed)
})

test('tidyExclude and untidy keep tensors through a tidy', () => {
  let excluded, taken, normal
  tidy(() => {
    excluded = tidyExclude(() => sm.tensor([1]).add(1))
    taken = sm.tensor([2]).untidy()
    normal = sm.tensor([3])
  })
  close(excluded, [2])
  close(taken, [2])
  assert.ok(normal.isDisposed)
})

test('an async tidy covers what is made after its awaits, and nothing of others', async () => {
  const inner = []
  let other
  const pending = tidy(async () => {
    inner.push(sm.tensor([1]))
    await nextTurn()
    inner.push(sm.tensor([2]))
    await nextTurn()
    return inner[1].add(inner[0])
  })
  other = sm.tensor([5])
  const out = await pending
  close(out, [3])
  for (const t of inner) assert.ok(t.isDisposed)
  close(other, [5])
})

test('an async tidy cleans up after a rejection', async () => {
  let inner
  await assert.rejects(tidy(async () => { await nextTurn(); inner = sm.tensor([1]); throw new Error('later') }), /later/)
  assert.ok(inner.isDisposed)
})

test('tidies that run at the same time keep to themselves', async () => {
  const run = (value) => tidy(async () => {
    const made = [sm.scalar(value)]
    for (let i = 0; i < 5; ++i) {
      await nextTurn()
      made.push(made.at(-1).add(1))
    }
    return { last: made.at(-1), made: new WeakRef(made) }
  })
  const [a, b] = await Promise.all([run(0), run(10)])
  close(a.last, 5)
  close(b.last, 15)
})

test('a sync tidy inside an async one disposes of its own', async () => {
  let before, inner, after
  await tidy(async () => {
    before = sm.scalar(1)
    await nextTurn()
    tidy(() => { inner = sm.scalar(2) })
    assert.ok(inner.isDisposed)
    assert.equal(before.isDisposed, false)
    after = sm.scalar(3)
  })
  assert.ok(before.isDisposed && after.isDisposed)
})

// The original frees the weights of its own optimizers in these.
const aliasings = {
  'update with a result': (w, g) => { w.update(w.sub(g)) },
  'update with a copy': (w, g) => { w.update(w.sub(g).copy()) },
  'update with itself': (w) => { w.update(w) },
  'update with a view of itself': (w) => { w.update(w.reshape([2, 1]).reshape([2])) },
  'update with a detached alias': (w) => { w.update(w.detach()) },
  'update of a detached alias': (w, g) => { w.detach().update(w.sub(g)) },
  'a gradient set to a result': (w, g) => { w.grad = g.mul(2) },
  'a gradient read': (w) => { w.grad?.mul(1) },
  'an in-place looking loop': (w, g) => { for (let i = 0; i < 3; ++i) w.update(w.sub(g.mul(0.1))) },
  'sgd of a backward': (w) => { sm.optim.sgd(w.mul(w).sum().backward(), 0.1) },
  'update through noGrad': (w, g) => { sm.noGrad(() => w.update(w.sub(g.mul(0.1)))) },
}
for (const [name, step] of Object.entries(aliasings))
  test(`aliases are safe in a tidy: ${name}`, () => {
    const w = sm.tensor([1, 2]).requireGrad()
    w.mul([3, 4]).sum().backward()
    for (let i = 0; i < 20; ++i) tidy(() => step(w, sm.tensor([0.5, 0.5])))
    // New tensors would take the place of freed ones.
    const others = Array.from({ length: 50 }, () => sm.full([2], 777))
    assert.ok(w.toFloat32Array().every((value) => Number.isFinite(value) && value !== 777))
    if (w.grad) assert.ok(w.grad.toFloat32Array().every((value) => Number.isFinite(value) && value !== 777))
    w.mul(w).sum().backward()
    close(w.grad, w.mul(2))
    assert.equal(others.length, 50)
  })

test('a weight updated from a disposed tensor keeps the value', () => {
  const w = sm.tensor([1, 2])
  const value = sm.tensor([3, 4])
  w.update(value)
  value.dispose()
  sm.full([2], 9)
  close(w, [3, 4])
})

test('memoryOptions answers the options in force and refuses others', (t) => {
  const before = sm.util.memoryOptions()
  t.after(() => sm.util.memoryOptions(before))
  assert.deepEqual(Object.keys(before).sort(), ['delayBetweenGCs', 'lowerBoundThreshold', 'upperBoundThreshold'])
  assert.equal(sm.util.memoryOptions({ delayBetweenGCs: 5 }).delayBetweenGCs, 5)
  assert.equal(sm.util.memoryOptions().delayBetweenGCs, 5)
  const refused = [{ delayBetweenGCs: -1 }, { delayBetweenGCs: 'soon' }, { lowerBoundThreshold: NaN }, { lowerBound: 1 }, { lowerBoundThreshold: 10, upperBoundThreshold: 5 }]
  for (const changes of refused) assert.throws(() => sm.util.memoryOptions(changes), sm.ShumaiError, JSON.stringify(changes))
  assert.equal(sm.util.memoryOptions().delayBetweenGCs, 5)
})

test('a loop without an await frees as it goes', () => {
  const one = sm.scalar(1)
  let most = 0
  let t = sm.scalar(0)
  for (let i = 0; i < 200_000; ++i) {
    t = t.add(one)
    if (i % 1000 === 0) most = Math.max(most, sm.util.held().tensors)
  }
  assert.equal(t.toFloat32(), 200_000)
  assert.ok(most < 100_000, `held ${most} tensors`)
})

test('a training loop without an await frees as it goes, while little is held', () => {
  const w = sm.scalar(0).requireGrad()
  const held = []
  for (let i = 0; i < 20_000; ++i) {
    sm.optim.sgd(w.sub(3).pow(2).backward(), 0.1)
    if (i % 100 === 0) held.push(sm.util.held().tensors)
  }
  close(w, 3, 1e-4)
  held.sort((a, b) => a - b)
  assert.ok(held.at(-1) < 100_000, `held ${held.at(-1)} tensors`)
  assert.ok(held[100] < 7000, `mostly held ${held[100]} tensors`)
})

test('a stateful loop without an await frees as it goes', () => {
  const w = sm.tensor([0, 0]).requireGrad()
  let most = 0
  for (let i = 0; i < 50_000; ++i) {
    const x = sm.tensor([1, 2]).requireGrad()
    sm.loss.mse(w.mul(x), x.detach().mul(3)).backward()
    w.update(w.detach().sub(w.grad.mul(0.1)))
    assert.equal(x.grad, x.grad)
    if (i % 1000 === 0) most = Math.max(most, sm.util.held().tensors)
  }
  close(w, [3, 3], 1e-4)
  assert.ok(most < 100_000, `held ${most} tensors`)
})

test('large tensors are collected in a loop without an await', () => {
  let most = 0
  for (let i = 0; i < 2000; ++i) {
    sm.ones([256, 1024]).add(1)
    most = Math.max(most, Number(sm.bytesUsed()))
  }
  assert.ok(most < 1e9, `used ${most} bytes`)
})

test('small tensors that stay don\'t keep the large ones made between them', () => {
  const small = []
  let most = 0
  for (let i = 0; i < 2000; ++i) {
    sm.ones([256, 1024])
    small.push(sm.scalar(i).add(1))
    most = Math.max(most, Number(sm.bytesUsed()))
  }
  assert.ok(most < 1e9, `used ${most} bytes`)
  close(small[1999], 2000)
})
