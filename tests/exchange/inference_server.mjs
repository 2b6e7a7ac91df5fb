// The same server as tests/e2e/programs/inference_server.cpp, in JavaScript.
import * as sm from '../../js/index.js'

const inference = [
  { name: 'echo', route: 'forward' },
  {
    name: 'digits',
    route: 'score',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, 4] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
  },
]
const handlers = {
  forward: (user, content) => content,
  score: (user, x) => x.astype('float32').reshape([-1, 2, 2]).sum([2]),
}
console.log(`serving on ${sm.io.serve(handlers, { port: 0, inference }).url}`)
