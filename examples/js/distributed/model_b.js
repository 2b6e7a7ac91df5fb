// The other half of the model: serves x + b, learns b, and answers each
// gradient with that of x, so that whoever made x can learn as well.
// Run: node model_b.js [--port N]
import * as sm from '@shumai/shumai'
import { announce, descend, readArguments } from './server.js'

const b = sm.scalar(0).requireGrad()
announce(sm.io.serve_model((x) => x.add(b), descend, { port: readArguments(3002).port }))
