import type { Tensor } from '../index.js'

/** Made first and applied then, as in the original, or at once. */
export interface LossFn {
  (): (y: Tensor, p: Tensor) => Tensor
  (y: Tensor, p: Tensor): Tensor
}
/** mean((a - b)^2) */
export declare function mse(output: Tensor, reference: Tensor): Tensor
/** mean(|a - b|) */
export declare const mae: LossFn
/** Quadratic within `delta` of the reference, linear beyond (Huber, 1964). */
export declare function huber(output: Tensor, reference: Tensor, delta?: number): Tensor
/** Of probabilities [n, classes] `p` against one-hot or probabilities `y`. */
export declare const crossEntropy: LossFn
/** Of logits [n, classes] against labels [n] or probabilities [n, classes]; stable. */
export declare function crossEntropyWithLogits(logits: Tensor, target: Tensor): Tensor
export declare const binaryCrossEntropy: LossFn
export declare function binaryCrossEntropyWithLogits(logits: Tensor, target: Tensor): Tensor
