// The process of a runner that serves a model: `runner_model.js FILE`, with the
// options of the server on standard input. It tells file descriptor 4 where.
import { readFileSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { serve_model } from './server.js'
import '../index.js'

const options = JSON.parse(readFileSync(0, 'utf8'))
const file = process.argv[2]
const model = await import(pathToFileURL(file).href)
if (typeof model.default !== 'function') throw new Error('the model\'s file must export a function by default')
const server = serve_model(model.default, model.backward, { ...model.options, ...options })
writeSync(4, `${JSON.stringify({ port: server.port, pid: process.pid })}\n`)
