// The package as it is installed, without a network, in empty folders.
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { runSeedClient, startSeedServer } from './apps.js'
import { close, cppProgram, Program, root, runtimes, temporaryFolder } from './common.js'

/** What is published, with the addon that these tests run on. */
function stage(t) {
  const folder = temporaryFolder(t)
  const addon = process.env.SHUMAI_ADDON ?? path.join(root, 'build', 'shumai.node')
  assert.ok(existsSync(addon), `no addon at ${addon}: run ./dev build, or set SHUMAI_ADDON`)
  for (const file of ['package.json', 'README.md', 'index.js', 'index.d.ts', 'lib']) cpSync(path.join(root, file), path.join(folder, file), { recursive: true })
  mkdirSync(path.join(folder, 'build'))
  copyFileSync(addon, path.join(folder, 'build', 'shumai.node'))
  copyFileSync(cppProgram('shumai'), path.join(folder, 'build', 'shumai'))
  return folder
}

function npm(t, cwd, ...args) {
  const env = { npm_config_offline: 'true', npm_config_registry: 'http://127.0.0.1:9/', npm_config_cache: temporaryFolder(t), npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' }
  return new Program(t, 'npm', args, { cwd, env }).succeed()
}

/** A folder with the package installed from its folder or its tarball. */
async function install(t, how) {
  const app = temporaryFolder(t)
  const source = stage(t)
  if (how === 'tarball') await npm(t, source, 'pack')
  await npm(t, app, 'install', how === 'tarball' ? path.join(source, readdirSync(source).find((name) => name.endsWith('.tgz'))) : source)
  return app
}

const kOwnAddon = { env: { SHUMAI_ADDON: undefined } }

for (const how of ['folder', 'tarball'])
  for (const runtime of Object.keys(runtimes))
    test(`installed from its ${how}, the package runs the seed under ${runtime}`, async (t) => {
      const app = await install(t, how)
      const installed = path.join(app, 'node_modules', '@shumai', 'shumai')
      // A folder may be linked or copied, by npm's version and settings; a tarball is unpacked.
      if (how === 'tarball') assert.equal(lstatSync(installed).isSymbolicLink(), false)
      const { url } = await startSeedServer(t, runtime, app, kOwnAddon)
      const weight = () => sm.io.tfetch(`${url}/forward`, sm.scalar(1))
      close(await weight(), 1.718)
      await runSeedClient(t, runtime, app, 'client', url, kOwnAddon)
      close(await weight(), 3, 0.1)
      await runSeedClient(t, runtime, app, 'client_stateful', url, kOwnAddon)
      close(await weight(), 3, 0.01)
    })

test('npm links the program, which runs scripts that import the package', async (t) => {
  const app = await install(t, 'tarball')
  const program = path.join(app, 'node_modules', '.bin', 'shumai')
  assert.match(await new Program(t, program, ['--version']).succeed(), /^shumai \d/)
  writeFileSync(path.join(app, 'model.mjs'), `import * as sm from '@shumai/shumai'\nexport default (x) => sm.relu(x)\n`)
  const infer = new Program(t, '/bin/sh', ['-c', `echo '[-1, 2]' | '${program}' infer model.mjs`], { cwd: app, ...kOwnAddon })
  assert.equal(await infer.succeed(), '[0, 2]:Float32\n')
})

test('a package without its addon says how to get it', async (t) => {
  const app = await install(t, 'tarball')
  rmSync(path.join(app, 'node_modules', '@shumai', 'shumai', 'build'), { recursive: true })
  const program = new Program(t, process.execPath, ['--input-type=module', '-e', 'import "@shumai/shumai"'].slice(typeof Bun === 'undefined' ? 0 : 1), { cwd: app, ...kOwnAddon })
  assert.notEqual(await program.end(), 0)
  assert.match(program.output, /no addon at .*shumai\.node: run \.\/dev build/)
})

test('the tarball holds what is needed and nothing else', async (t) => {
  const app = await install(t, 'tarball')
  const installed = path.join(app, 'node_modules', '@shumai', 'shumai')
  assert.deepEqual(readdirSync(installed).sort(), ['README.md', 'build', 'index.d.ts', 'index.js', 'lib', 'package.json'])
  assert.deepEqual(readdirSync(path.join(installed, 'build')).sort(), ['shumai', 'shumai.node'])
  assert.equal(JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')).dependencies, undefined)
})
