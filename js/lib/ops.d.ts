// Generated from the op table by tools/generate.cpp; change the row instead.

import type { DType, Sizes, Tensor, TensorLike } from '../index.js'

/**
 * All zeros. Defaults: dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function zeros(shape: Sizes, dtype?: DType): Tensor

/**
 * All ones. Defaults: dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function ones(shape: Sizes, dtype?: DType): Tensor

/**
 * Every element is `value`. Defaults: dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function full(shape: Sizes, value: number, dtype?: DType): Tensor

/**
 * start, start + step, ... before `stop`; rank 1. Defaults: step = 1.0, dtype = 'float32'. Not
 * differentiable: has no tensor inputs.
 */
export declare function arange(start: number, stop: number, step?: number, dtype?: DType): Tensor

/**
 * `steps` values evenly spaced from `start` to `stop`, both included; rank 1. Defaults: dtype = 'float32'.
 * Not differentiable: has no tensor inputs.
 */
export declare function linspace(start: number, stop: number, steps: number, dtype?: DType): Tensor

/**
 * The n by n matrix with ones on its diagonal. Defaults: dtype = 'float32'. Not differentiable: has no tensor
 * inputs.
 */
export declare function identity(n: number, dtype?: DType): Tensor

/**
 * The n by n matrix with ones on its diagonal. Defaults: dtype = 'float32'. Not differentiable: has no tensor
 * inputs.
 */
export declare function ident(n: number, dtype?: DType): Tensor

/**
 * The n by n matrix with ones on its diagonal. Defaults: dtype = 'float32'. Not differentiable: has no tensor
 * inputs.
 */
export declare function eye(n: number, dtype?: DType): Tensor

/**
 * 0, 1, 2, ... in row order in `shape`, repeated `tiles[i]` times along each axis as `tile` does. Defaults:
 * tiles = [], dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function iota(shape: Sizes, tiles?: Sizes, dtype?: DType): Tensor

/**
 * Uniform in [0, 1) with 24 random bits (11 in float16, 8 in bfloat16), from the stream that manual_seed
 * starts. Defaults: dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function rand(shape: Sizes, dtype?: DType): Tensor

/**
 * Normal with mean 0 and variance 1, from the stream that manual_seed starts. Defaults: dtype = 'float32'.
 * Not differentiable: has no tensor inputs.
 */
export declare function randn(shape: Sizes, dtype?: DType): Tensor

/**
 * Uniform from `low` to `high`, from the stream that manual_seed starts. Defaults: low = 0.0, high = 1.0,
 * dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function uniform(shape: Sizes, low?: number, high?: number, dtype?: DType): Tensor

/**
 * Normal with the given mean and standard deviation, from the stream that manual_seed starts. Defaults: mean
 * = 0.0, std = 1.0, dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function normal(shape: Sizes, mean?: number, std?: number, dtype?: DType): Tensor

/**
 * 1 with probability `p`, else 0, from the stream that manual_seed starts. Defaults: p = 0.5, dtype =
 * 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function bernoulli(shape: Sizes, p?: number, dtype?: DType): Tensor

/**
 * Whole numbers from `low` up to but not including `high`, all as likely, from the stream that manual_seed
 * starts. Defaults: dtype = 'int64'. Not differentiable: has no tensor inputs.
 */
export declare function randint(low: number, high: number, shape: Sizes, dtype?: DType): Tensor

/**
 * The numbers 0 to n - 1 in random order, from the stream that manual_seed starts. Defaults: dtype = 'int64'.
 * Not differentiable: has no tensor inputs.
 */
export declare function randperm(n: number, dtype?: DType): Tensor

/**
 * Weights uniform within gain * sqrt(6 / (fan_in + fan_out)); fans of 0 are counted for a shape [out, in,
 * ...] (Glorot and Bengio, 2010). Defaults: fanIn = 0.0, fanOut = 0.0, gain = 1.0, dtype = 'float32'. Not
 * differentiable: has no tensor inputs.
 */
export declare function xavierUniform(shape: Sizes, fanIn?: number, fanOut?: number, gain?: number, dtype?: DType): Tensor

/**
 * Weights uniform within gain * sqrt(6 / (fan_in + fan_out)); fans of 0 are counted for a shape [out, in,
 * ...] (Glorot and Bengio, 2010). Defaults: fanIn = 0.0, fanOut = 0.0, gain = 1.0, dtype = 'float32'. Not
 * differentiable: has no tensor inputs.
 */
export declare function xavier_uniform(shape: Sizes, fanIn?: number, fanOut?: number, gain?: number, dtype?: DType): Tensor

/**
 * Weights with mean 0 and standard deviation gain * sqrt(2 / (fan_in + fan_out)); fans of 0 are counted for a
 * shape [out, in, ...] (Glorot and Bengio, 2010). Defaults: fanIn = 0.0, fanOut = 0.0, gain = 1.0, dtype =
 * 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function xavierNormal(shape: Sizes, fanIn?: number, fanOut?: number, gain?: number, dtype?: DType): Tensor

/**
 * Weights with mean 0 and standard deviation gain * sqrt(2 / (fan_in + fan_out)); fans of 0 are counted for a
 * shape [out, in, ...] (Glorot and Bengio, 2010). Defaults: fanIn = 0.0, fanOut = 0.0, gain = 1.0, dtype =
 * 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function xavier_normal(shape: Sizes, fanIn?: number, fanOut?: number, gain?: number, dtype?: DType): Tensor

/**
 * Weights uniform within sqrt(6 / ((1 + slope * slope) * fan_in)), for layers followed by a leaky ReLU of
 * that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015). Defaults: fanIn = 0.0,
 * slope = 0.0, dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function kaimingUniform(shape: Sizes, fanIn?: number, slope?: number, dtype?: DType): Tensor

/**
 * Weights uniform within sqrt(6 / ((1 + slope * slope) * fan_in)), for layers followed by a leaky ReLU of
 * that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015). Defaults: fanIn = 0.0,
 * slope = 0.0, dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function kaiming_uniform(shape: Sizes, fanIn?: number, slope?: number, dtype?: DType): Tensor

/**
 * Weights with mean 0 and variance 2 / ((1 + slope * slope) * fan_in), for layers followed by a leaky ReLU of
 * that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015). Defaults: fanIn = 0.0,
 * slope = 0.0, dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function kaimingNormal(shape: Sizes, fanIn?: number, slope?: number, dtype?: DType): Tensor

/**
 * Weights with mean 0 and variance 2 / ((1 + slope * slope) * fan_in), for layers followed by a leaky ReLU of
 * that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015). Defaults: fanIn = 0.0,
 * slope = 0.0, dtype = 'float32'. Not differentiable: has no tensor inputs.
 */
export declare function kaiming_normal(shape: Sizes, fanIn?: number, slope?: number, dtype?: DType): Tensor

/**
 * -x. Differentiable.
 */
export declare function negative(tensor: TensorLike): Tensor

/**
 * -x. Differentiable.
 */
export declare function negate(tensor: TensorLike): Tensor

/**
 * -x. Differentiable.
 */
export declare function neg(tensor: TensorLike): Tensor

/**
 * |x|. The gradient at 0 is 0. Differentiable.
 */
export declare function absolute(tensor: TensorLike): Tensor

/**
 * |x|. The gradient at 0 is 0. Differentiable.
 */
export declare function abs(tensor: TensorLike): Tensor

/**
 * -1, 0 or 1; NaN for NaN. Differentiable.
 */
export declare function sign(tensor: TensorLike): Tensor

/**
 * e to the power x. Integers give float32. Differentiable.
 */
export declare function exp(tensor: TensorLike): Tensor

/**
 * The natural logarithm. Integers give float32. Differentiable.
 */
export declare function log(tensor: TensorLike): Tensor

/**
 * log(1 + x), exact for small x. Integers give float32. Differentiable.
 */
export declare function log1p(tensor: TensorLike): Tensor

/**
 * The square root; NaN below 0. Integers give float32. Differentiable.
 */
export declare function sqrt(tensor: TensorLike): Tensor

/**
 * x times x. Differentiable.
 */
export declare function square(tensor: TensorLike): Tensor

/**
 * 1 / x. Integers give float32. Differentiable.
 */
export declare function reciprocal(tensor: TensorLike): Tensor

/**
 * The sine of x in radians. Integers give float32. Differentiable.
 */
export declare function sin(tensor: TensorLike): Tensor

/**
 * The cosine of x in radians. Integers give float32. Differentiable.
 */
export declare function cos(tensor: TensorLike): Tensor

/**
 * The hyperbolic tangent. Integers give float32. Differentiable.
 */
export declare function tanh(tensor: TensorLike): Tensor

