import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

// The programs of the build under test; ./dev test says which.
const bin = process.env.SHUMAI_BIN_DIR ?? ['test', 'release'].map((preset) => fileURLToPath(new URL(`../../build/${preset}/bin`, import.meta.url))).find(existsSync)

test('the demo trains from JavaScript and ends with its accuracy', { timeout: 120_000 }, async () => {
  assert.ok(bin, 'no build/*/bin: run ./dev test or ./dev build first')
  const [status, output] = await new Promise((resolve) => {
    execFile(`${bin}/digits_demo`, ['--client', 'js', '--steps', '20'], (error, stdout, stderr) => resolve([error?.code ?? 0, stdout + stderr]))
  })
  assert.equal(status, 0, output)
  assert.match(output, /^demo: accuracy [01]\.\d{3} after 20 steps, \d+ steps\/s$/m)
})
