// The model team's side, as the seed's document lists it: serves y = x * weight
// on port 3000, and moves the weight by the gradients that come back. Only the
// call of the model is filled in. Runs until Ctrl-C.
import * as sm from '@shumai/shumai'

const weight = sm.scalar(1.718)
weight.requires_grad = true

// keeping it trivial for the example
/** @param {sm.Tensor} X */
function model(X) {
  return X.mul(weight)
}

sm.io.serve(
  {
    forward: (user, tensor) => {
      const Y = model(tensor)
      // capture the optimization function and save it on the user object
      user.opt = (jacobian) => {
        sm.optim.sgd(Y.backward(jacobian), 1e-2)
      }
      return Y
    },
    optimize: (user, jacobian) => {
      user.opt(jacobian)
    }
  },
  { port: 3000 }
)
