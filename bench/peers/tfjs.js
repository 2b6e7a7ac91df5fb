// The workloads in TensorFlow.js with its WASM backend: one thread, since in Node it has no more.
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { fill, repeat, run } from '../worker.js'

setWasmPaths(fileURLToPath(new URL('../node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url)))
console.warn = () => {} // it advises another backend
await tf.setBackend('wasm')
await tf.ready()

const noise = (shape, seed, scale = 1) => tf.tensor(fill(shape.reduce((a, b) => a * b, 1), seed, scale), shape)
const number = (tensor) => tensor.dataSync()[0]
// Each result is freed at once, as its documentation asks for.
const operation = (work) =>
  repeat(
    () => work().dispose(),
    () => [number(tf.mean(tf.square(work())))],
  )

function mlp() {
  let seed = 0
  const weight = (...shape) => {
    const values = fill(shape.reduce((a, b) => a * b, 1), ++seed, shape.length > 1 ? 1 / Math.sqrt(shape[1]) : 0.1)
    const tensor = tf.tensor(values, shape)
    return shape.length > 1 ? tensor.transpose() : tensor
  }
  return [weight(128, 784), weight(128), weight(10, 128), weight(10)]
}

await run({
  add() {
    const a = noise([32], 1)
    const b = noise([32], 2)
    return operation(() => tf.add(a, b))
  },
  mul_number() {
    const a = noise([32], 1)
    return operation(() => tf.mul(a, 2))
  },
  exp() {
    const a = noise([32], 1)
    return operation(() => tf.exp(a))
  },
  sum() {
    const a = noise([32], 1)
    return operation(() => tf.sum(a))
  },
  matmul_8() {
    const a = noise([8, 8], 1)
    return operation(() => tf.matMul(a, a))
  },
  scalar_step() {
    const weight = tf.scalar(1.5)
    const x = tf.scalar(2)
    const gradient = tf.grad((w) => tf.square(tf.mul(x, w)))
    return repeat(
      () => gradient(weight).dispose(),
      () => [number(gradient(weight))],
    )
  },
  mlp_step() {
    const weights = mlp().map((value) => tf.variable(value))
    const [w1, b1, w2, b2] = weights
    const x = noise([64, 784], 7)
    const labels = tf.oneHot(Array.from({ length: 64 }, (_, i) => (i * 7) % 10), 10)
    const optimizer = tf.train.sgd(0.01)
    const loss = () =>
      tf.losses.softmaxCrossEntropy(labels, tf.add(tf.matMul(tf.relu(tf.add(tf.matMul(x, w1), b1)), w2), b2))
    const step = () => optimizer.minimize(loss, true, weights)
    return repeat(
      () => step().dispose(),
      () => {
        mlp().forEach((value, i) => weights[i].assign(value))
        return [number(step()), number(step())]
      },
    )
  },
})
