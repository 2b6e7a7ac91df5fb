// Compiled, never run: what an editor should accept, and what it should not.
import * as sm from '../index.js'

const x: sm.Tensor = sm.randn([2, 3]).mul(2).relu().sum([0], true)
const weight = sm.scalar(1.718).requireGrad()
const server = sm.io.serve(
  {
    forward: (user, X: sm.Tensor) => {
      const Y = X.mul(weight)
      user.opt = (jacobian: sm.Tensor) => sm.optim.sgd(Y.backward(jacobian), 1e-2)
      return Y
    },
    info: () => ({ classes: 10 }),
    several: () => [x, x],
    later: async () => ({ a: x }),
  },
  { port: 0, limits: { maxTickets: 10 }, guard: { maxNorm: 5 }, staleness: 'reject', checkpoint: { directory: 'saved', weights: { weight } }, signals: false, statistics: () => ({ loss: 1, deep: { list: [1, 'two', null] } }) },
)
const backward: sm.GradFn = async (grad) => {
  await sm.io.tfetch(`${server.url}/optimize`, grad.grad_in)
}
const output = await sm.network.tfetch(`${server.url}/forward`, x, { grad_fn: backward })
const loss = sm.loss.mse(output, x)
await loss.backward()
loss.backward(2)
for (const { tensor, grad } of Object.values(loss.backward())) tensor.update(tensor.sub(grad))
for (const i of sm.util.viter(20, () => loss.toFloat32())) i.toFixed()
const [a, b] = await sm.util.all(Promise.resolve(1), Promise.resolve('two'))
a.toFixed()
b.toUpperCase()
const many = await sm.io.tfetch<Record<string, sm.Tensor>>('localhost/many', { a: x })
many['a'].shape

class MLP extends sm.module.Module {
  first = sm.module.linear(1, 8)
  forward(input: sm.Tensor): sm.Tensor {
    return this.first(input).relu()
  }
}
const [h]: [sm.Tensor, sm.Tensor] = sm.module.lstm(2, 3)(x, x, x)
const last: sm.Tensor = sm.module.lstm(2, 3)(x, { hidden: h }).state.cell
const encoder = new sm.module.TransformerEncoder(8, 2, 1, { normFirst: true, activation: sm.relu })
new sm.module.Conv2d(3, 4, [3, 3], { stride: 2, dtype: 'float64' })(encoder(last, { causal: true })).relu()
const state: Record<string, sm.Tensor> = encoder.eval().state()
encoder.loadState(state).checkpoint('folder').save()
new sm.module.TransformerDecoder(8, 2, 1, 4, 8).parameters()[0].requires_grad
sm.network.serve_model(new MLP(), sm.optim.sgd, { port: 3001 })
await sm.io.readlines('file').next()

const model = sm.io.remote_model(server.url, { errorHandler: (error) => console.log(error.message), timeout: 500 })
const answer: sm.Tensor = await model(x, { signal: new AbortController().signal })
sm.optim.sgd(answer.backward(), 1e-2)
const kept: { a: sm.Tensor } = sm.util.tidy(() => ({ a: x.add(1) }))
const keptLater: Promise<sm.Tensor> = sm.util.tidy(async () => kept.a)
await keptLater

const adam = sm.optim.adam({ lr: 1e-3, betas: [0.9, 0.99], schedule: sm.optim.sequentialLR([sm.optim.linearLR(), sm.optim.cosineAnnealingLR(100)], [5]) })
await adam(loss.backward())
adam.step(sm.optim.clipGradNorm(loss.backward(), 1).gradients, 1e-4)
adam.loadState(adam.state(new MLP()), { weight })
adam.learningRate *= 0.5
sm.io.serve_model(new MLP(), new sm.optim.AdamW())
sm.loss.crossEntropyWithLogits(x, [1, 2], { labelSmoothing: 0.1, reduction: 'sum' }).backward()
sm.loss.mae()(x, x, { reduction: 'none' })

// @ts-expect-error SGD has no betas
new sm.optim.SGD({ betas: [0.9, 0.99] })
// @ts-expect-error only kl_div has this reduction
sm.loss.mse(x, x, { reduction: 'batchmean' })
// @ts-expect-error a tensor isn't a number
const wrong: number = x.add(1)
// @ts-expect-error no such option
sm.io.serve({}, { prot: 3000 })
// @ts-expect-error handlers answer what can be sent
sm.io.serve({ wrong: () => () => {} })
// @ts-expect-error a mask says what it is
new sm.module.MultiheadAttention(4, 2)(x, x, x, x)
// @ts-expect-error no such option
new sm.module.Linear(2, 3, { biass: true })
// @ts-expect-error update takes a tensor
x.update(3)
// @ts-expect-error no such dtype
sm.tensor([1], 'float33')
// @ts-expect-error tensors are made by functions
new sm.Tensor()
const [best, places] = x.topk(1)
best.mul(places)
x.split([1, 1]).map((part) => part.index([0, ':', '1:3', [1, 2], places]).indexedAssign(1, ['::-1']))
x.pad([[1, 0], [0, 1]]).pad(1, 1, 0, 'reflect')

x.conv2d(x, x, 1, [0, 0]).conv2d(x, 1, 1, 0, 0, 1, 1, 2).avgPool2d(2, 2, 1).maxPool2d([2, 2], 2).clip(0, x).var([0], true, false).std(0, true, 0)
sm.avgPool2d(x, 2, [2, 2]).reshape(x.shape64).astype(sm.dtype.Float16).T()
const dtypeName: string | undefined = sm.dtype[x.dtype]
dtypeName?.toUpperCase()
new sm.optim.Adam(1e-3, 0.9)
// @ts-expect-error: a stride is a number
sm.conv2d(x, x, 1, 'same')
