// The scalar model of server/server.cpp with its handlers in JavaScript. Prints its port, serves until its input ends.
import * as sm from '../js/index.js'

const weight = sm.scalar(1.718).requireGrad()
const server = sm.io.serve(
  {
    forward: (user, x) => {
      const y = x.mul(weight)
      user.opt = (jacobian) => {
        sm.optim.sgd(y.backward(jacobian), 1e-2)
      }
      return y
    },
    optimize: (user, jacobian) => {
      user.opt(jacobian)
    },
  },
  { port: 0 },
)
console.log(server.port)
process.stdin.resume().on('end', () => process.exit())
