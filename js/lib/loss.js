import { native, ShumaiError } from './native.js'
import { makeFunction } from './tensor.js'
import { oneOf } from './kinds.js'

const tensors = (...names) => names.map((name) => ({ name, kind: 'tensor' }))
const maybe = (name) => ({ name, kind: 'tensor?' })
const plain = (...names) => names.map((name) => ({ name, kind: 'plain' }))

/** `options` as the values of `keys`, in order. */
function values(name, options, keys) {
  for (const key of Object.keys(options ?? {}))
    if (!keys.includes(key)) throw new ShumaiError(`${name}: no option ${JSON.stringify(key)}, ${oneOf(key, keys)}`)
  return keys.map((key) => options?.[key])
}

/** loss(a, b, options), where args[i + 2] is the option keys[i]. */
function withOptions(name, args, keys) {
  const run = makeFunction(native[name], name, args)
  return (a, b, options) => run(a, b, ...values(name, options, keys))
}

// The original's other losses are made first, then applied: sm.loss.mae()(y, p).
// Both ways work here: mae(y, p) is mae()(y, p).
const eitherWay = (loss) => (output, ...rest) => (output === undefined ? loss : loss(output, ...rest))

const kReduction = plain('reduction')

/** mean((a - b)^2) */
export const mse = withOptions('mse', [...tensors('output', 'reference'), ...kReduction], ['reduction'])

/** mean(|a - b|) */
export const mae = eitherWay(withOptions('mae', [...tensors('output', 'reference'), ...kReduction], ['reduction']))

const runHuber = makeFunction(native.huber, 'huber', [...tensors('output', 'reference'), ...plain('delta', 'reduction')])
/** Quadratic within `delta` of the reference, linear beyond (Huber, 1964). */
export const huber = (output, reference, delta, options) => runHuber(output, reference, delta, ...values('huber', options, ['reduction']))

const runSmoothL1 = makeFunction(native.smoothL1, 'smoothL1', [...tensors('output', 'reference'), ...plain('beta', 'reduction')])
/** huber divided by `beta`; mae for a beta of 0. */
export const smoothL1 = (output, reference, beta, options) => runSmoothL1(output, reference, beta, ...values('smoothL1', options, ['reduction']))

/** -weight[label] * logProbabilities[label], its weighted mean over samples. */
export const nll = withOptions('nll', [...tensors('logProbabilities', 'labels'), maybe('weight'), ...plain('ignoreIndex', 'reduction')], ['weight', 'ignoreIndex', 'reduction'])

const ofProbabilities = makeFunction(native.crossEntropyOfProbabilities, 'crossEntropy', [...tensors('y', 'p'), ...kReduction])
/** -mean over samples of sum(y * log(p)): `y` are one-hot or probabilities, `p` probabilities [n, classes]. */
export const crossEntropy = eitherWay((y, p, options) => ofProbabilities(y, p, ...values('crossEntropy', options, ['reduction'])))

const ofLogits = makeFunction(native.crossEntropy, 'crossEntropyWithLogits', [...tensors('logits', 'target'), maybe('weight'), ...plain('labelSmoothing', 'ignoreIndex', 'reduction')])
/** Softmax cross-entropy of logits [n, classes] against labels [n] or probabilities [n, classes]; stable. */
export const crossEntropyWithLogits = (logits, target, options) =>
  ofLogits(logits, target, ...values('crossEntropyWithLogits', options, ['weight', 'labelSmoothing', 'ignoreIndex', 'reduction']))

const runBinary = makeFunction(native.binaryCrossEntropy, 'binaryCrossEntropy', [...tensors('y', 'p'), maybe('weight'), ...kReduction])
/** -mean(y * log(p) + (1 - y) * log(1 - p)) */
export const binaryCrossEntropy = eitherWay((y, p, options) => runBinary(y, p, ...values('binaryCrossEntropy', options, ['weight', 'reduction'])))

/** The same with p = sigmoid(logits); stable. */
export const binaryCrossEntropyWithLogits = withOptions(
  'binaryCrossEntropyWithLogits',
  [...tensors('logits', 'target'), maybe('weight'), maybe('positiveWeight'), ...kReduction],
  ['weight', 'positiveWeight', 'reduction'],
)

/** mean(target * (log(target) - logProbabilities)); `logTarget` when the target holds logs too. */
export const klDiv = withOptions('klDiv', [...tensors('logProbabilities', 'target'), ...plain('logTarget', 'reduction')], ['logTarget', 'reduction'])