/**
 * 1 / (1 + exp(-x)), without overflow on either side. Integers give float32. Differentiable.
 */
export declare function sigmoid(tensor: TensorLike): Tensor

/**
 * The error function. Integers give float32. Differentiable.
 */
export declare function erf(tensor: TensorLike): Tensor

/**
 * exp(x) - 1, exact for small x. Integers give float32. Differentiable.
 */
export declare function expm1(tensor: TensorLike): Tensor

/**
 * 1 / sqrt(x). Integers give float32. Differentiable.
 */
export declare function rsqrt(tensor: TensorLike): Tensor

/**
 * The logarithm to base 2. Integers give float32. Differentiable.
 */
export declare function log2(tensor: TensorLike): Tensor

/**
 * The logarithm to base 10. Integers give float32. Differentiable.
 */
export declare function log10(tensor: TensorLike): Tensor

/**
 * The tangent of x in radians. Integers give float32. Differentiable.
 */
export declare function tan(tensor: TensorLike): Tensor

/**
 * The arc sine in radians; NaN outside -1 to 1. Integers give float32. Differentiable.
 */
export declare function asin(tensor: TensorLike): Tensor

/**
 * The arc cosine in radians; NaN outside -1 to 1. Integers give float32. Differentiable.
 */
export declare function acos(tensor: TensorLike): Tensor

/**
 * The arc tangent in radians. Integers give float32. Differentiable.
 */
export declare function atan(tensor: TensorLike): Tensor

/**
 * The hyperbolic sine. Integers give float32. Differentiable.
 */
export declare function sinh(tensor: TensorLike): Tensor

/**
 * The hyperbolic cosine. Integers give float32. Differentiable.
 */
export declare function cosh(tensor: TensorLike): Tensor

/**
 * log(1 + exp(x)), without overflow. Integers give float32. Differentiable.
 */
export declare function softplus(tensor: TensorLike): Tensor

/**
 * max(x, 0). The gradient at 0 is 0. Differentiable.
 */
export declare function relu(tensor: TensorLike): Tensor

/**
 * The largest whole number not above x. Differentiable.
 */
export declare function floor(tensor: TensorLike): Tensor

/**
 * The smallest whole number not below x. Differentiable.
 */
export declare function ceil(tensor: TensorLike): Tensor

/**
 * The nearest whole number, halves to even. Differentiable.
 */
export declare function rint(tensor: TensorLike): Tensor

/**
 * The nearest whole number, halves to even. Differentiable.
 */
export declare function round(tensor: TensorLike): Tensor

/**
 * The nearest whole number towards zero. Differentiable.
 */
export declare function trunc(tensor: TensorLike): Tensor

/**
 * x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0 outside.
 * Integers give float32. Differentiable.
 */
export declare function clip(tensor: TensorLike, low: number, high: number): Tensor

/**
 * x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0 outside.
 * Integers give float32. Differentiable.
 */
export declare function clamp(tensor: TensorLike, low: number, high: number): Tensor

/**
 * Whether each element is NaN; boolean. Not differentiable: constant almost everywhere.
 */
export declare function isnan(tensor: TensorLike): Tensor

/**
 * Whether each element is infinite; boolean. Not differentiable: constant almost everywhere.
 */
export declare function isinf(tensor: TensorLike): Tensor

/**
 * Whether each element is finite; boolean. Not differentiable: constant almost everywhere.
 */
export declare function isfinite(tensor: TensorLike): Tensor

/**
 * Whether each element is zero; boolean. Not differentiable: constant almost everywhere.
 */
export declare function logicalNot(tensor: TensorLike): Tensor

/**
 * Every bit inverted; `not` for booleans. Not differentiable: integers have no gradient.
 */
export declare function bitwiseNot(tensor: TensorLike): Tensor

/**
 * x held between 0 and 6. The gradient is 0 at both. Integers give float32. Differentiable.
 */
export declare function relu6(tensor: TensorLike): Tensor

/**
 * x held between `low` and `high`. The gradient is 0 at both, unlike that of `clip`. Integers give float32.
 * Defaults: low = -1.0, high = 1.0. Differentiable.
 */
export declare function hardTanh(tensor: TensorLike, low?: number, high?: number): Tensor

/**
 * x / 6 + 0.5 held between 0 and 1. The gradient is 0 at both. Integers give float32. Differentiable.
 */
export declare function hardSigmoid(tensor: TensorLike): Tensor

/**
 * x where it isn't below `threshold`, else 0. Integers give float32. Defaults: threshold = 1.0.
 * Differentiable.
 */
export declare function thresholdRelu(tensor: TensorLike, threshold?: number): Tensor

/**
 * x above 0, `slope` times x elsewhere (Maas and others, 2013). The gradient at 0 is `slope`. Integers give
 * float32. Defaults: slope = 0.01. Differentiable.
 */
export declare function leakyRelu(tensor: TensorLike, slope?: number): Tensor

/**
 * x above 0, `alpha` times (exp(x) - 1) elsewhere (Clevert and others, 2015). Integers give float32.
 * Defaults: alpha = 1.0. Differentiable.
 */
export declare function elu(tensor: TensorLike, alpha?: number): Tensor

/**
 * x times the normal distribution's share below x; with `approximate` tanh in the faster form of the paper
 * (Hendrycks and Gimpel, 2016). Integers give float32. Defaults: approximate = "none". Differentiable.
 */
export declare function gelu(tensor: TensorLike, approximate?: string): Tensor

/**
 * x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32. Defaults: beta = 1.0.
 * Differentiable.
 */
export declare function silu(tensor: TensorLike, beta?: number): Tensor

/**
 * x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32. Defaults: beta = 1.0.
 * Differentiable.
 */
export declare function swish(tensor: TensorLike, beta?: number): Tensor

/**
 * x / (1 + |x|). Integers give float32. Differentiable.
 */
export declare function softsign(tensor: TensorLike): Tensor

/**
 * log(sigmoid(x)), exact where sigmoid would underflow. Integers give float32. Differentiable.
 */
export declare function logSigmoid(tensor: TensorLike): Tensor

/**
 * a + b, broadcast. Differentiable.
 */
