import type { DType, Tensor } from '../index.js'

/** A module without saying what it may be called with. */
declare class Base {
  /** What calling the module does. */
  forward(...inputs: any[]): any
  /** Whether dropout is on, and batch norms use the batch. Set by train() and eval(). */
  training: boolean
  /** Every weight, in this module and those within, by name. */
  namedParameters(prefix?: string): Generator<[string, Tensor], void, void>
  parameters(): Tensor[]
  /** What isn't trained but belongs to the model, such as running statistics. */
  namedBuffers(prefix?: string): Generator<[string, Tensor], void, void>
  /** Itself, named '', and all modules within it. */
  namedModules(prefix?: string): Generator<[string, Module], void, void>
  /** Sets the mode of this module and all within it. A new module is in train mode. */
  train(on?: boolean): this
  eval(): this
  /** Whether the weights get gradients: false freezes them. */
  requireGrad(required?: boolean): this
  /**
   * Weights and buffers by name, as save() writes them: names and layouts are those of C++ and PyTorch, so the weight
   * of Linear is [outputs, inputs]. Later updates don't change what this returned.
   */
  state(): Record<string, Tensor>
  /** Takes the values of another state(). Names and shapes must be the same; nothing changes otherwise. */
  loadState(state: Readonly<Record<string, Tensor>>): this
  /** Writes state() to a safetensors file, atomically. */
  save(file: string): void
  /** Reads what save() wrote, here or in C++. */
  load(file: string): this
  /** Keeps numbered files of this module in `directory`, and starts from the newest one there. `keep` files stay. */
  checkpoint(directory: string, keep?: number): Checkpoint
}
/**
 * A layer or a model: subclass it, give it tensors and modules as fields, and call it like a function. Fields may also
 * be arrays, maps and objects of these; their names are joined by dots: "layers.0.weight". A tensor that was asked to
 * require gradients is a weight, any other a buffer. What isn't to be found is kept in a private field (#cache).
 */
export declare class Module extends Base {}
export interface Module {
  (...inputs: any[]): any
}
/** Numbered files of a module in one directory, "checkpoint-0000000012.safetensors". */
export interface Checkpoint {
  /** The number of the newest file, loaded or written; 0 when there is none. */
  readonly number: number
  /** Writes the next file, atomically, removes all but the newest, and returns its path. */
  save(): string
}
/** The checkpoints of a module, in a directory: see Checkpoint. */
export declare function checkpoint(model: Module, directory: string, keep?: number): Checkpoint

/** What a Sequential is made of. */
type Step = (...inputs: any[]) => any
/** Modules and functions one after another, named by their position. An array that one returns is spread. */
export declare class Sequential extends Module {
  constructor(...modules: Step[])
  modules: Step[]
  readonly length: number
  add(step: Step): this
}
/** A Sequential. */
export declare function sequential(...modules: Step[]): Sequential

/** A layer, or an operation by its name. */
type Description = { layer: string; [field: string]: unknown } | string
/**
 * A model from its description in JSON, as an object or as text: `{layers: [{layer: 'Linear', inputs: 2, outputs: 1},
 * 'relu']}`. A step is a layer with the arguments and options of its constructor as fields (in C++'s names:
 * `norm_first`), an operation of one tensor likewise, or "Sequential" or "Residual" with "layers" of their own. The same
 * description gives the same model in C++ and to the program `shumai`, and the files that the model saves hold it.
 */
export declare function fromJSON(model: string | readonly Description[] | { layers: readonly Description[] }): Sequential
/** The description of a model that fromJSON or openModel made, with every default; undefined for another. */
export declare function describe(model: Module): { layers: Description[] } | undefined
/** The model in a file that holds its description: alone, as JSON, or beside its weights. */
export declare function openModel(file: string): Sequential

/** What layers with weights take: whether there is a bias, and the dtype of the weights. */
export interface LayerOptions {
  bias?: boolean
  dtype?: DType
}
/**
 * x W + b on the last axis: [..., inputs] to [..., outputs]. The weight is [inputs, outputs] here, as in the original,
 * and [outputs, inputs] in files, as in C++ and PyTorch. Uniform within 1 / sqrt(inputs) at first, the bias too.
 */
export declare class Linear extends Base {
  constructor(inputs: number, outputs: number, options?: LayerOptions)
  weight: Tensor
  bias: Tensor
  forward(x: Tensor): Tensor
}
export interface Linear {
  (x: Tensor): Tensor
}
/** A Linear. */
export declare function linear(inputs: number, outputs: number, options?: LayerOptions): Linear

