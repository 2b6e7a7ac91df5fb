// server.ts PORT [model]
import { serve, serve_model } from './shumai/network'
import { sgd, Tensor, tensor } from './shumai/tensor'

const port = Number(process.argv[2])
const weight = tensor(new Float32Array([1.5])).reshape([])
weight.requires_grad = true

const routes = {
  data: () => tensor(new Float32Array([1, 2, -0.5, 4])).reshape([2, 2]),
  number: () => 5,
  nothing: () => null,
  fails: () => {
    throw new Error('no luck')
  },
  statistics: () => ({ weight: weight.data[0] }),
}

const seed = {
  forward: (user: any, x: Tensor) => {
    const y = x.mul(weight)
    user.opt = async (jacobian: Tensor) => sgd(await y.backward(jacobian), 0.25)
    return y
  },
  optimize: async (user: any, jacobian: Tensor) => {
    await user.opt(jacobian)
  },
}

if (process.argv[3] === 'model') serve_model((x: any) => x.mul(weight), (found: any) => sgd(found, 0.25), { port }, routes)
else serve({ ...seed, ...routes } as any, { port })
