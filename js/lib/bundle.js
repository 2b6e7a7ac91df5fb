import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ShumaiError } from './native.js'

const kExternal = ['@shumai/*', 'bun', 'bun:*']

async function byBun(file) {
  const { success, outputs, logs } = await Bun.build({ entrypoints: [file], target: 'node', format: 'esm', external: kExternal })
  if (!success) throw new ShumaiError(`serve_model: can't bundle ${file}: ${logs.map(({ message }) => message).join('; ')}`)
  return outputs[0].text()
}

async function byEsbuild(esbuild, file) {
  const { outputFiles } = await esbuild.build({ entryPoints: [file], bundle: true, write: false, platform: 'node', format: 'esm', target: 'esnext', external: kExternal })
  return outputFiles[0].text
}

/** A module as one file: {source, extension}. Bun bundles; Node does when esbuild is there, and needs to only for imports by path and for TypeScript. */
export async function bundle(file) {
  const name = path.resolve(file)
  if (typeof Bun !== 'undefined') return { source: await byBun(name), extension: '.mjs' }
  const source = readFileSync(name, 'utf8')
  const extension = path.extname(name)
  const alone = !/\b(from|import|require)\s*\(?\s*['"]\.{0,2}\//.test(source) && !/^\.[mc]?ts$/.test(extension)
  if (alone) return { source, extension: extension === '.cjs' ? extension : '.mjs' }
  const esbuild = await import('esbuild').catch(() => undefined)
  if (!esbuild) throw new ShumaiError(`serve_model: ${file} imports other files or is TypeScript, which needs esbuild (npm install esbuild) or Bun`)
  return { source: await byEsbuild(esbuild, name), extension: '.mjs' }
}