/** One number stands for every axis. */
type Sizes = number | readonly number[]
export interface ConvOptions extends LayerOptions {
  stride?: Sizes
  /** Zeros on both sides. */
  padding?: Sizes
  dilation?: Sizes
  groups?: number
}
/** The cross-correlation of [N, inputs, L] with a weight [outputs, inputs / groups, k]. */
export declare class Conv1d extends Base {
  constructor(inputs: number, outputs: number, kernel: Sizes, options?: ConvOptions)
  weight: Tensor
  bias: Tensor
  forward(x: Tensor): Tensor
}
export interface Conv1d {
  (x: Tensor): Tensor
}
/** A Conv1d. */
export declare function conv1d(inputs: number, outputs: number, kernel: Sizes, options?: ConvOptions): Conv1d
/** The cross-correlation of [N, inputs, H, W] with a weight [outputs, inputs / groups, kH, kW]. */
export declare class Conv2d extends Base {
  constructor(inputs: number, outputs: number, kernel: Sizes, options?: ConvOptions)
  weight: Tensor
  bias: Tensor
  forward(x: Tensor): Tensor
}
export interface Conv2d {
  (x: Tensor): Tensor
}
/** A Conv2d. */
export declare function conv2d(inputs: number, outputs: number, kernel: Sizes, options?: ConvOptions): Conv2d

export interface PoolOptions {
  /** The kernel's when it isn't given. */
  stride?: Sizes
  padding?: Sizes
}
/** The mean of each window of [N, C, H, W]. */
export declare class AvgPool2d extends Base {
  constructor(kernel: Sizes, options?: PoolOptions)
  forward(x: Tensor): Tensor
}
export interface AvgPool2d {
  (x: Tensor): Tensor
}
/** An AvgPool2d. */
export declare function avgPool2d(kernel: Sizes, options?: PoolOptions): AvgPool2d
/** The maximum of each window of [N, C, H, W]. */
export declare class MaxPool2d extends Base {
  constructor(kernel: Sizes, options?: PoolOptions)
  forward(x: Tensor): Tensor
}
export interface MaxPool2d {
  (x: Tensor): Tensor
}
/** A MaxPool2d. */
export declare function maxPool2d(kernel: Sizes, options?: PoolOptions): MaxPool2d
/** [N, ...] to [N, everything else]. */
export declare class Flatten extends Base {
  forward(x: Tensor): Tensor
}
export interface Flatten {
  (x: Tensor): Tensor
}

export interface NormOptions extends LayerOptions {
  /** 1e-5 unless given. */
  epsilon?: number
  /** A weight of ones and a bias of zeros, both trained. */
  affine?: boolean
}
/** Mean 0 and variance 1 over the last axes, whose sizes are `dims`, then a weight and a bias of that shape. */
export declare class LayerNorm extends Base {
  constructor(dims: Sizes, options?: NormOptions | number | Tensor)
  weight: Tensor
  bias: Tensor
  /** Back to a weight of ones and a bias of zeros. */
  resetParameters(): void
  forward(x: Tensor): Tensor
}
export interface LayerNorm {
  (x: Tensor): Tensor
}
/** Divided by the root of the mean square over the last axes, then times a weight. */
export declare class RMSNorm extends Base {
  constructor(dims: Sizes, options?: NormOptions | number | Tensor)
  weight: Tensor
  forward(x: Tensor): Tensor
}
export interface RMSNorm {
  (x: Tensor): Tensor
}
/** Mean 0 and variance 1 over each of `groups` groups of the channels of [N, channels, ...]. */
export declare class GroupNorm extends Base {
  constructor(groups: number, channels: number, options?: NormOptions | number | Tensor)
  weight: Tensor
  bias: Tensor
  forward(x: Tensor): Tensor
}
export interface GroupNorm {
  (x: Tensor): Tensor
}
export interface BatchNormOptions {
  epsilon?: number
  /** The share of the newest batch in the running statistics: 0.1 unless given. */
  momentum?: number
  affine?: boolean
  dtype?: DType
}
/** Mean 0 and variance 1 for each channel of [N, channels, H, W]: of the batch in train mode, else of the running statistics. */
export declare class BatchNorm2d extends Base {
  constructor(channels: number, options?: BatchNormOptions)
  weight: Tensor
  bias: Tensor
  running_mean: Tensor
  running_var: Tensor
  num_batches_tracked: Tensor
  forward(x: Tensor): Tensor
}
export interface BatchNorm2d {
  (x: Tensor): Tensor
}
/** In train mode zeros with probability `p`, and the rest divided by 1 - p. */
export declare class Dropout extends Base {
  constructor(p?: number)
  p: number
  forward(x: Tensor): Tensor
}
export interface Dropout {
  (x: Tensor): Tensor
}
/** Integers of any shape [...] to rows of a weight [count, width]: [..., width]. */
export declare class Embedding extends Base {
  constructor(count: number, width: number, options?: { dtype?: DType })
  weight: Tensor
  forward(indices: Tensor): Tensor
}
export interface Embedding {
  (indices: Tensor): Tensor
}