export declare function add(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a - b, broadcast. Differentiable.
 */
export declare function sub(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a * b, element by element, broadcast. Differentiable.
 */
export declare function mul(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a / b, broadcast. Integers are divided as float32; a division by zero gives an infinity or NaN.
 * Differentiable.
 */
export declare function div(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The remainder of a / b with the sign of b, as Python's %. Integers can't be divided by zero.
 * Differentiable.
 */
export declare function mod(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a / b rounded down, as Python's //. Integers can't be divided by zero. Differentiable.
 */
export declare function floorDivide(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The angle in radians of the point (b, a), from -pi to pi. Integers give float32. Differentiable.
 */
export declare function atan2(tensor: TensorLike, other: TensorLike): Tensor

/**
 * log(exp(a) + exp(b)), broadcast, without overflow. Integers give float32. Differentiable.
 */
export declare function logaddexp(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a to the power b, broadcast. For integers the result is an integer and wraps around. Differentiable.
 */
export declare function power(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a to the power b, broadcast. For integers the result is an integer and wraps around. Differentiable.
 */
export declare function pow(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The larger of a and b; NaN if either is. At a tie each gets half of the gradient. Differentiable.
 */
export declare function maximum(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The smaller of a and b; NaN if either is. At a tie each gets half of the gradient. Differentiable.
 */
export declare function minimum(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a where the condition isn't zero, else b; all three broadcast. Differentiable.
 */
export declare function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor

/**
 * a & b on integers and booleans. Not differentiable: integers have no gradient.
 */
export declare function bitwiseAnd(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a | b on integers and booleans. Not differentiable: integers have no gradient.
 */
export declare function bitwiseOr(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a ^ b on integers and booleans. Not differentiable: integers have no gradient.
 */
export declare function bitwiseXor(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a << b on integers; 0 once b reaches the width. Not differentiable: integers have no gradient.
 */
export declare function lShift(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a >> b on integers, keeping the sign. Not differentiable: integers have no gradient.
 */
export declare function rShift(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a == b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function eq(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a != b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function neq(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a < b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function lt(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a < b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function lessThan(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a <= b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function lte(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a <= b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function lessThanEqual(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a > b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function gt(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a > b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function greaterThan(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a >= b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function gte(tensor: TensorLike, other: TensorLike): Tensor

/**
 * a >= b; boolean. Not differentiable: constant almost everywhere.
 */
export declare function greaterThanEqual(tensor: TensorLike, other: TensorLike): Tensor

/**
 * Whether both aren't zero; boolean. Not differentiable: constant almost everywhere.
 */
export declare function logicalAnd(tensor: TensorLike, other: TensorLike): Tensor

/**
 * Whether either isn't zero; boolean. Not differentiable: constant almost everywhere.
 */
export declare function logicalOr(tensor: TensorLike, other: TensorLike): Tensor

/**
 * Whether exactly one isn't zero; boolean. Not differentiable: constant almost everywhere.
 */
export declare function logicalXor(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The sum over `axes`, all of them when empty. Integers and booleans give int64. Defaults: axes = [],
 * keepDims = false. Differentiable.
 */
export declare function sum(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The mean over `axes`, all of them when empty. Integers give float32; no elements give NaN. Defaults: axes =
 * [], keepDims = false. Differentiable.
 */
export declare function mean(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
 * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function amax(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
 * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function max(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
 * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function amin(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
 * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function min(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The position of the first largest element along `axis`, or in row order without one; int64. Defaults: axis
 * = [], keepDims = false. Not differentiable: positions have no gradient.
 */
export declare function argmax(tensor: TensorLike, axis?: Sizes, keepDims?: boolean): Tensor

/**
 * The position of the first smallest element along `axis`, or in row order without one; int64. Defaults: axis
 * = [], keepDims = false. Not differentiable: positions have no gradient.
 */
export declare function argmin(tensor: TensorLike, axis?: Sizes, keepDims?: boolean): Tensor

/**
 * Whether no element over `axes` is zero; boolean. Defaults: axes = [], keepDims = false. Not differentiable:
 * booleans have no gradient.
 */
export declare function all(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * Whether some element over `axes` isn't zero; boolean. Defaults: axes = [], keepDims = false. Not
 * differentiable: booleans have no gradient.
 */
export declare function any(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as PyTorch's
 * default; 0 for the population). Integers give float32. Defaults: axes = [], keepDims = false, correction =
 * 1.0. Differentiable.
 */
export declare function variance(tensor: TensorLike, axes?: Sizes, keepDims?: boolean, correction?: number): Tensor

/**
 * The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as PyTorch's
 * default; 0 for the population). Integers give float32. Defaults: axes = [], keepDims = false, correction =
 * 1.0. Differentiable.
 */
declare function _var(tensor: TensorLike, axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
export { _var as var }

/**
 * The square root of the variance; see `variance`. Integers give float32. The gradient at 0 is 0. Defaults:
 * axes = [], keepDims = false, correction = 1.0. Differentiable.
 */
export declare function std(tensor: TensorLike, axes?: Sizes, keepDims?: boolean, correction?: number): Tensor

/**
 * log(sum(exp(x))) over `axes`, all of them when empty, without overflow. Integers give float32. Defaults:
 * axes = [], keepDims = false. Differentiable.
 */
export declare function logsumexp(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * Sums over the axes along which `shape` was broadcast: what undoes broadcasting in a gradient. Integers give
 * int64. Differentiable.
 */
export declare function sumTo(tensor: TensorLike, shape: Sizes): Tensor

/**
 * exp(x) divided by its sum along `axis`, without overflow. Integers give float32. Defaults: axis = -1.
 * Differentiable.
 */
export declare function softmax(tensor: TensorLike, axis?: number): Tensor

/**
 * log(softmax(x)) along `axis`, exact where softmax would underflow. Integers give float32. Defaults: axis =
 * -1. Differentiable.
 */
export declare function logSoftmax(tensor: TensorLike, axis?: number): Tensor

/**
 * The same elements in row order in another shape; one size may be -1. A view when the tensor is contiguous.
 * Differentiable.
 */
export declare function reshape(tensor: TensorLike, shape: Sizes): Tensor

/**
 * Axis i of the result is axis axes[i] of the input; reversed when `axes` is empty. A view. Defaults: axes =
 * []. Differentiable.
 */
export declare function transpose(tensor: TensorLike, axes?: Sizes): Tensor

/**
 * Broadcast to `shape`, where -1 keeps a size. A view: the elements aren't repeated in memory.
 * Differentiable.
 */
export declare function expand(tensor: TensorLike, shape: Sizes): Tensor

/**
 * Without the given axes of size 1, or without all of them. A view. Defaults: axes = []. Differentiable.
 */
export declare function squeeze(tensor: TensorLike, axes?: Sizes): Tensor

/**
 * With a new axis of size 1 at `axis`. A view. Differentiable.
 */
export declare function unsqueeze(tensor: TensorLike, axis: number): Tensor

/**
 * Elements start, start + step, ... before `stop` along `axis`, with NumPy's rules for negative and
 * out-of-range bounds. A view. Defaults: step = 1. Differentiable.
 */
export declare function slice(tensor: TensorLike, axis: number, start: number, stop: number, step?: number): Tensor

/**
 * Zeros of `shape` with the input where `slice` of the same arguments would look: slice's gradient. Defaults:
 * step = 1. Differentiable.
 */
export declare function unslice(tensor: TensorLike, shape: Sizes, axis: number, start: number, stop: number, step?: number): Tensor

/**
 * The tensors one after another along `axis`; the other sizes must be equal. Defaults: axis = 0.
 * Differentiable.
 */
export declare function concatenate(tensors: TensorLike[], axis?: number): Tensor

/**
 * The tensors one after another along `axis`; the other sizes must be equal. Defaults: axis = 0.
 * Differentiable.
 */
export declare function concat(tensors: TensorLike[], axis?: number): Tensor

/**
 * Tensors of one shape along a new axis at `axis`. Defaults: axis = 0. Differentiable.
 */
export declare function stack(tensors: TensorLike[], axis?: number): Tensor

/**
 * `before[i]` and `after[i]` elements of `value` around the tensor along each axis i. Defaults: value = 0.0.
 * Differentiable.
 */
export declare function padConstant(tensor: TensorLike, before: Sizes, after: Sizes, value?: number): Tensor

/**
 * The same values laid out row by row without gaps; shares the storage when they already are. Differentiable.
 */
export declare function contiguous(tensor: TensorLike): Tensor

/**
 * Converted to `dtype`: floats to integers towards zero, NaN to 0; anything but zero to true. Differentiable.
 */
export declare function astype(tensor: TensorLike, dtype: DType): Tensor

/**
 * The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them broadcast; a
 * 1-d tensor is a row on the left and a column on the right, and that axis is left out of the result.
 * Differentiable.
 */
export declare function matmul(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them broadcast; a
 * 1-d tensor is a row on the left and a column on the right, and that axis is left out of the result.
 * Differentiable.
 */
export declare function mm(tensor: TensorLike, other: TensorLike): Tensor

/**
 * The p-norm over `axes`, all of them when empty, without overflow: the sum of |x| to the power p, to the
 * power 1/p. For infinity the largest |x|, for -infinity the smallest, for 0 the number of elements that
 * aren't 0. Integers give float32. The gradient at 0 is 0. Defaults: p = 2.0, axes = [], keepDims = false.
 * Differentiable.
 */
export declare function norm(tensor: TensorLike, p?: number, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * x divided by its p-norm along `axis`, or by `epsilon` where the norm is smaller. Integers give float32.
 * Defaults: p = 2.0, axis = 1, epsilon = 1e-12. Differentiable.
 */
export declare function normalize(tensor: TensorLike, p?: number, axis?: number, epsilon?: number): Tensor

/**
 * Einstein's sum as NumPy writes it, "ij,jk->ik": products over the letters, summed over those that the
 * result leaves out. A letter twice in one operand is its diagonal, `...` stands for any axes, sizes of 1
 * broadcast; without an arrow the result has the letters that occur once, in alphabetical order. Done by
 * matrix products of two operands at a time, those that leave the least first. Differentiable.
 */
export declare function einsum(equation: string, ...tensors: TensorLike[] | [readonly TensorLike[]]): Tensor

/**
 * The cross-correlation of [N, C, H, W] with a filter [O, C / groups, kH, kW], plus a bias [O] if there is
 * one; `padding` zeros are on both sides. One number in `stride`, `padding` or `dilation` stands for both
 * axes. Defaults: stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
 */
export declare function conv2d(tensor: TensorLike, filter: TensorLike, bias?: TensorLike, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor

/**
 * The gradient of conv2d's input, of the given shape, from that of its output. Defaults: stride = [1, 1],
 * padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
 */
export declare function conv2dInputGradient(gradient: TensorLike, filter: TensorLike, shape: Sizes, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor

/**
 * The gradient of conv2d's filter, of the given shape, from that of its output and its input. Defaults:
 * stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
 */
export declare function conv2dFilterGradient(gradient: TensorLike, tensor: TensorLike, shape: Sizes, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor

/**
 * The mean of each window of [N, C, H, W]. `stride` is the kernel's when empty; padding counts as zeros, and
 * is at most half of the kernel. One number stands for both axes. Defaults: stride = [], padding = [0, 0].
 * Differentiable.
 */
export declare function avgPool2d(tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor

/**
 * The gradient of avg_pool2d's input, of the given shape, from that of its output. Defaults: stride = [],
 * padding = [0, 0]. Differentiable.
 */
export declare function avgPool2dGradient(gradient: TensorLike, shape: Sizes, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor

/**
 * The maximum of each window of [N, C, H, W], NaN if it holds one. `stride` is the kernel's when empty;
 * padding never wins, and is at most half of the kernel. The first maximum of a window gets its gradient.
 * Defaults: stride = [], padding = [0, 0]. Differentiable.
 */
export declare function maxPool2d(tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor

/**
 * The gradient of max_pool2d's input from that of its output. Defaults: stride = [], padding = [0, 0].
 * Differentiable.
 */
export declare function maxPool2dGradient(gradient: TensorLike, tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor

/**
 * The elements of `values` that stand where max_pool2d's windows have their first maximum. Defaults: stride =
 * [], padding = [0, 0]. Differentiable.
 */
export declare function maxPool2dGather(values: TensorLike, tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor

/**
 * The cross-correlation of [N, C, L] with a filter [O, C / groups, k], plus a bias [O] if there is one;
 * `padding` zeros are on both sides. Defaults: stride = 1, padding = 0, dilation = 1, groups = 1.
 * Differentiable.
 */
export declare function conv1d(tensor: TensorLike, filter: TensorLike, bias?: TensorLike, stride?: number, padding?: number, dilation?: number, groups?: number): Tensor

/**
 * The mean of each window of [N, C, L]. Stride 0 stands for the kernel's; padding counts as zeros, and is at
 * most half of the kernel. Defaults: stride = 0, padding = 0. Differentiable.
 */
export declare function avgPool1d(tensor: TensorLike, kernel: number, stride?: number, padding?: number): Tensor

/**
 * The maximum of each window of [N, C, L], NaN if it holds one. Stride 0 stands for the kernel's; padding
 * never wins, and is at most half of the kernel. Defaults: stride = 0, padding = 0. Differentiable.
 */
export declare function maxPool1d(tensor: TensorLike, kernel: number, stride?: number, padding?: number): Tensor

/**
 * Integer labels of any shape as rows of `classes` zeros with a one at the label; float32 along a new last
 * axis. Not differentiable: labels have no gradient.
 */
export declare function oneHot(labels: TensorLike, classes: number): Tensor

/**
 * The elements at `indices` along `axis`, which the axes of `indices` replace. Negative indices count from
 * the end. Where an index comes up repeatedly, its gradients add up, in a fixed order. Defaults: axis = 0.
 * Differentiable.
 */
export declare function take(tensor: TensorLike, indices: TensorLike, axis?: number): Tensor

/**
 * Zeros of `shape` with each element of `gradient` added where take of the same arguments would look: take's
 * gradient. 16-bit floats are summed in float32. Defaults: axis = 0. Differentiable.
 */
export declare function takeGradient(gradient: TensorLike, indices: TensorLike, shape: Sizes, axis?: number): Tensor

/**
 * Row `indices[...]` of a weight [rows, size] for each index, along a new last axis; indices are 0 or more.
 * Differentiable.
 */
export declare function embedding(weight: TensorLike, indices: TensorLike): Tensor

/**
 * Elements starts[i] + k * steps[i], k < counts[i], along each axis i. A view. Differentiable.
 */
export declare function window(tensor: TensorLike, starts: Sizes, counts: Sizes, steps: Sizes): Tensor

/**
 * The tensor with `value`, which broadcasts to `counts`, where window of the same arguments would look; of
 * the tensor's dtype. Differentiable.
 */
export declare function assignWindow(tensor: TensorLike, value: TensorLike, starts: Sizes, counts: Sizes, steps: Sizes): Tensor

/**
 * The element at indices[..., k, ...] along `axis` for each index, in place on the other axes, where the
 * indices may be shorter than the tensor. Negative indices count from the end. Defaults: axis = 0.
 * Differentiable.
 */
export declare function gather(tensor: TensorLike, indices: TensorLike, axis?: number): Tensor

/**
 * The tensor with values[..., k, ...] at indices[..., k, ...] along `axis`, in place on the other axes.
 * `values` broadcasts to the indices' shape, or is longer, and then its first part counts. Where an index
 * comes up repeatedly the last value stays, and only that one gets a gradient. Defaults: axis = 0.
 * Differentiable.
 */
export declare function scatter(tensor: TensorLike, indices: TensorLike, values: TensorLike, axis?: number): Tensor

/**
 * The tensor with values[..., k, ...] added at indices[..., k, ...] along `axis`, in order; otherwise like
 * scatter. 16-bit floats are summed in float32. Defaults: axis = 0. Differentiable.
 */
export declare function scatterAdd(tensor: TensorLike, indices: TensorLike, values: TensorLike, axis?: number): Tensor

/**
 * The elements where `mask` isn't zero, in row order; rank 1. Tensor and mask broadcast. Differentiable.
 */
export declare function maskedSelect(tensor: TensorLike, mask: TensorLike): Tensor

/**
 * The tensor with `value`, which broadcasts, where `mask` isn't zero; of the tensor's dtype. Differentiable.
 */
export declare function maskedFill(tensor: TensorLike, mask: TensorLike, value: TensorLike): Tensor

/**
 * The positions of the elements that aren't zero, in row order, as [count, ndim]; int64. Not differentiable:
 * positions don't vary with the elements.
 */
export declare function nonzero(tensor: TensorLike): Tensor

/**
 * The elements in order along `axis`. NaN counts as the largest; argsort gives the positions. Defaults: axis
 * = -1, descending = false. Differentiable.
 */
export declare function sort(tensor: TensorLike, axis?: number, descending?: boolean): Tensor

/**
 * The positions along `axis` of the elements in order; int64. Equal ones stay in the order that they are in,
 * and NaN counts as the largest. Defaults: axis = -1, descending = false. Not differentiable: positions don't
 * vary with the elements.
 */
export declare function argsort(tensor: TensorLike, axis?: number, descending?: boolean): Tensor

/**
 * The `k` largest (or smallest) elements along `axis`, in order, and their positions there. NaN counts as the
 * largest; of equal elements the first come first. Defaults: axis = -1, largest = true. Differentiable.
 */
export declare function topk(tensor: TensorLike, k: number, axis?: number, largest?: boolean): [Tensor, Tensor]

/**
 * The element in the middle over `axes`, all of them when empty: the lower one of two, NaN if there is one.
 * That element gets the gradient. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function median(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The sum of the elements up to each one along `axis`, or from each one on when `reverse`. Integers and
 * booleans give int64. Defaults: reverse = false. Differentiable.
 */
export declare function cumsum(tensor: TensorLike, axis: number, reverse?: boolean): Tensor

/**
 * The product over `axes`, all of them when empty. Integers and booleans give int64. Where there are zeros
 * the gradients are right, too. Defaults: axes = [], keepDims = false. Differentiable.
 */
export declare function prod(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * How many elements over `axes`, all of them when empty, aren't zero; int64. Defaults: axes = [], keepDims =
 * false. Not differentiable: a count doesn't vary with the elements.
 */
export declare function countNonzero(tensor: TensorLike, axes?: Sizes, keepDims?: boolean): Tensor

/**
 * The tensor repeated `repeats[i]` times along each axis. The shorter of its shape and `repeats` is extended
 * by ones at the front. Differentiable.
 */
export declare function tile(tensor: TensorLike, repeats: Sizes): Tensor

/**
 * The elements in reverse order along `axes`, all of them when empty. A view. Defaults: axes = [].
 * Differentiable.
 */
export declare function flip(tensor: TensorLike, axes?: Sizes): Tensor

/**
 * The elements moved on by `shifts[i]` along `axes[i]`, those at the end to the start. Without axes one shift
 * moves all elements in row order. Defaults: axes = []. Differentiable.
 */
export declare function roll(tensor: TensorLike, shifts: Sizes, axes?: Sizes): Tensor

/**
 * Parts along `axis`: of one size, the last maybe smaller, or of several sizes that add up to the axis's, as
 * PyTorch's split. Views. Defaults: axis = 0. Differentiable.
 */
export declare function split(tensor: TensorLike, sizes: Sizes, axis?: number): Tensor[]

/**
 * `before[i]` and `after[i]` more elements along each axis i, by `mode`: constant (`value`), edge (or
 * replicate: the nearest), reflect (mirrored without the edge), symmetric (with it), wrap (or circular).
 * Defaults: value = 0.0, mode = "constant". Differentiable.
 */
export declare function pad(tensor: TensorLike, before: Sizes, after: Sizes, value?: number, mode?: string): Tensor

/**
 * The last two axes' elements on and above the `diagonal`-th diagonal, zeros elsewhere. Defaults: diagonal =
 * 0. Differentiable.
 */
export declare function triu(tensor: TensorLike, diagonal?: number): Tensor

/**
 * The last two axes' elements on and below the `diagonal`-th diagonal, zeros elsewhere. Defaults: diagonal =
 * 0. Differentiable.
 */
export declare function tril(tensor: TensorLike, diagonal?: number): Tensor

/**
 * The elements of `axis1` and `axis2` whose positions differ by `offset`, as a new last axis. A view.
 * Defaults: offset = 0, axis1 = 0, axis2 = 1. Differentiable.
 */
export declare function diagonal(tensor: TensorLike, offset?: number, axis1?: number, axis2?: number): Tensor

/**
 * Zeros of `shape` with the tensor where diagonal of the same arguments would look: its gradient. Defaults:
 * offset = 0, axis1 = 0, axis2 = 1. Differentiable.
 */
export declare function undiagonal(tensor: TensorLike, shape: Sizes, offset?: number, axis1?: number, axis2?: number): Tensor

/**
 * Of a vector, the square matrix with it on the `offset`-th diagonal; of a matrix, that diagonal. Defaults:
 * offset = 0. Differentiable.
 */
export declare function diag(tensor: TensorLike, offset?: number): Tensor

/**
 * x W + b: [..., in] times a weight [in, out] (the transpose of PyTorch's), plus a bias [out] if there is
 * one. Differentiable.
 */
export declare function linear(tensor: TensorLike, weight: TensorLike, bias?: TensorLike): Tensor

/**
 * Zeros with probability `p`, chosen by the stream that manual_seed starts, and the rest divided by 1 - p;
 * the tensor as it is unless `training` (Srivastava and others, 2014). Defaults: p = 0.5, training = true.
 * Differentiable.
 */
export declare function dropout(tensor: TensorLike, p?: number, training?: boolean): Tensor

/**
 * (x - mean) / sqrt(variance + epsilon) over the last `axes` axes, times a weight and plus a bias of their
 * shape if there are any. The variance is the population's (Ba, Kiros and Hinton, 2016). Defaults: axes = 1,
 * epsilon = 1e-05. Differentiable.
 */
export declare function layerNorm(tensor: TensorLike, weight?: TensorLike, bias?: TensorLike, axes?: number, epsilon?: number): Tensor

/**
 * x / sqrt(mean(x * x) + epsilon) over the last `axes` axes, times a weight of their shape if there is one
 * (Zhang and Sennrich, 2019). PyTorch's default epsilon is that of the dtype. Defaults: axes = 1, epsilon =
 * 1e-05. Differentiable.
 */
export declare function rmsNorm(tensor: TensorLike, weight?: TensorLike, axes?: number, epsilon?: number): Tensor

/**
 * Splits the channels of [N, C, ...] into groups and makes each group of each item have mean 0 and variance 1
 * as `layer_norm` does; then times a weight and plus a bias [C] if there are any (Wu and He, 2018). Defaults:
 * epsilon = 1e-05. Differentiable.
 */
export declare function groupNorm(tensor: TensorLike, groups: number, weight?: TensorLike, bias?: TensorLike, epsilon?: number): Tensor

/**
 * (x - mean) / sqrt(variance + epsilon) for each channel of [N, C, ...] with the given statistics [C], times
 * a weight and plus a bias [C] if there are any (Ioffe and Szegedy, 2015). Gradients flow into the statistics
 * too, so training passes those of the batch. Defaults: epsilon = 1e-05. Differentiable.
 */
export declare function batchNorm(tensor: TensorLike, mean: TensorLike, variance: TensorLike, weight?: TensorLike, bias?: TensorLike, epsilon?: number): Tensor

/**
 * softmax(Q K^T * scale) V over [..., L, E], [..., S, E] and [..., S, Ev], giving [..., L, Ev]; the axes
 * before the last two broadcast. Scale 0 stands for 1 / sqrt(E). A mask broadcasts to [..., L, S]: a boolean
 * or integer one says with non-zero which keys take part, a floating-point one is added to the scores.
 * `causal` lets query i see the keys up to i. A query that sees no key gets zeros (Vaswani and others, 2017).
 * Defaults: causal = false, scale = 0.0. Differentiable.
 */
export declare function attention(query: TensorLike, key: TensorLike, value: TensorLike, mask?: TensorLike, causal?: boolean, scale?: number): Tensor

/**
 * softmax(Q K^T * scale), [..., L, S]: the weights that `attention` gives the values, by the same rules.
 * Defaults: causal = false, scale = 0.0. Differentiable.
 */
export declare function attentionWeights(query: TensorLike, key: TensorLike, mask?: TensorLike, causal?: boolean, scale?: number): Tensor

/** The operations as methods, with the tensor as first argument. */
export interface TensorOps {
  /**
   * -x. Differentiable.
   */
  negative(): Tensor
  /**
   * -x. Differentiable.
   */
  negate(): Tensor
  /**
   * -x. Differentiable.
   */
  neg(): Tensor
  /**
   * |x|. The gradient at 0 is 0. Differentiable.
   */
  absolute(): Tensor
  /**
   * |x|. The gradient at 0 is 0. Differentiable.
   */
  abs(): Tensor
  /**
   * -1, 0 or 1; NaN for NaN. Differentiable.
   */
  sign(): Tensor
  /**
   * e to the power x. Integers give float32. Differentiable.
   */
  exp(): Tensor
  /**
   * The natural logarithm. Integers give float32. Differentiable.
   */
  log(): Tensor
  /**
   * log(1 + x), exact for small x. Integers give float32. Differentiable.
   */
  log1p(): Tensor
  /**
   * The square root; NaN below 0. Integers give float32. Differentiable.
   */
  sqrt(): Tensor
  /**
   * x times x. Differentiable.
   */
  square(): Tensor
  /**
   * 1 / x. Integers give float32. Differentiable.
   */
  reciprocal(): Tensor
  /**
   * The sine of x in radians. Integers give float32. Differentiable.
   */
  sin(): Tensor
  /**
   * The cosine of x in radians. Integers give float32. Differentiable.
   */
  cos(): Tensor
  /**
   * The hyperbolic tangent. Integers give float32. Differentiable.
   */
  tanh(): Tensor
  /**
   * 1 / (1 + exp(-x)), without overflow on either side. Integers give float32. Differentiable.
   */
  sigmoid(): Tensor
  /**
   * The error function. Integers give float32. Differentiable.
   */
  erf(): Tensor
  /**
   * exp(x) - 1, exact for small x. Integers give float32. Differentiable.
   */
  expm1(): Tensor
  /**
   * 1 / sqrt(x). Integers give float32. Differentiable.
   */
  rsqrt(): Tensor
  /**
   * The logarithm to base 2. Integers give float32. Differentiable.
   */
  log2(): Tensor
  /**
   * The logarithm to base 10. Integers give float32. Differentiable.
   */
  log10(): Tensor
  /**
   * The tangent of x in radians. Integers give float32. Differentiable.
   */
  tan(): Tensor
  /**
   * The arc sine in radians; NaN outside -1 to 1. Integers give float32. Differentiable.
   */
  asin(): Tensor
  /**
   * The arc cosine in radians; NaN outside -1 to 1. Integers give float32. Differentiable.
   */
  acos(): Tensor
  /**
   * The arc tangent in radians. Integers give float32. Differentiable.
   */
  atan(): Tensor
  /**
   * The hyperbolic sine. Integers give float32. Differentiable.
   */
  sinh(): Tensor
  /**
   * The hyperbolic cosine. Integers give float32. Differentiable.
   */
  cosh(): Tensor
  /**
   * log(1 + exp(x)), without overflow. Integers give float32. Differentiable.
   */
  softplus(): Tensor
  /**
   * max(x, 0). The gradient at 0 is 0. Differentiable.
   */
  relu(): Tensor
  /**
   * The largest whole number not above x. Differentiable.
   */
  floor(): Tensor
  /**
   * The smallest whole number not below x. Differentiable.
   */
  ceil(): Tensor
  /**
   * The nearest whole number, halves to even. Differentiable.
   */
  rint(): Tensor
  /**
   * The nearest whole number, halves to even. Differentiable.
   */
  round(): Tensor
  /**
   * The nearest whole number towards zero. Differentiable.
   */
  trunc(): Tensor
  /**
   * x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0 outside.
   * Integers give float32. Differentiable.
   */
  clip(low: number, high: number): Tensor
  /**
   * x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0 outside.
   * Integers give float32. Differentiable.
   */
  clamp(low: number, high: number): Tensor
  /**
   * Whether each element is NaN; boolean. Not differentiable: constant almost everywhere.
   */
  isnan(): Tensor
  /**
   * Whether each element is infinite; boolean. Not differentiable: constant almost everywhere.
   */
  isinf(): Tensor
  /**
   * Whether each element is finite; boolean. Not differentiable: constant almost everywhere.
   */
  isfinite(): Tensor
  /**
   * Whether each element is zero; boolean. Not differentiable: constant almost everywhere.
   */
  logicalNot(): Tensor
  /**
   * Every bit inverted; `not` for booleans. Not differentiable: integers have no gradient.
   */
  bitwiseNot(): Tensor
  /**
   * x held between 0 and 6. The gradient is 0 at both. Integers give float32. Differentiable.
   */
  relu6(): Tensor
  /**
   * x held between `low` and `high`. The gradient is 0 at both, unlike that of `clip`. Integers give float32.
   * Defaults: low = -1.0, high = 1.0. Differentiable.
   */
  hardTanh(low?: number, high?: number): Tensor
  /**
   * x / 6 + 0.5 held between 0 and 1. The gradient is 0 at both. Integers give float32. Differentiable.
   */
  hardSigmoid(): Tensor
  /**
   * x where it isn't below `threshold`, else 0. Integers give float32. Defaults: threshold = 1.0.
   * Differentiable.
   */
  thresholdRelu(threshold?: number): Tensor
  /**
   * x above 0, `slope` times x elsewhere (Maas and others, 2013). The gradient at 0 is `slope`. Integers give
   * float32. Defaults: slope = 0.01. Differentiable.
   */
  leakyRelu(slope?: number): Tensor
  /**
   * x above 0, `alpha` times (exp(x) - 1) elsewhere (Clevert and others, 2015). Integers give float32.
   * Defaults: alpha = 1.0. Differentiable.
   */
  elu(alpha?: number): Tensor
  /**
   * x times the normal distribution's share below x; with `approximate` tanh in the faster form of the paper
   * (Hendrycks and Gimpel, 2016). Integers give float32. Defaults: approximate = "none". Differentiable.
   */
  gelu(approximate?: string): Tensor
  /**
   * x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32. Defaults: beta = 1.0.
   * Differentiable.
   */
  silu(beta?: number): Tensor
  /**
   * x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32. Defaults: beta = 1.0.
   * Differentiable.
   */
  swish(beta?: number): Tensor
  /**
   * x / (1 + |x|). Integers give float32. Differentiable.
   */
  softsign(): Tensor
  /**
   * log(sigmoid(x)), exact where sigmoid would underflow. Integers give float32. Differentiable.
   */
  logSigmoid(): Tensor
  /**
   * a + b, broadcast. Differentiable.
   */
  add(other: TensorLike): Tensor
  /**
   * a - b, broadcast. Differentiable.
   */
  sub(other: TensorLike): Tensor
  /**
   * a * b, element by element, broadcast. Differentiable.
   */
  mul(other: TensorLike): Tensor
  /**
   * a / b, broadcast. Integers are divided as float32; a division by zero gives an infinity or NaN.
   * Differentiable.
   */
  div(other: TensorLike): Tensor
  /**
   * The remainder of a / b with the sign of b, as Python's %. Integers can't be divided by zero.
   * Differentiable.
   */
  mod(other: TensorLike): Tensor
  /**
   * a / b rounded down, as Python's //. Integers can't be divided by zero. Differentiable.
   */
  floorDivide(other: TensorLike): Tensor
  /**
   * The angle in radians of the point (b, a), from -pi to pi. Integers give float32. Differentiable.
   */
  atan2(other: TensorLike): Tensor
  /**
   * log(exp(a) + exp(b)), broadcast, without overflow. Integers give float32. Differentiable.
   */
  logaddexp(other: TensorLike): Tensor
  /**
   * a to the power b, broadcast. For integers the result is an integer and wraps around. Differentiable.
   */
  power(other: TensorLike): Tensor
  /**
   * a to the power b, broadcast. For integers the result is an integer and wraps around. Differentiable.
   */
  pow(other: TensorLike): Tensor
  /**
   * The larger of a and b; NaN if either is. At a tie each gets half of the gradient. Differentiable.
   */
  maximum(other: TensorLike): Tensor
  /**
   * The smaller of a and b; NaN if either is. At a tie each gets half of the gradient. Differentiable.
   */
  minimum(other: TensorLike): Tensor
  /**
   * a where the condition isn't zero, else b; all three broadcast. Differentiable.
   */
  where(a: TensorLike, b: TensorLike): Tensor
  /**
   * a & b on integers and booleans. Not differentiable: integers have no gradient.
   */
  bitwiseAnd(other: TensorLike): Tensor
  /**
   * a | b on integers and booleans. Not differentiable: integers have no gradient.
   */
  bitwiseOr(other: TensorLike): Tensor
  /**
   * a ^ b on integers and booleans. Not differentiable: integers have no gradient.
   */
  bitwiseXor(other: TensorLike): Tensor
  /**
   * a << b on integers; 0 once b reaches the width. Not differentiable: integers have no gradient.
   */
  lShift(other: TensorLike): Tensor
  /**
   * a >> b on integers, keeping the sign. Not differentiable: integers have no gradient.
   */
  rShift(other: TensorLike): Tensor
  /**
   * a == b; boolean. Not differentiable: constant almost everywhere.
   */
  eq(other: TensorLike): Tensor
  /**
   * a != b; boolean. Not differentiable: constant almost everywhere.
   */
  neq(other: TensorLike): Tensor
  /**
   * a < b; boolean. Not differentiable: constant almost everywhere.
   */
  lt(other: TensorLike): Tensor
  /**
   * a < b; boolean. Not differentiable: constant almost everywhere.
   */
  lessThan(other: TensorLike): Tensor
  /**
   * a <= b; boolean. Not differentiable: constant almost everywhere.
   */
  lte(other: TensorLike): Tensor
  /**
   * a <= b; boolean. Not differentiable: constant almost everywhere.
   */
  lessThanEqual(other: TensorLike): Tensor
  /**
   * a > b; boolean. Not differentiable: constant almost everywhere.
   */
  gt(other: TensorLike): Tensor
  /**
   * a > b; boolean. Not differentiable: constant almost everywhere.
   */
  greaterThan(other: TensorLike): Tensor
  /**
   * a >= b; boolean. Not differentiable: constant almost everywhere.
   */
  gte(other: TensorLike): Tensor
  /**
   * a >= b; boolean. Not differentiable: constant almost everywhere.
   */
  greaterThanEqual(other: TensorLike): Tensor
  /**
   * Whether both aren't zero; boolean. Not differentiable: constant almost everywhere.
   */
  logicalAnd(other: TensorLike): Tensor
  /**
   * Whether either isn't zero; boolean. Not differentiable: constant almost everywhere.
   */
  logicalOr(other: TensorLike): Tensor
  /**
   * Whether exactly one isn't zero; boolean. Not differentiable: constant almost everywhere.
   */
  logicalXor(other: TensorLike): Tensor
  /**
   * The sum over `axes`, all of them when empty. Integers and booleans give int64. Defaults: axes = [],
   * keepDims = false. Differentiable.
   */
  sum(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The mean over `axes`, all of them when empty. Integers give float32; no elements give NaN. Defaults: axes
   * = [], keepDims = false. Differentiable.
   */
  mean(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
   * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
   */
  amax(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share the
   * gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
   */
  max(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share
   * the gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
   */
  amin(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share
   * the gradient evenly. Defaults: axes = [], keepDims = false. Differentiable.
   */
  min(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The position of the first largest element along `axis`, or in row order without one; int64. Defaults:
   * axis = [], keepDims = false. Not differentiable: positions have no gradient.
   */
  argmax(axis?: Sizes, keepDims?: boolean): Tensor
  /**
   * The position of the first smallest element along `axis`, or in row order without one; int64. Defaults:
   * axis = [], keepDims = false. Not differentiable: positions have no gradient.
   */
  argmin(axis?: Sizes, keepDims?: boolean): Tensor
  /**
   * Whether no element over `axes` is zero; boolean. Defaults: axes = [], keepDims = false. Not
   * differentiable: booleans have no gradient.
   */
  all(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * Whether some element over `axes` isn't zero; boolean. Defaults: axes = [], keepDims = false. Not
   * differentiable: booleans have no gradient.
   */
  any(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as PyTorch's
   * default; 0 for the population). Integers give float32. Defaults: axes = [], keepDims = false, correction
   * = 1.0. Differentiable.
   */
  variance(axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
  /**
   * The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as PyTorch's
   * default; 0 for the population). Integers give float32. Defaults: axes = [], keepDims = false, correction
   * = 1.0. Differentiable.
   */
  var(axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
  /**
   * The square root of the variance; see `variance`. Integers give float32. The gradient at 0 is 0. Defaults:
   * axes = [], keepDims = false, correction = 1.0. Differentiable.
   */
  std(axes?: Sizes, keepDims?: boolean, correction?: number): Tensor
  /**
   * log(sum(exp(x))) over `axes`, all of them when empty, without overflow. Integers give float32. Defaults:
   * axes = [], keepDims = false. Differentiable.
   */
  logsumexp(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * Sums over the axes along which `shape` was broadcast: what undoes broadcasting in a gradient. Integers
   * give int64. Differentiable.
   */
  sumTo(shape: Sizes): Tensor
  /**
   * exp(x) divided by its sum along `axis`, without overflow. Integers give float32. Defaults: axis = -1.
   * Differentiable.
   */
  softmax(axis?: number): Tensor
  /**
   * log(softmax(x)) along `axis`, exact where softmax would underflow. Integers give float32. Defaults: axis
   * = -1. Differentiable.
   */
  logSoftmax(axis?: number): Tensor
  /**
   * The same elements in row order in another shape; one size may be -1. A view when the tensor is
   * contiguous. Differentiable.
   */
  reshape(shape: Sizes): Tensor
  /**
   * Axis i of the result is axis axes[i] of the input; reversed when `axes` is empty. A view. Defaults: axes
   * = []. Differentiable.
   */
  transpose(axes?: Sizes): Tensor
  /**
   * Broadcast to `shape`, where -1 keeps a size. A view: the elements aren't repeated in memory.
   * Differentiable.
   */
  expand(shape: Sizes): Tensor
  /**
   * Without the given axes of size 1, or without all of them. A view. Defaults: axes = []. Differentiable.
   */
  squeeze(axes?: Sizes): Tensor
  /**
   * With a new axis of size 1 at `axis`. A view. Differentiable.
   */
  unsqueeze(axis: number): Tensor
  /**
   * Elements start, start + step, ... before `stop` along `axis`, with NumPy's rules for negative and
   * out-of-range bounds. A view. Defaults: step = 1. Differentiable.
   */
  slice(axis: number, start: number, stop: number, step?: number): Tensor
  /**
   * Zeros of `shape` with the input where `slice` of the same arguments would look: slice's gradient.
   * Defaults: step = 1. Differentiable.
   */
  unslice(shape: Sizes, axis: number, start: number, stop: number, step?: number): Tensor
  /**
   * `before[i]` and `after[i]` elements of `value` around the tensor along each axis i. Defaults: value =
   * 0.0. Differentiable.
   */
  padConstant(before: Sizes, after: Sizes, value?: number): Tensor
  /**
   * The same values laid out row by row without gaps; shares the storage when they already are.
   * Differentiable.
   */
  contiguous(): Tensor
  /**
   * Converted to `dtype`: floats to integers towards zero, NaN to 0; anything but zero to true.
   * Differentiable.
   */
  astype(dtype: DType): Tensor
  /**
   * The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them broadcast;
   * a 1-d tensor is a row on the left and a column on the right, and that axis is left out of the result.
   * Differentiable.
   */
  matmul(other: TensorLike): Tensor
  /**
   * The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them broadcast;
   * a 1-d tensor is a row on the left and a column on the right, and that axis is left out of the result.
   * Differentiable.
   */
  mm(other: TensorLike): Tensor
  /**
   * The p-norm over `axes`, all of them when empty, without overflow: the sum of |x| to the power p, to the
   * power 1/p. For infinity the largest |x|, for -infinity the smallest, for 0 the number of elements that
   * aren't 0. Integers give float32. The gradient at 0 is 0. Defaults: p = 2.0, axes = [], keepDims = false.
   * Differentiable.
   */
  norm(p?: number, axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * x divided by its p-norm along `axis`, or by `epsilon` where the norm is smaller. Integers give float32.
   * Defaults: p = 2.0, axis = 1, epsilon = 1e-12. Differentiable.
   */
  normalize(p?: number, axis?: number, epsilon?: number): Tensor
  /**
   * The cross-correlation of [N, C, H, W] with a filter [O, C / groups, kH, kW], plus a bias [O] if there is
   * one; `padding` zeros are on both sides. One number in `stride`, `padding` or `dilation` stands for both
   * axes. Defaults: stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
   */
  conv2d(filter: TensorLike, bias?: TensorLike, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor
  /**
   * The gradient of conv2d's input, of the given shape, from that of its output. Defaults: stride = [1, 1],
   * padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
   */
  conv2dInputGradient(filter: TensorLike, shape: Sizes, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor
  /**
   * The gradient of conv2d's filter, of the given shape, from that of its output and its input. Defaults:
   * stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1. Differentiable.
   */
  conv2dFilterGradient(tensor: TensorLike, shape: Sizes, stride?: Sizes, padding?: Sizes, dilation?: Sizes, groups?: number): Tensor
  /**
   * The mean of each window of [N, C, H, W]. `stride` is the kernel's when empty; padding counts as zeros,
   * and is at most half of the kernel. One number stands for both axes. Defaults: stride = [], padding = [0,
   * 0]. Differentiable.
   */
  avgPool2d(kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
  /**
   * The gradient of avg_pool2d's input, of the given shape, from that of its output. Defaults: stride = [],
   * padding = [0, 0]. Differentiable.
   */
  avgPool2dGradient(shape: Sizes, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
  /**
   * The maximum of each window of [N, C, H, W], NaN if it holds one. `stride` is the kernel's when empty;
   * padding never wins, and is at most half of the kernel. The first maximum of a window gets its gradient.
   * Defaults: stride = [], padding = [0, 0]. Differentiable.
   */
  maxPool2d(kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
  /**
   * The gradient of max_pool2d's input from that of its output. Defaults: stride = [], padding = [0, 0].
   * Differentiable.
   */
  maxPool2dGradient(tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
  /**
   * The elements of `values` that stand where max_pool2d's windows have their first maximum. Defaults: stride
   * = [], padding = [0, 0]. Differentiable.
   */
  maxPool2dGather(tensor: TensorLike, kernel: Sizes, stride?: Sizes, padding?: Sizes): Tensor
  /**
   * The cross-correlation of [N, C, L] with a filter [O, C / groups, k], plus a bias [O] if there is one;
   * `padding` zeros are on both sides. Defaults: stride = 1, padding = 0, dilation = 1, groups = 1.
   * Differentiable.
   */
  conv1d(filter: TensorLike, bias?: TensorLike, stride?: number, padding?: number, dilation?: number, groups?: number): Tensor
  /**
   * The mean of each window of [N, C, L]. Stride 0 stands for the kernel's; padding counts as zeros, and is
   * at most half of the kernel. Defaults: stride = 0, padding = 0. Differentiable.
   */
  avgPool1d(kernel: number, stride?: number, padding?: number): Tensor
  /**
   * The maximum of each window of [N, C, L], NaN if it holds one. Stride 0 stands for the kernel's; padding
   * never wins, and is at most half of the kernel. Defaults: stride = 0, padding = 0. Differentiable.
   */
  maxPool1d(kernel: number, stride?: number, padding?: number): Tensor
  /**
   * Integer labels of any shape as rows of `classes` zeros with a one at the label; float32 along a new last
   * axis. Not differentiable: labels have no gradient.
   */
  oneHot(classes: number): Tensor
  /**
   * The elements at `indices` along `axis`, which the axes of `indices` replace. Negative indices count from
   * the end. Where an index comes up repeatedly, its gradients add up, in a fixed order. Defaults: axis = 0.
   * Differentiable.
   */
  take(indices: TensorLike, axis?: number): Tensor
  /**
   * Zeros of `shape` with each element of `gradient` added where take of the same arguments would look:
   * take's gradient. 16-bit floats are summed in float32. Defaults: axis = 0. Differentiable.
   */
  takeGradient(indices: TensorLike, shape: Sizes, axis?: number): Tensor
  /**
   * Row `indices[...]` of a weight [rows, size] for each index, along a new last axis; indices are 0 or more.
   * Differentiable.
   */
  embedding(indices: TensorLike): Tensor
  /**
   * Elements starts[i] + k * steps[i], k < counts[i], along each axis i. A view. Differentiable.
   */
  window(starts: Sizes, counts: Sizes, steps: Sizes): Tensor
  /**
   * The tensor with `value`, which broadcasts to `counts`, where window of the same arguments would look; of
   * the tensor's dtype. Differentiable.
   */
  assignWindow(value: TensorLike, starts: Sizes, counts: Sizes, steps: Sizes): Tensor
  /**
   * The element at indices[..., k, ...] along `axis` for each index, in place on the other axes, where the
   * indices may be shorter than the tensor. Negative indices count from the end. Defaults: axis = 0.
   * Differentiable.
   */
  gather(indices: TensorLike, axis?: number): Tensor
  /**
   * The tensor with values[..., k, ...] at indices[..., k, ...] along `axis`, in place on the other axes.
   * `values` broadcasts to the indices' shape, or is longer, and then its first part counts. Where an index
   * comes up repeatedly the last value stays, and only that one gets a gradient. Defaults: axis = 0.
   * Differentiable.
   */
  scatter(indices: TensorLike, values: TensorLike, axis?: number): Tensor
  /**
   * The tensor with values[..., k, ...] added at indices[..., k, ...] along `axis`, in order; otherwise like
   * scatter. 16-bit floats are summed in float32. Defaults: axis = 0. Differentiable.
   */
  scatterAdd(indices: TensorLike, values: TensorLike, axis?: number): Tensor
  /**
   * The elements where `mask` isn't zero, in row order; rank 1. Tensor and mask broadcast. Differentiable.
   */
  maskedSelect(mask: TensorLike): Tensor
  /**
   * The tensor with `value`, which broadcasts, where `mask` isn't zero; of the tensor's dtype.
   * Differentiable.
   */
  maskedFill(mask: TensorLike, value: TensorLike): Tensor
  /**
   * The positions of the elements that aren't zero, in row order, as [count, ndim]; int64. Not
   * differentiable: positions don't vary with the elements.
   */
  nonzero(): Tensor
  /**
   * The elements in order along `axis`. NaN counts as the largest; argsort gives the positions. Defaults:
   * axis = -1, descending = false. Differentiable.
   */
  sort(axis?: number, descending?: boolean): Tensor
  /**
   * The positions along `axis` of the elements in order; int64. Equal ones stay in the order that they are
   * in, and NaN counts as the largest. Defaults: axis = -1, descending = false. Not differentiable: positions
   * don't vary with the elements.
   */
  argsort(axis?: number, descending?: boolean): Tensor
  /**
   * The `k` largest (or smallest) elements along `axis`, in order, and their positions there. NaN counts as
   * the largest; of equal elements the first come first. Defaults: axis = -1, largest = true. Differentiable.
   */
  topk(k: number, axis?: number, largest?: boolean): [Tensor, Tensor]
  /**
   * The element in the middle over `axes`, all of them when empty: the lower one of two, NaN if there is one.
   * That element gets the gradient. Defaults: axes = [], keepDims = false. Differentiable.
   */
  median(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The sum of the elements up to each one along `axis`, or from each one on when `reverse`. Integers and
   * booleans give int64. Defaults: reverse = false. Differentiable.
   */
  cumsum(axis: number, reverse?: boolean): Tensor
  /**
   * The product over `axes`, all of them when empty. Integers and booleans give int64. Where there are zeros
   * the gradients are right, too. Defaults: axes = [], keepDims = false. Differentiable.
   */
  prod(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * How many elements over `axes`, all of them when empty, aren't zero; int64. Defaults: axes = [], keepDims
   * = false. Not differentiable: a count doesn't vary with the elements.
   */
  countNonzero(axes?: Sizes, keepDims?: boolean): Tensor
  /**
   * The tensor repeated `repeats[i]` times along each axis. The shorter of its shape and `repeats` is
   * extended by ones at the front. Differentiable.
   */
  tile(repeats: Sizes): Tensor
  /**
   * The elements in reverse order along `axes`, all of them when empty. A view. Defaults: axes = [].
   * Differentiable.
   */
  flip(axes?: Sizes): Tensor
  /**
   * The elements moved on by `shifts[i]` along `axes[i]`, those at the end to the start. Without axes one
   * shift moves all elements in row order. Defaults: axes = []. Differentiable.
   */
  roll(shifts: Sizes, axes?: Sizes): Tensor
  /**
   * Parts along `axis`: of one size, the last maybe smaller, or of several sizes that add up to the axis's,
   * as PyTorch's split. Views. Defaults: axis = 0. Differentiable.
   */
  split(sizes: Sizes, axis?: number): Tensor[]
  /**
   * `before[i]` and `after[i]` more elements along each axis i, by `mode`: constant (`value`), edge (or
   * replicate: the nearest), reflect (mirrored without the edge), symmetric (with it), wrap (or circular).
   * Defaults: value = 0.0, mode = "constant". Differentiable.
   */
  pad(before: Sizes, after: Sizes, value?: number, mode?: string): Tensor
  /**
   * The last two axes' elements on and above the `diagonal`-th diagonal, zeros elsewhere. Defaults: diagonal
   * = 0. Differentiable.
   */
  triu(diagonal?: number): Tensor
  /**
   * The last two axes' elements on and below the `diagonal`-th diagonal, zeros elsewhere. Defaults: diagonal
   * = 0. Differentiable.
   */
  tril(diagonal?: number): Tensor
  /**
   * The elements of `axis1` and `axis2` whose positions differ by `offset`, as a new last axis. A view.
   * Defaults: offset = 0, axis1 = 0, axis2 = 1. Differentiable.
   */
  diagonal(offset?: number, axis1?: number, axis2?: number): Tensor
  /**
   * Zeros of `shape` with the tensor where diagonal of the same arguments would look: its gradient. Defaults:
   * offset = 0, axis1 = 0, axis2 = 1. Differentiable.
   */
  undiagonal(shape: Sizes, offset?: number, axis1?: number, axis2?: number): Tensor
  /**
   * Of a vector, the square matrix with it on the `offset`-th diagonal; of a matrix, that diagonal. Defaults:
   * offset = 0. Differentiable.
   */
  diag(offset?: number): Tensor
  /**
   * x W + b: [..., in] times a weight [in, out] (the transpose of PyTorch's), plus a bias [out] if there is
   * one. Differentiable.
   */
  linear(weight: TensorLike, bias?: TensorLike): Tensor
  /**
   * Zeros with probability `p`, chosen by the stream that manual_seed starts, and the rest divided by 1 - p;
   * the tensor as it is unless `training` (Srivastava and others, 2014). Defaults: p = 0.5, training = true.
   * Differentiable.
   */
  dropout(p?: number, training?: boolean): Tensor
  /**
   * (x - mean) / sqrt(variance + epsilon) over the last `axes` axes, times a weight and plus a bias of their
   * shape if there are any. The variance is the population's (Ba, Kiros and Hinton, 2016). Defaults: axes =
   * 1, epsilon = 1e-05. Differentiable.
   */
  layerNorm(weight?: TensorLike, bias?: TensorLike, axes?: number, epsilon?: number): Tensor
  /**
   * x / sqrt(mean(x * x) + epsilon) over the last `axes` axes, times a weight of their shape if there is one
   * (Zhang and Sennrich, 2019). PyTorch's default epsilon is that of the dtype. Defaults: axes = 1, epsilon =
   * 1e-05. Differentiable.
   */
  rmsNorm(weight?: TensorLike, axes?: number, epsilon?: number): Tensor
  /**
   * Splits the channels of [N, C, ...] into groups and makes each group of each item have mean 0 and variance
   * 1 as `layer_norm` does; then times a weight and plus a bias [C] if there are any (Wu and He, 2018).
   * Defaults: epsilon = 1e-05. Differentiable.
   */
  groupNorm(groups: number, weight?: TensorLike, bias?: TensorLike, epsilon?: number): Tensor
  /**
   * (x - mean) / sqrt(variance + epsilon) for each channel of [N, C, ...] with the given statistics [C],
   * times a weight and plus a bias [C] if there are any (Ioffe and Szegedy, 2015). Gradients flow into the
   * statistics too, so training passes those of the batch. Defaults: epsilon = 1e-05. Differentiable.
   */
  batchNorm(mean: TensorLike, variance: TensorLike, weight?: TensorLike, bias?: TensorLike, epsilon?: number): Tensor
  /**
   * softmax(Q K^T * scale) V over [..., L, E], [..., S, E] and [..., S, Ev], giving [..., L, Ev]; the axes
   * before the last two broadcast. Scale 0 stands for 1 / sqrt(E). A mask broadcasts to [..., L, S]: a
   * boolean or integer one says with non-zero which keys take part, a floating-point one is added to the
   * scores. `causal` lets query i see the keys up to i. A query that sees no key gets zeros (Vaswani and
   * others, 2017). Defaults: causal = false, scale = 0.0. Differentiable.
   */
  attention(key: TensorLike, value: TensorLike, mask?: TensorLike, causal?: boolean, scale?: number): Tensor
  /**
   * softmax(Q K^T * scale), [..., L, S]: the weights that `attention` gives the values, by the same rules.
   * Defaults: causal = false, scale = 0.0. Differentiable.
   */
  attentionWeights(key: TensorLike, mask?: TensorLike, causal?: boolean, scale?: number): Tensor
}
