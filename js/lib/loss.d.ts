import type { Tensor, TensorLike } from '../index.js'

/** 'mean' unless said otherwise. */
export type Reduction = 'mean' | 'sum' | 'none'
export interface LossOptions {
  reduction?: Reduction
}
export interface WeightedLossOptions extends LossOptions {
  /** One for each element; broadcast. */
  weight?: TensorLike
}
export interface NllOptions extends LossOptions {
  /** One for each class. */
  weight?: TensorLike
  /** Samples of this label count for nothing; -100 unless said otherwise. */
  ignoreIndex?: number
}
export interface CrossEntropyOptions extends NllOptions {
  /** The part of each target that is spread evenly over the classes. */
  labelSmoothing?: number
}
export interface LogitsLossOptions extends WeightedLossOptions {
  /** Of the term for the positive class. */
  positiveWeight?: TensorLike
}
export interface KlDivOptions {
  /** The target holds log-probabilities too. */
  logTarget?: boolean
  /** 'batchmean', the sum divided by the first size, is the divergence as mathematics has it. */
  reduction?: Reduction | 'batchmean'
}

/** Made first and applied then, as in the original, or at once. */
export interface LossFn<Options = LossOptions> {
  (): (y: TensorLike, p: TensorLike, options?: Options) => Tensor
  (y: TensorLike, p: TensorLike, options?: Options): Tensor
}
/** mean((a - b)^2) */
export declare function mse(output: TensorLike, reference: TensorLike, options?: LossOptions): Tensor
/** mean(|a - b|) */
export declare const mae: LossFn
/** Quadratic within `delta` (1) of the reference, linear beyond (Huber, 1964). */
export declare function huber(output: TensorLike, reference: TensorLike, delta?: number, options?: LossOptions): Tensor
/** huber divided by `beta` (1). */
export declare function smoothL1(output: TensorLike, reference: TensorLike, beta?: number, options?: LossOptions): Tensor
/** The negative log-probability [n, classes] of integer labels [n]. */
export declare function nll(logProbabilities: TensorLike, labels: TensorLike, options?: NllOptions): Tensor
/** Of probabilities [n, classes] `p` against one-hot or probabilities `y`. */
export declare const crossEntropy: LossFn
/** Of logits [n, classes] against integer labels [n] or probabilities [n, classes]; stable. */
export declare function crossEntropyWithLogits(logits: TensorLike, target: TensorLike, options?: CrossEntropyOptions): Tensor
/** -mean(y * log(p) + (1 - y) * log(1 - p)) */
export declare const binaryCrossEntropy: LossFn<WeightedLossOptions>
/** The same with p = sigmoid(logits); stable. */
export declare function binaryCrossEntropyWithLogits(logits: TensorLike, target: TensorLike, options?: LogitsLossOptions): Tensor
/** mean(target * (log(target) - logProbabilities)), the divergence of Kullback and Leibler. */
export declare function klDiv(logProbabilities: TensorLike, target: TensorLike, options?: KlDivOptions): Tensor
