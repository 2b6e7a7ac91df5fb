// Draw a digit: serves a small convolutional network, and a page where one draws and the network answers, and learns
// when it is told what the drawing was. The page is the data team: what it knows reaches the network as pictures and
// gradients only, in JSON. What the network learns is kept in checkpoints.
// Run: ./dev draw, and open the URL that it prints. Stop it with Ctrl-C.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as sm from '../../js/index.js'
import { trainedModel } from '../digits/training.js'

const kUsage = `usage: server.js [--port N] [--model-port N] [--host ADDRESS] [--token SECRET] [--directory FOLDER] [--steps N] [--seed N]
  --port        of the page; default 8080, 0: any free one
  --model-port  of the model; default 3000
  --host        default 127.0.0.1; an address that other machines reach needs --token
  --token       what the page has to be told before the model answers it
  --directory   where the network is kept; default build/draw. Remove it to start anew
  --steps       of the first training, on batches of 64 pictures; default 1500`

// Corrections come one by one and all alike: at the rate of training, one of them undoes what was learned before.
const kCorrectionRate = 0.01
const kFiles = {
  '/': ['index.html', 'text/html'],
  '/style.css': ['style.css', 'text/css'],
  ...Object.fromEntries(['page.js', 'pen.js', 'picture.js', 'teacher.js', 'own_drawings.js'].map((name) => [`/${name}`, [name, 'text/javascript']])),
}

const file = (name) => fileURLToPath(new URL(name, import.meta.url))

function readArguments() {
  const text = { type: 'string' }
  const options = { port: text, 'model-port': text, host: text, token: text, directory: text, steps: text, seed: text, help: { type: 'boolean' } }
  const { values } = parseArgs({ options })
  const number = (name, fallback, low, high) => {
    const value = Number(values[name] ?? fallback)
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value
    throw new Error(`--${name} must be a whole number from ${low} to ${high}, got '${values[name]}'`)
  }
  if (values.help) {
    console.log(kUsage)
    process.exit(0)
  }
  return {
    port: number('port', 8080, 0, 65535),
    modelPort: number('model-port', 3000, 0, 65535),
    steps: number('steps', 1500, 1, 1e6),
    seed: number('seed', 1, 0, 2 ** 31),
    host: values.host ?? '127.0.0.1',
    token: values.token,
    directory: path.resolve(values.directory ?? file('../../build/draw')),
  }
}

/** Answers the page's files, and where the model is. */
function servePage({ host, port }, settings) {
  const page = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page')
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.setHeader('Content-Security-Policy', "default-src 'self'; connect-src *; img-src data:")
    if (pathname === '/settings.json') {
      response.setHeader('Content-Type', 'application/json')
      return response.end(JSON.stringify(settings))
    }
    if (!Object.hasOwn(kFiles, pathname)) return response.writeHead(404, { 'Content-Type': 'text/plain' }).end('There is no such page.\n')
    const [name, type] = kFiles[pathname]
    response.setHeader('Content-Type', `${type}; charset=utf-8`)
    return response.end(readFileSync(file(`page/${name}`)))
  })
  return new Promise((resolve, reject) => {
    page.once('error', reject)
    page.listen(port, host, () => resolve(page))
  })
}

/** What the page may be called by: its origins, for the model's `cors`. */
function originsOf(page) {
  const addresses = Object.values(networkInterfaces()).flat().map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address))
  return [...new Set(['localhost', ...addresses])].map((name) => `http://${name}:${page.address().port}`)
}

async function main() {
  const options = readArguments()
  const model = await trainedModel(options.directory, options)
  const settings = {}
  const page = await servePage(options, settings)
  const server = sm.io.serve_model(model, new sm.optim.SGD({ lr: kCorrectionRate }), {
    port: options.modelPort,
    hostname: options.host,
    token: options.token,
    cors: originsOf(page),
    checkpoint: { directory: options.directory, durability: 'every-update' },
  })
  settings.modelPort = server.port
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, async () => {
      const { updates } = server.statistics().weights
      await server.stop()
      console.log(`draw: ${updates} gradient steps of corrections are in the network`)
      process.exit(0)
    })
  console.log(`the model and its dashboard are at ${server.url}; its weights are kept in ${options.directory}`)
  console.log(`serving on http://${options.host}:${page.address().port}`)
}

main().catch((error) => {
  console.error(`draw: ${error.message}`)
  process.exit(1)
})
