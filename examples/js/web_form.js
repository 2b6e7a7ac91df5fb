// Remote inference from a web page: a form asks a plain Node server, which runs
// a model on another server through tfetch and shows what it answers.
// Run: node web_form.js [--port N], and open the URL that it prints.
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

const { values } = parseArgs({ options: { port: { type: 'string' } } })

// Elsewhere: degrees Celsius in, Fahrenheit out.
const slope = sm.scalar(1.8)
const model = sm.io.serve({ forward: (user, celsius) => celsius.mul(slope).add(32) }, { port: 0 })

/** @param {string} answer */
const page = (answer) => `<!doctype html>
<meta charset="utf-8">
<title>Remote inference</title>
<form>
  <label>Degrees Celsius, separated by commas: <input name="celsius" value="0, 37, 100"></label>
  <button>Ask the model</button>
</form>
<output>${answer}</output>
`

/** @param {string} text */
async function ask(text) {
  const numbers = text.split(',').map(Number)
  if (numbers.some(Number.isNaN)) return 'Please enter numbers.'
  const answer = await sm.io.tfetch(`${model.url}/forward`, sm.tensor(numbers))
  return `${Array.from(answer.toFloat32Array(), (value) => value.toFixed(1)).join(', ')} Fahrenheit`
}

const web = createServer(async (request, response) => {
  const text = new URL(request.url ?? '/', 'http://localhost').searchParams.get('celsius')
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  try {
    response.end(page(text === null ? '' : await ask(text)))
  } catch (error) {
    response.statusCode = 502
    response.end(page('The model can\'t be reached.'))
  }
})
web.listen(Number(values.port ?? 8080), '127.0.0.1', () => {
  const address = web.address()
  if (address && typeof address === 'object') console.log(`serving on http://127.0.0.1:${address.port}`)
})
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    web.close()
    web.closeAllConnections()
    model.stop()
  })
