import type { Sizes, Tensor, TensorLike } from '../index.js'


/** The cross-correlation of [N, C, H, W] with a filter [O, C / groups, kH, kW], plus a bias [O] if there is one. */
export declare function conv2d(tensor: TensorLike, filter: TensorLike, bias?: TensorLike | null, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor
/** The original's form. x is the last axis. */
export declare function conv2d(tensor: TensorLike, filter: TensorLike, sx: number, sy?: number, px?: number, py?: number, dx?: number, dy?: number, groups?: number): Tensor
/** The gradient of conv2d's input. */
export declare function conv2dBackwardData(gradient: Tensor, tensor: Tensor, filter: Tensor, sx?: number, sy?: number, px?: number, py?: number, dx?: number, dy?: number, groups?: number): Tensor
/** The gradient of conv2d's filter. */
export declare function conv2dBackwardFilter(gradient: Tensor, tensor: Tensor, filter: Tensor, sx?: number, sy?: number, px?: number, py?: number, dx?: number, dy?: number, groups?: number): Tensor

/**
 * The mean of each window of [N, C, H, W]. As in the original, two numbers are the kernel's height and width, and more
 * numbers the strides along the last axis and the one before it, 1 unless given.
 */
export declare function avgPool2d(tensor: TensorLike, kernelHeight: number, kernelWidth: number, sx?: number, sy?: number): Tensor
/** `stride` is the kernel's when left out; padding counts as zeros. */
export declare function avgPool2d(tensor: TensorLike, kernel: Sizes, stride?: readonly number[], padding?: Sizes): Tensor
export declare function avgPool2d(tensor: TensorLike, kernel: readonly number[], stride?: Sizes, padding?: Sizes): Tensor
/** The largest of each window of [N, C, H, W], in the same forms as avgPool2d. */
export declare function maxPool2d(tensor: TensorLike, kernelHeight: number, kernelWidth: number, sx?: number, sy?: number): Tensor
export declare function maxPool2d(tensor: TensorLike, kernel: Sizes, stride?: readonly number[], padding?: Sizes): Tensor
export declare function maxPool2d(tensor: TensorLike, kernel: readonly number[], stride?: Sizes, padding?: Sizes): Tensor

/** x held between `low` and `high`, which may be tensors that broadcast. */
export declare function clip(tensor: TensorLike, low: number | Tensor, high: number | Tensor): Tensor
export { clip as clamp }

/** The variance over `axes`, all of them when empty, divided by the count less `correction`: 1, and 0 for the population. */
export declare function variance(tensor: TensorLike, axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
/** The original's form. `bias`: the population's. */
export declare function variance(tensor: TensorLike, axes: Sizes, bias: boolean, keepDims: boolean): Tensor
export { variance as var }

/** The p-norm over `axes`, all of them when empty; p may be Infinity. */
export declare function norm(tensor: TensorLike, p?: number, axes?: Sizes, keepDims?: boolean): Tensor
/** The original's form. */
export declare function norm(tensor: TensorLike, axes: readonly number[] | BigInt64Array, p?: number, keepDims?: boolean): Tensor

/**
 * Floating-point operations of one call of an operation: two for each product of a matrix product or a convolution, else
 * one for each element of the largest tensor.
 */
export declare function opToFlops(op: string, inputs: readonly unknown[], out: { elements: number; shape?: readonly number[] }): number

declare module '../index.js' {
  // Both forms of each: what is declared here hides what TensorOps has.
  interface Tensor {
    conv2d(filter: TensorLike, bias?: TensorLike | null, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor
    conv2d(filter: TensorLike, sx: number, sy?: number, px?: number, py?: number, dx?: number, dy?: number, groups?: number): Tensor
    avgPool2d(kernelHeight: number, kernelWidth: number, sx?: number, sy?: number): Tensor
    avgPool2d(kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
    maxPool2d(kernelHeight: number, kernelWidth: number, sx?: number, sy?: number): Tensor
    maxPool2d(kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
    clip(low: number | Tensor, high: number | Tensor): Tensor
    clamp(low: number | Tensor, high: number | Tensor): Tensor
    norm(p?: number, axes?: Sizes, keepDims?: boolean): Tensor
    norm(axes: readonly number[] | BigInt64Array, p?: number, keepDims?: boolean): Tensor
    variance(axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
    variance(axes: Sizes, bias: boolean, keepDims: boolean): Tensor
    var(axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
    var(axes: Sizes, bias: boolean, keepDims: boolean): Tensor
  }
}
