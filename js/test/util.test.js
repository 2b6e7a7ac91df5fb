import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import test from 'node:test'
import * as sm from '../index.js'
import { runScript, runtimes, temporaryFolder } from './common.js'

const { util } = sm

test('range counts up, down and by steps', () => {
  assert.deepEqual([...util.range(3)], [0, 1, 2])
  assert.deepEqual([...util.range(2, 5)], [2, 3, 4])
  assert.deepEqual([...util.range(5, 0, -2)], [5, 3, 1])
  assert.deepEqual([...util.range(0)], [])
  assert.throws(() => [...util.range(0, 1, 0)], RangeError)
})

test('shuffle permutes in place', () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i)
  const shuffled = util.shuffle([...numbers])
  assert.notDeepEqual(shuffled, numbers)
  assert.deepEqual([...shuffled].sort((a, b) => a - b), numbers)
  const same = [1, 2]
  assert.equal(util.shuffle(same), same)
})

test('all awaits promises given one by one or in an array', async () => {
  assert.deepEqual(await util.all(Promise.resolve(1), 2), [1, 2])
  assert.deepEqual(await util.all([Promise.resolve(1), 2]), [1, 2])
  assert.deepEqual(await util.all([]), [])
  await assert.rejects(util.all(Promise.reject(new Error('one failed')), Promise.resolve()), /one failed/)
})

test('viter iterates over a count and over arrays', () => {
  assert.deepEqual([...util.viter(3)], [0, 1, 2])
  assert.deepEqual([...util.viter(['a', 'b'])], ['a', 'b'])
  assert.deepEqual([...util.viter(0)], [])
  assert.throws(() => [...util.viter(-1)], TypeError)
  assert.throws(() => [...util.viter({})], TypeError)
})

for (const runtime of Object.keys(runtimes))
  test(`viter writes plain lines where standard error is no terminal, under ${runtime}`, async (t) => {
    const program = runScript(t, runtime, 'for (const i of sm.util.viter(5, (i) => `loss ${i}`)) if (i === 2) continue')
    const output = await program.succeed()
    assert.match(output, /^5\/5 .*\/s .* loss 4$/m)
    assert.doesNotMatch(output, /[\r\u001b]/)
  })

test('readlines gives each line of a file', async (t) => {
  const file = `${temporaryFolder(t)}/lines`
  const long = 'x'.repeat(200_000)
  writeFileSync(file, `one\ntwo\r\n\nümlaut\n${long}\nlast`)
  const lines = []
  for await (const line of sm.io.readlines(file)) lines.push(line)
  assert.deepEqual(lines, ['one', 'two', '', 'ümlaut', long, 'last'])
})

test('readlines may be left early, and tells of a missing file', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(`${folder}/lines`, 'one\ntwo\nthree\n')
  for await (const line of sm.io.readlines(`${folder}/lines`)) {
    assert.equal(line, 'one')
    break
  }
  await assert.rejects(async () => { for await (const line of sm.io.readlines(`${folder}/none`)) assert.fail(line) }, { code: 'ENOENT' })
})

test('readlinesCallback calls for each line, then at the end', async (t) => {
  const file = `${temporaryFolder(t)}/lines`
  writeFileSync(file, 'one\ntwo\n')
  const calls = []
  await sm.io.readlinesCallback(file, (line) => calls.push(line), () => calls.push('end'))
  assert.deepEqual(calls, ['one', 'two', 'end'])
})

test('run starts commands side by side and gives what they wrote', async () => {
  assert.deepEqual(await sm.util.run('echo one two', ' echo  three '), ['one two\n', 'three\n'])
  await assert.rejects(sm.util.run('there/is/no/such/program'), { code: 'ENOENT' })
})
