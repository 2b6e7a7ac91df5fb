// One half of a model that is spread over machines: serves m * x and learns m.
// It knows neither the other half nor the data.
// Run: node model_a.js & node model_b.js & node composed.js localhost:3001 localhost:3002 & node data.js localhost:3000
import * as sm from '@shumai/shumai'
import { announce, descend, readArguments } from './server.js'

const m = sm.scalar(1).requireGrad()
announce(sm.io.serve_model((x) => x.mul(m), descend, { port: readArguments(3001).port }))
