import type { IndexSpec } from './lib/indexing.js'
import type { TensorOps } from './lib/ops.js'
import type { Stats } from './lib/stats.js'

export * from './lib/ops.js'
export * from './lib/indexing.js'
export * from './lib/stats.js'
export { avgPool2d, clamp, clip, conv2d, conv2dBackwardData, conv2dBackwardFilter, maxPool2d, norm, opToFlops, var, variance } from './lib/forms.js'
export * as io from './lib/io.js'
export * as loss from './lib/loss.js'
export * as module from './lib/module.js'
export * as network from './lib/network.js'
export * as optim from './lib/optim.js'
export * as util from './lib/util.js'

/** Element types by the names of the original Shumai (`Float32`) and of NumPy (`float32`); and the names, by code. */
export declare const dtype: Readonly<
  Record<
    | 'BoolInt8' | 'Uint8' | 'Int8' | 'Int16' | 'Uint16' | 'Int32' | 'Uint32' | 'Int64' | 'BigInt64' | 'Uint64' | 'BigUint64'
    | 'Float16' | 'BFloat16' | 'Float32' | 'Float64'
    | 'bool' | 'uint8' | 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'float16' | 'bfloat16' | 'float32' | 'float64',
    number
  >
> &
  Readonly<Record<number, string>>
/** A dtype's code, as in `sm.dtype.Float32`, or its name. */
export type DType = number | keyof typeof dtype

/** The typed arrays that tensors are made of and give back. */
export type TypedArray =
  | Uint8Array | Uint8ClampedArray | Int8Array | Int16Array | Uint16Array | Int32Array | Uint32Array
  | BigInt64Array | BigUint64Array | Float32Array | Float64Array
/** Numbers in arrays of arrays, row by row. */
export type Nested = number | boolean | bigint | readonly Nested[]
/** A size or an axis, or several. */
export type Sizes = number | readonly number[] | readonly bigint[] | BigInt64Array
/** What an operation takes for a tensor. A number adapts to the other operand's dtype. */
export type TensorLike = Tensor | Nested | TypedArray

/** A leaf and its gradient, by number: what backward finds and an optimizer takes. */
export type Differentiated = Record<string, { tensor: Tensor; grad: Tensor; id: number }>

export interface BackwardOptions {
  /** Keep the graph, so that backward can run through it again. */
  retainGraph?: boolean
  /** Record the gradients' own graph, so that they can be differentiated. */
  createGraph?: boolean
}

/** What a gradient function gets. */
export interface GradContext {
  /** The gradient of the output. */
  grad_in: Tensor
  /** The same, by the original's name. */
  backward_input: Tensor
  forward_output: Tensor
  forward_inputs: Tensor[]
  backward_output_index: number
  /** What backward was called on. */
  root: Tensor
}
/** May return the gradient of the input, or one for each of several. */
export type GradFn = (grad: GradContext) => void | null | Tensor | (Tensor | null)[] | Promise<void | null | Tensor | (Tensor | null)[]>

/**
 * A multi-dimensional array of one dtype, with the graph that computed it. The
 * results of operations never change; a tensor made from data gets a new value
 * by update(). Its memory is freed when the garbage collector takes the object,
 * or at once by dispose(); using it afterwards throws. A tensor belongs to its
 * thread: to a worker, post toFloat32Array() and shape.
 */
export declare class Tensor {
  /** The same as sm.tensor(data). */
  constructor(data: Tensor | Nested | TypedArray | (ArrayBufferView & ArrayLike<number>) | string)
  readonly shape: number[]
  readonly shape64: bigint[]
  readonly ndim: number
  readonly elements: number
  /** A code of `sm.dtype`. */
  readonly dtype: number
  readonly isDisposed: boolean
  requires_grad: boolean
  /** Sets requires_grad and returns this tensor. */
  requireGrad(): this
  /** The gradient that the last backward left here; null when there is none. */
  get grad(): Tensor | null
  set grad(value: Tensor | null)
  /**
   * Differentiates this tensor with respect to all that it was computed from,
   * and sets .grad. A promise when the graph crosses the network: always
   * await it there. Consumes the graph unless told otherwise.
   */
  backward(jacobian?: TensorLike, options?: BackwardOptions): Differentiated & PromiseLike<Differentiated>
  detach(): Tensor
  copy(): Tensor
  deepCopy(): Tensor
  /** Gives a leaf a new value of the same shape. Graphs that saw the old one keep it. */
  update(value: Tensor): this
  eval(): this
  /** Frees the memory now. */
  dispose(): void
  /** Takes the tensor out of the tidy around it. */
  untidy(): this
  /** Writes a file, atomically: NumPy's format when its name ends in `.npy`, else safetensors. */
  save(file: string): this
  /** Gives this tensor the value of a file that holds one tensor of its shape. */
  load(file: string): this
  /**
   * Takes the value of `file` if it exists, else writes it; then writes it after
   * each update, by update() or an optimizer, for which `when`, given their
   * number, says so. Without `file` the place in the program names it.
   */
  checkpoint(file?: string | URL, when?: (updates: number) => boolean): this
  checkpoint(when: (updates: number) => boolean): this
  /**
   * The address of a DLPack struct for another library, which calls its deleter
   * once: DLManagedTensor, always a copy, or DLManagedTensorVersioned, which
   * shares the memory for reading unless `copy` says otherwise.
   */
  toDLTensor(options?: { versioned?: boolean; copy?: boolean }): number
  /** Who a tensor came from, where it came in the original's binary form. */
  provenance: string | null
  /**
   * Where operations on this tensor count while it is enabled; all that is
   * computed from the tensor, its gradients included, carries it on.
   */
  get stats(): Stats | null
  set stats(value: Stats | null)
  /** The axes in the given order; without one the last two change places, and a vector becomes a column. */
  T(axes?: Sizes): Tensor
  /** More elements before and after each axis: a pair for each, or two lists. */
  pad(paddings: readonly (readonly [number, number])[], value?: number, mode?: string): Tensor
  pad(before: number | readonly number[], after: number | readonly number[], value?: number, mode?: string): Tensor
  /** The part that `specs` pick, an axis each: `x.index([0, ':', '1:3'])`. */
  index(specs: readonly IndexSpec[]): Tensor
  /** A new tensor with `value`, broadcast, in the part that `specs` pick. */
  indexedAssign(value: TensorLike, specs: readonly IndexSpec[]): Tensor
  toString(): string
  /** The only element as a number, or all elements in the typed array of this dtype. */
  valueOf(): number | TypedArray | ArrayLike<number>
  toJSON(): { dtype: string; shape: number[]; data: (number | string)[] }
  /** All elements, in row order, in the typed array of this dtype. */
  valuesArray(): TypedArray

