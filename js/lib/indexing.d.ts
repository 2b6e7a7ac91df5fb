import type { Nested, Tensor, TensorLike, TypedArray } from '../index.js'

/**
 * What to pick along an axis: a position, whose axis goes; a slice as text,
 * `'1:5'`, `':'`, `'::-1'`, with Python's rules; a tensor or an array of integer
 * positions, or of booleans, which mask as many axes as they have dimensions;
 * `'...'` for all axes up to those of the specs that follow.
 */
export type IndexSpec = number | bigint | string | Tensor | TypedArray | readonly Nested[]

/**
 * The part of a tensor that `specs` pick, an axis each, from the first. A view
 * when no spec is a tensor or an array. Differentiable.
 */
export declare function index(tensor: Tensor, specs: readonly IndexSpec[]): Tensor
/** A new tensor with `value`, broadcast, in the part that `specs` pick. Differentiable in both. */
export declare function indexedAssign(tensor: Tensor, value: TensorLike, specs: readonly IndexSpec[]): Tensor
