// A client that speaks the binary of the original Shumai and nothing else: no package, no tickets, no session. What tells
// the server which forward a gradient belongs to is the provenance in each message. It trains the seed's server, y = w x,
// of which it knows that y should be 3 x.
// Run: node client.js [URL] [--steps N], with build/release/bin/seed_server or examples/js/seed/server.js running.
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { steps: { type: 'string' } } })
const url = `http://${(positionals[0] ?? 'localhost:3000').replace(/^http:\/\//, '')}`
const steps = Number(values.steps ?? 200)

const kHead = 40 // bytes: rank, provenance, flags, bytes of elements, bytes of props, as int64
const provenance = BigInt(Math.floor(Math.random() * 2 ** 48))

/** One float32 tensor: head, shape, elements, no props. */
function encode({ shape, elements }) {
  const bytes = new ArrayBuffer(kHead + 8 * shape.length + 4 * elements.length)
  const view = new DataView(bytes)
  const head = [BigInt(shape.length), provenance, 0n, BigInt(4 * elements.length), 0n]
  ;[...head, ...shape.map(BigInt)].forEach((value, i) => view.setBigInt64(8 * i, value, true))
  elements.forEach((value, i) => view.setFloat32(kHead + 8 * shape.length + 4 * i, value, true))
  return bytes
}

function decode(bytes) {
  const view = new DataView(bytes)
  const int64 = (i) => Number(view.getBigInt64(8 * i, true))
  const shape = Array.from({ length: int64(0) }, (_, i) => int64(5 + i))
  const start = kHead + 8 * shape.length
  const elements = Array.from({ length: int64(3) / 4 }, (_, i) => view.getFloat32(start + 4 * i, true))
  return { shape, elements }
}

/** What the route answers: a tensor, or nothing. */
async function send(route, tensor) {
  const response = await fetch(`${url}/${route}`, { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: encode(tensor) })
  const body = await response.arrayBuffer()
  if (!response.ok) throw new Error(`/${route} answered ${response.status}: ${new TextDecoder().decode(body)}`)
  return body.byteLength > 0 ? decode(body) : undefined
}

const losses = []
for (let step = 0; step < steps; ++step) {
  const elements = Array.from({ length: 128 }, () => 2 * Math.random() - 1)
  const output = await send('forward', { shape: [128], elements })
  const errors = output.elements.map((y, i) => y - 3 * elements[i])
  losses.push(errors.reduce((sum, error) => sum + error * error, 0) / errors.length)
  // Of the mean of the squares.
  await send('optimize', { shape: [128], elements: errors.map((error) => (2 * error) / errors.length) })
}
console.log(`original: loss ${losses[0].toPrecision(3)} -> ${losses[losses.length - 1].toPrecision(3)} after ${steps} steps`)
