// record.mjs PORT TARGET FOLDER: passes connections on to the port TARGET, and writes each exchange as NN.request and NN.response.
import { appendFileSync, mkdirSync } from 'node:fs'
import net from 'node:net'

const [port, target, folder] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
let count = 0

net
  .createServer((client) => {
    const server = net.connect(Number(target), '127.0.0.1')
    let last = ''
    let id = 0
    const record = (kind, bytes) => {
      if (kind === 'request' && last !== 'request') id = ++count
      last = kind
      appendFileSync(`${folder}/${String(id).padStart(2, '0')}.${kind}`, bytes)
    }
    client.on('data', (bytes) => {
      record('request', bytes)
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      record('response', bytes)
      client.write(bytes)
    })
    client.on('end', () => server.end())
    server.on('end', () => client.end())
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
  })
  .listen(Number(port), '127.0.0.1')
