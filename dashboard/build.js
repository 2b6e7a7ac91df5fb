// node build.js OUT_DIR: bundles the page into OUT_DIR/dashboard.html, one file, and OUT_DIR/dashboard.cpp, which has it
// compressed. The same sources make the same bytes.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))

const bundle = async (entry) => {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['chrome110', 'firefox115', 'safari16.4'],
    legalComments: 'none',
    charset: 'utf8',
  })
  return outputFiles[0].text.trim()
}

// A string for C++, split so that no escape runs into the character after it, and no line is long.
const literal = (bytes) => {
  const lines = []
  for (let i = 0; i < bytes.length; i += 30)
    lines.push(`"${[...bytes.subarray(i, i + 30)].map((b) => `\\${b.toString(8).padStart(3, '0')}`).join('')}"`)
  return lines.join('\n    ')
}

export const makePage = async () => {
  const [script, style] = await Promise.all([bundle('src/main.js'), bundle('src/style.css')])
  if (/<\/script|<!--/i.test(script)) throw new Error('the script would end within itself')
  const html = readFileSync(join(here, 'src/page.html'), 'utf8')
    .replace(/\n\s*/g, '\n')
    .replace('/*style*/', () => style)
    .replace('/*script*/', () => script)
  return { html, hash: `sha256-${createHash('sha256').update(script).digest('base64')}` }
}

const main = async (folder) => {
  const { html, hash } = await makePage()
  const page = gzipSync(html, { level: 9 })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'dashboard.html'), html)
  writeFileSync(
    join(folder, 'dashboard.cpp'),
    `#include "serve/page.hpp"

namespace sm::io {

std::string_view dashboard_page() {
  static constexpr char kPage[] =
    ${literal(page)};
  return {kPage, ${page.length}};
}

std::string_view dashboard_script_hash() { return "${hash}"; }

}  // namespace sm::io
`,
  )
  console.log(`dashboard: ${page.length} bytes, compressed from ${Buffer.byteLength(html)}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2])