export interface RecurrentOptions extends LayerOptions {
  layers?: number
  /** [batch, time, features] in and out, as by default, or [time, batch, features]. */
  batchFirst?: boolean
  /** In train mode, of what every layer but the last gives. */
  dropout?: number
  bidirectional?: boolean
}
/** Each [layers * directions, batch, hidden]; zeros where one is missing. */
export interface LSTMState {
  hidden?: Tensor
  cell?: Tensor
}
/** What an LSTM returns. */
export interface LSTMResult {
  /** [batch, time, directions * hidden], or as batchFirst says. */
  output: Tensor
  state: Required<LSTMState>
}
/**
 * Long short-term memory. Weights have PyTorch's names and layouts: weight_ih_l0 [4 * hidden, inputs], and so on. As in
 * the original, (x, h, c) makes one step of [batch, inputs] and returns [h, c].
 */
export declare class LSTM extends Base {
  constructor(inputs: number, hidden: number, options?: RecurrentOptions)
  forward(x: Tensor, state?: LSTMState): LSTMResult
  forward(x: Tensor, h: Tensor, c: Tensor): [Tensor, Tensor]
}
export interface LSTM {
  (x: Tensor, state?: LSTMState): LSTMResult
  (x: Tensor, h: Tensor, c: Tensor): [Tensor, Tensor]
}
/** An LSTM. */
export declare function lstm(inputs: number, hidden: number, options?: RecurrentOptions): LSTM
/** Gated recurrent unit, as PyTorch has it. */
export declare class GRU extends Base {
  constructor(inputs: number, hidden: number, options?: RecurrentOptions)
  forward(x: Tensor, hidden?: Tensor): { output: Tensor; hidden: Tensor }
}
export interface GRU {
  (x: Tensor, hidden?: Tensor): { output: Tensor; hidden: Tensor }
}
/** A GRU. */
export declare function gru(inputs: number, hidden: number, options?: RecurrentOptions): GRU

/** Which keys a query sees; what several of these forbid, each forbids. */
export interface AttentionMask {
  /** Query i sees the keys up to i. */
  causal?: boolean
  /** Boolean [batch, keys]: true for a key that is padding. */
  padding?: Tensor
  /**
   * Boolean, true for what a query sees, or floating-point and added to the scores: [queries, keys],
   * [batch, queries, keys] or [batch, heads, queries, keys].
   */
  mask?: Tensor
}
/** softmax(Q K' scale) V. A query that sees no key gets zeros. */
export declare class DotProductAttention extends Base {
  /** scale: 1 / sqrt(width) unless given. dropout: in train mode, of the attention's weights. */
  constructor(options?: { scale?: number; dropout?: number })
  forward(query: Tensor, key: Tensor, value: Tensor, mask?: AttentionMask): Tensor
}
export interface DotProductAttention {
  (query: Tensor, key: Tensor, value: Tensor, mask?: AttentionMask): Tensor
}
export interface MultiheadAttentionOptions extends LayerOptions {
  /** In train mode, of the attention's weights. */
  dropout?: number
  /** Features of a head: width / heads unless given. */
  attentionDim?: number
}
/** Attention by `heads` heads between a projection of query, key and value and one of the outcome. */
export declare class MultiheadAttention extends Base {
  constructor(width: number, heads: number, options?: MultiheadAttentionOptions)
  in_proj_weight: Tensor
  in_proj_bias: Tensor
  out_proj: Linear
  /** [..., L, width] with [..., S, width] to [..., L, width]. */
  forward(query: Tensor, key: Tensor, value: Tensor, mask?: AttentionMask): Tensor
  /** Of a sequence to itself. */
  forward(x: Tensor, mask?: AttentionMask): Tensor
}
export interface MultiheadAttention {
  (query: Tensor, key: Tensor, value: Tensor, mask?: AttentionMask): Tensor
  (x: Tensor, mask?: AttentionMask): Tensor
}
/** The original's attention: a mask that is a tensor [queries, keys] is non-zero for what a query must not see. */
export declare class TransformerDotProductAttention extends Base {
  constructor(dim: number)
  forward(queries: Tensor, keys: Tensor, values: Tensor, mask?: Tensor | AttentionMask): Tensor
}
export interface TransformerDotProductAttention {
  (queries: Tensor, keys: Tensor, values: Tensor, mask?: Tensor | AttentionMask): Tensor
}
/** The original's multi-head attention, with `attentionDim` features a head; its mask as in TransformerDotProductAttention. */
export declare class TransformerMultiheadAttention extends Base {
  constructor(dim: number, heads: number, attentionDim?: number)
  forward(queries: Tensor, keys: Tensor, values: Tensor, mask?: Tensor | AttentionMask): Tensor
}
export interface TransformerMultiheadAttention {
  (queries: Tensor, keys: Tensor, values: Tensor, mask?: Tensor | AttentionMask): Tensor
}