  toFloat16(): number
  toFloat32(): number
  toFloat64(): number
  toBoolInt8(): number
  toInt8(): number
  toInt16(): number
  toInt32(): number
  toInt64(): bigint
  toBigInt64(): bigint
  toUint8(): number
  toUint16(): number
  toUint32(): number
  toUint64(): bigint
  toBigUint64(): bigint
  /** Float16Array where the runtime has it, else Float32Array. */
  toFloat16Array(): ArrayLike<number>
  toFloat32Array(): Float32Array
  toFloat64Array(): Float64Array
  toBoolInt8Array(): Int8Array
  toInt8Array(): Int8Array
  toInt16Array(): Int16Array
  toInt32Array(): Int32Array
  toInt64Array(): BigInt64Array
  toBigInt64Array(): BigInt64Array
  toUint8Array(): Uint8Array
  toUint16Array(): Uint16Array
  toUint32Array(): Uint32Array
  toUint64Array(): BigUint64Array
  toBigUint64Array(): BigUint64Array
}
export interface Tensor extends TensorOps {}

/**
 * A tensor from a number, an array, nested arrays, any typed array, or a file's
 * name, which stands for the one tensor in it. Numbers become float32, booleans bool, bigints int64, unless `type` says otherwise.
 * Text is the name of a file with one tensor, as its save() wrote it.
 */
export declare function tensor(data: Tensor | Nested | TypedArray | (ArrayBufferView & ArrayLike<number>) | string, type?: DType): Tensor
/** A rank-0 tensor, float32 unless `type` says otherwise. */
export declare function scalar(value: number | boolean | bigint, type?: DType): Tensor
/** Whether a value is a tensor. */
export declare function isTensor(value: unknown): value is Tensor
/** `value` as the result of a function of `inputs` whose gradient is `gradFn`. */
export declare function withGradFn(value: Tensor, inputs: Tensor[], gradFn: GradFn): Tensor
/**
 * fn(...inputs), with a graph that keeps the inputs instead of all that `fn`
 * computes on the way, and runs `fn` again in backward: less memory for more
 * time. Weights that it uses get their gradients too, and random operations
 * draw the same numbers. Tensors that `fn` makes, but its result, are disposed
 * when it returns. `fn` must not be async, nor call other machines.
 */
export declare function checkpoint<T extends Tensor[]>(fn: (...inputs: T) => Tensor, ...inputs: T): Tensor
/**
 * A tensor over another library's memory, by the address of its DLPack struct,
 * which is the tensor's from then on. The address must be a valid one.
 */
export declare function fromDLTensor(address: number | bigint, options?: { versioned?: boolean }): Tensor
/** Elements lie in row order; setColMajor throws. */
export declare const layout: Readonly<{ setRowMajor(): void; setColMajor(): never; isRowMajor(): true; isColMajor(): false }>
/** Runs `fn`, which must not be async, without recording graphs. */
export declare function noGrad<T>(fn: () => T): T
/** Tensors of a safetensors file, by name; the one of a `.npy` file is called `tensor`. */
export declare function load(file: string): Record<string, Tensor>
/** Writes named tensors to a safetensors file, atomically, or a single one to a `.npy` file. */
export declare function save(file: string, tensors: Record<string, Tensor>): void
/** Bytes that all tensors hold now. */
export declare function bytesUsed(): bigint
/** Starts the random stream of a seed: the same values as in C++. */
export declare function manual_seed(seed: number): void

/** What every failure of the library throws; `code` and `status` survive the network. */
export declare class ShumaiError extends Error {
  /** Such as "shape_mismatch". */
  readonly code: string
  /** The HTTP status that stands for it. */
  readonly status: number
}
