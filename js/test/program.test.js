// Files of JavaScript that the program `shumai` runs.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, cppProgram, Program, runtimes, temporaryFolder } from './common.js'

const kModel = `import * as sm from ${JSON.stringify(new URL('../index.js', import.meta.url).href)}
const weight = sm.scalar(1).requireGrad()
export default (x) => x.mul(weight)
export const backward = (gradients) => sm.optim.sgd(gradients, 0.1)
export const loss = sm.loss.mse
`

function script(t, source) {
  const file = path.join(temporaryFolder(t), 'model.mjs')
  writeFileSync(file, source)
  return file
}

const shell = (t, line, env) => new Program(t, '/bin/sh', ['-c', line.replaceAll('shumai ', `'${cppProgram('shumai')}' `)], { env })

for (const runtime of Object.keys(runtimes)) {
  const env = { SHUMAI_RUNTIME: runtimes[runtime] }

  test(`serve runs a file that serves by itself, under ${runtime}`, async (t) => {
    const file = script(t, `${kModel}
const server = sm.io.serve({ forward: (user, x) => x.mul(2) })
console.log(process.argv.slice(2).join(), server.url)
process.on('exit', () => console.log('bye'))
`.replace('export default', 'export const model ='))
    const program = new Program(t, cppProgram('shumai'), ['serve', file, '--port', '0', '--', 'one', '--two'], { env })
    const [, words, url] = await program.find(/^(\S*) (http:\S+)$/m)
    assert.equal(words, 'one,--two')
    close(await sm.io.tfetch(`${url}/forward`, sm.ones([2])), [2, 2])
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 0)
    assert.match(program.output, /bye/)
  })

  test(`serve keeps the exit code of a script, under ${runtime}`, async (t) => {
    const program = new Program(t, cppProgram('shumai'), ['serve', script(t, 'process.exit(7)')], { env })
    assert.equal(await program.end(), 7)
  })

  test(`a file that exports a model is served, trained and asked, under ${runtime}`, async (t) => {
    const file = script(t, kModel)
    const program = new Program(t, cppProgram('shumai'), ['serve', file, '--port', '0'], { env })
    const [, url] = await program.find(/^serving .* at (http:\S+)$/m)
    await shell(t, `echo '[1, 2] | [3, 6]' | shumai train ${url} 2>&1`).succeed()
    assert.equal(await shell(t, `echo '[1, 2]' | shumai infer '${file}'`, env).succeed(), '[1, 2]:Float32\n')
    const lines = "(for i in 1 2 3 4 5 6 7 8 9; do echo '[1, 2] | [3, 6]'; done)"
    assert.match(await shell(t, `${lines} | shumai train '${file}'`, env).succeed(), /^loss 0\.00\d*\n$/)
  })

  test(`a bad line of a script's input is named, under ${runtime}`, async (t) => {
    const file = script(t, kModel)
    const bad = shell(t, `printf '[1]\\noops\\n[2]\\n' | shumai infer '${file}'`, env)
    assert.equal(await bad.end(), 1)
    assert.match(bad.output, /shumai: infer: line 2: /)
    assert.match(bad.output, /\[2\]:Float32/)
    await shell(t, `printf '[1]\\noops\\n' | shumai infer '${file}' --keep-going`, env).succeed()
  })
}

test('a script without a model says what it needs', async (t) => {
  const none = shell(t, `echo '[1]' | shumai infer '${script(t, kModel.replace('export default', 'export const model ='))}'`)
  assert.equal(await none.end(), 1)
  assert.match(none.output, /^shumai: infer: .* must export a model as its default, a function\n$/)
  const other = shell(t, `echo '[1]' | shumai infer '${script(t, 'export default (x) => x')}'`)
  assert.equal(await other.end(), 1)
  assert.match(other.output, /doesn't import shumai/)
})
