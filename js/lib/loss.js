import { ops, scalar } from './tensor.js'

const { abs, add, log, logSoftmax, lte, maximum, mean, mul, negative, oneHot, softplus, square, sub, sum, where } = ops

/** mean((a - b)^2) */
export const mse = (output, reference) => mean(square(sub(output, reference)))

// The original's other losses are made first, then applied: sm.loss.mae()(y, p).
// Both ways work here: mae(y, p) is mae()(y, p).
const eitherWay = (loss) => (output, ...rest) => (output === undefined ? (y, p) => loss(y, p) : loss(output, ...rest))

/** mean(|a - b|) */
export const mae = eitherWay((output, reference) => mean(abs(sub(output, reference))))

/** Quadratic within `delta` of the reference, linear beyond (Huber, 1964). */
export function huber(output, reference, delta = 1) {
  const distance = abs(sub(output, reference))
  return mean(where(lte(distance, delta), mul(square(distance), 0.5), mul(sub(distance, 0.5 * delta), delta)))
}

/** log(x), not below -100, as PyTorch clamps it in binary cross-entropy. */
const clippedLog = (x) => maximum(log(x), scalar(-100))

/** -mean over samples of sum(y * log(p)): `y` are one-hot or probabilities, `p` probabilities [n, classes]. */
export const crossEntropy = eitherWay((y, p) => negative(mean(sum(mul(y, clippedLog(p)), [1]))))

/** Softmax cross-entropy of logits [n, classes] against labels [n] or probabilities [n, classes]; stable. */
export function crossEntropyWithLogits(logits, target) {
  const wanted = target.ndim === logits.ndim ? target : oneHot(target, logits.shape[1])
  return negative(mean(sum(mul(wanted, logSoftmax(logits, 1)), [1])))
}

/** -mean(y * log(p) + (1 - y) * log(1 - p)) */
export const binaryCrossEntropy = eitherWay((y, p) =>
  negative(mean(add(mul(y, clippedLog(p)), mul(sub(1, y), clippedLog(sub(1, p)))))))

/** The same with p = sigmoid(logits); stable. */
export const binaryCrossEntropyWithLogits = (logits, target) => mean(sub(softplus(logits), mul(target, logits)))
