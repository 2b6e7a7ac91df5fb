// A model made of two others on other servers, b(a(x)): it has no weights of its
// own, and gradients flow back through b, then a, so that each learns its part.
// Run: node composed.js URL_A URL_B [--port N]
import * as sm from '@shumai/shumai'
import { announce, readArguments } from './server.js'

const { urls, port } = readArguments(3000)
const [a, b] = urls.map((url) => sm.io.remote_model(url))
announce(sm.io.serve_model(async (x) => b(await a(x)), undefined, { port }))
