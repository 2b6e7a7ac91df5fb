// Echoes bodies without tensors: Bun.serve under Bun, node:http under Node. Prints its port, serves until its input ends.
import { createServer } from 'node:http'

const type = { 'Content-Type': 'application/x-safetensors' }

function serveNode() {
  const server = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      response.writeHead(200, { ...type, 'Content-Length': body.length })
      response.end(body)
    })
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

function serveBun() {
  const fetch = async (request) => new Response(await request.arrayBuffer(), { headers: type })
  console.log(Bun.serve({ port: 0, hostname: '127.0.0.1', fetch }).port)
}

if (typeof Bun === 'undefined') serveNode()
else serveBun()
process.stdin.resume().on('end', () => process.exit())
