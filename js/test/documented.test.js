import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import * as sm from '../index.js'

const text = readFileSync(new URL('../../docs/parity.md', import.meta.url), 'utf8')
const section = text.slice(text.indexOf('## Where everything is'), text.indexOf('### What is not here'))
const rows = section.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split('|').map((cell) => cell.trim())).slice(2)
const inTicks = (cell) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name]) => name)
const values = new Set(['dtype', 'layout'])

const find = (path) => path.split('.').slice(1).reduce((object, name) => object[name], sm)

for (const [, what, places, names] of rows)
  test(`what docs/parity.md lists under ${what} (${places}) exists`, () => {
    const paths = inTicks(places)
    const listed = inTicks(names)
    assert.ok(listed.length > 0 && (paths.length > 0 || places === 'methods'), what)
    for (const name of listed) {
      for (const path of paths) assert.equal(typeof find(path)[name], values.has(name) ? 'object' : 'function', `${path}.${name}`)
      if (!places.includes('methods')) continue
      assert.ok(name in sm.Tensor.prototype, `method ${name}`)
    }
  })

test('docs/parity.md lists the names of all parts of the package', () => {
  assert.ok(rows.length > 15)
  for (const part of ['sm.io', 'sm.network', 'sm.module', 'sm.optim', 'sm.loss', 'sm.util']) assert.ok(rows.some(([, , places]) => places === `\`${part}\``), part)
  const listed = new Set(rows.flatMap(([, , , names]) => inTicks(names)))
  for (const name of ['tensor', 'conv2d', 'serve', 'viter', 'LSTM', 'Adam', 'mse', 'toFloat32Array']) assert.ok(listed.has(name), name)
})

test('sm.network has all that sm.io has of services', () => {
  for (const name of Object.keys(sm.network)) assert.equal(sm.io[name], sm.network[name], name)
})