/**
 * sin(t / 10000^(2 i / dim)) and cos of the same, one after the other. Called with a length it gives the encoding
 * [length, dim]; called with [..., time, dim] it adds it. Has no weights and isn't saved.
 */
export declare class TransformerPositionalEncoding extends Base {
  static readonly DEFAULT_SEQUENCE_LENGTH: number
  static readonly ENCODING_BASE: number
  /** `sequenceLength` steps are computed at first; longer sequences extend them. */
  constructor(dim: number, options?: number | { dropout?: number; sequenceLength?: number })
  /** The encoding of the steps from `start` to before `end`: [end - start, dim]. */
  calculate(start: number, end: number): Tensor
  forward(x: number | Tensor): Tensor
}
export interface TransformerPositionalEncoding {
  (x: number | Tensor): Tensor
}
export interface TransformerOptions {
  /** The width between the two linear layers: 2048 unless given. */
  feedforward?: number
  /** In train mode: of attention's weights, inside the linear layers, of each addition. 0.1 unless given. */
  dropout?: number
  /** Between the linear layers; relu unless given. */
  activation?: (x: Tensor) => Tensor
  /** Normalises what goes into each part, not what comes out. */
  normFirst?: boolean
  /** Of an encoder or decoder after its last layer; as normFirst unless given. */
  finalNorm?: boolean
  epsilon?: number
  dtype?: DType
  /** Features of a head: dim / heads unless given. */
  attentionDim?: number
  /** Adds the positional encoding before the first layer. */
  positional?: boolean
}
/**
 * Attention of [..., time, dim] to itself, then two linear layers. In the original's form, with numbers or nothing after
 * `heads`, attentionDim and feedForwardDim are `dim` unless given, and there is no dropout.
 */
export declare class TransformerEncoderLayer extends Base {
  constructor(dim: number, heads: number, options: TransformerOptions)
  constructor(dim: number, heads: number, attentionDim?: number, feedForwardDim?: number)
  forward(x: Tensor, mask?: AttentionMask): Tensor
}
export interface TransformerEncoderLayer {
  (x: Tensor, mask?: AttentionMask): Tensor
}
/** `depth` encoder layers; in the original's form the positional encoding is added first. */
export declare class TransformerEncoder extends Base {
  constructor(dim: number, heads: number, depth: number, options: TransformerOptions)
  constructor(dim: number, heads: number, depth: number, attentionDim?: number, feedForwardDim?: number, initSequenceLength?: number)
  layers: TransformerEncoderLayer[]
  forward(x: Tensor, mask?: AttentionMask): Tensor
}
export interface TransformerEncoder {
  (x: Tensor, mask?: AttentionMask): Tensor
}
/** An encoder layer with attention to `memory`, an encoder's output, in between. */
export declare class TransformerDecoderLayer extends Base {
  constructor(dim: number, heads: number, options: TransformerOptions)
  constructor(dim: number, heads: number, attentionDim?: number, feedForwardDim?: number)
  /** The original's mask [length, length]: true for what a step must not see. */
  static getSelfAttentionMask(length: number): Tensor
  /** `mask` is for x, causal unless given (`{}` for none); `memoryMask` for what x sees of memory. */
  forward(x: Tensor, memory: Tensor, mask?: AttentionMask, memoryMask?: AttentionMask): Tensor
}
export interface TransformerDecoderLayer {
  (x: Tensor, memory: Tensor, mask?: AttentionMask, memoryMask?: AttentionMask): Tensor
}
/** `depth` decoder layers; in the original's form the positional encoding is added first. */
export declare class TransformerDecoder extends Base {
  constructor(dim: number, heads: number, depth: number, options: TransformerOptions)
  constructor(dim: number, heads: number, depth: number, attentionDim?: number, feedForwardDim?: number, initSequenceLength?: number)
  layers: TransformerDecoderLayer[]
  forward(x: Tensor, memory: Tensor, mask?: AttentionMask, memoryMask?: AttentionMask): Tensor
}
export interface TransformerDecoder {
  (x: Tensor, memory: Tensor, mask?: AttentionMask, memoryMask?: AttentionMask): Tensor
}
