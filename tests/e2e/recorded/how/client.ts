// client.ts URL seed|model|other
import { remote_model, tfetch } from './shumai/network'
import { Tensor, tensor } from './shumai/tensor'

const [, , url, kind] = process.argv
const inputs = [[1, 2, -0.5, 4], [0.5, -1, 2, 1], [1, 1, 1, -2]].map((row) => tensor(new Float32Array(row)).reshape([2, 2]))

// of sum((y - 3 x)^2) / 8
const jacobian = (y: Tensor, x: Tensor) => tensor(y.data.map((v, i) => (v - 3 * x.data[i]) / 4)).reshape(y.shape)

if (kind === 'seed')
  for (const x of inputs) {
    const y = await tfetch(`${url}/forward`, x as any, {
      grad_fn: async (grad: any) => {
        await tfetch(`${url}/optimize`, grad.grad_in)
      },
    })
    await y.backward(jacobian(y as any, x) as any)
  }

if (kind === 'model') {
  const model = remote_model(url)
  for (const x of inputs) {
    const y = await model(x as any)
    await y.backward(jacobian(y as any, x) as any)
  }
}

if (kind === 'other')
  for (const route of ['data', 'nothing', 'statistics', 'number', 'fails', 'nowhere'])
    try {
      console.log(route, await tfetch(`${url}/${route}`))
    } catch (error) {
      console.log(route, String(error))
    }
