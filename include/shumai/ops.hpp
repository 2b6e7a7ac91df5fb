#pragma once

// Generated from the op table by tools/generate.cpp; change the row instead.
// clang-format off

#include <string>
#include <vector>

#include "shumai/tensor.hpp"

// Operations on tensors. They throw Error with the operation's name, what it
// expects and what came. All are safe to call from several threads at once.

namespace sm {

// All zeros.
Tensor zeros(const Dims& shape, DType dtype = DType::f32);

// All ones.
Tensor ones(const Dims& shape, DType dtype = DType::f32);

// Every element is `value`.
Tensor full(const Dims& shape, double value, DType dtype = DType::f32);

// start, start + step, ... before `stop`; rank 1.
Tensor arange(double start, double stop, double step = 1.0, DType dtype = DType::f32);

// `steps` values evenly spaced from `start` to `stop`, both included; rank 1.
Tensor linspace(double start, double stop, int64_t steps, DType dtype = DType::f32);

// The n by n matrix with ones on its diagonal.
Tensor identity(int64_t n, DType dtype = DType::f32);
inline Tensor ident(int64_t n, DType dtype = DType::f32) { return identity(n, dtype); }
inline Tensor eye(int64_t n, DType dtype = DType::f32) { return identity(n, dtype); }

// 0, 1, 2, ... in row order in `shape`, repeated `tiles[i]` times along each axis as `tile` does.
Tensor iota(const Dims& shape, const Dims& tiles = {}, DType dtype = DType::f32);

// Uniform in [0, 1) with 24 random bits (11 in float16, 8 in bfloat16), from the stream that
// manual_seed starts.
Tensor rand(const Dims& shape, DType dtype = DType::f32);

// Normal with mean 0 and variance 1, from the stream that manual_seed starts.
Tensor randn(const Dims& shape, DType dtype = DType::f32);

// Uniform from `low` to `high`, from the stream that manual_seed starts.
Tensor uniform(const Dims& shape, double low = 0.0, double high = 1.0, DType dtype = DType::f32);

// Normal with the given mean and standard deviation, from the stream that manual_seed starts.
Tensor normal(const Dims& shape, double mean = 0.0, double std = 1.0, DType dtype = DType::f32);

// 1 with probability `p`, else 0, from the stream that manual_seed starts.
Tensor bernoulli(const Dims& shape, double p = 0.5, DType dtype = DType::f32);

// Whole numbers from `low` up to but not including `high`, all as likely, from the stream that
// manual_seed starts.
Tensor randint(int64_t low, int64_t high, const Dims& shape, DType dtype = DType::i64);

// The numbers 0 to n - 1 in random order, from the stream that manual_seed starts.
Tensor randperm(int64_t n, DType dtype = DType::i64);

// Weights uniform within gain * sqrt(6 / (fan_in + fan_out)); fans of 0 are counted for a shape
// [out, in, ...] (Glorot and Bengio, 2010).
Tensor xavier_uniform(const Dims& shape, double fan_in = 0.0, double fan_out = 0.0, double gain = 1.0, DType dtype = DType::f32);

// Weights with mean 0 and standard deviation gain * sqrt(2 / (fan_in + fan_out)); fans of 0 are
// counted for a shape [out, in, ...] (Glorot and Bengio, 2010).
Tensor xavier_normal(const Dims& shape, double fan_in = 0.0, double fan_out = 0.0, double gain = 1.0, DType dtype = DType::f32);

// Weights uniform within sqrt(6 / ((1 + slope * slope) * fan_in)), for layers followed by a leaky
// ReLU of that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015).
Tensor kaiming_uniform(const Dims& shape, double fan_in = 0.0, double slope = 0.0, DType dtype = DType::f32);

// Weights with mean 0 and variance 2 / ((1 + slope * slope) * fan_in), for layers followed by a
// leaky ReLU of that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015).
Tensor kaiming_normal(const Dims& shape, double fan_in = 0.0, double slope = 0.0, DType dtype = DType::f32);

// -x.
Tensor negative(const Tensor& tensor);
inline Tensor negate(const Tensor& tensor) { return negative(tensor); }
inline Tensor neg(const Tensor& tensor) { return negative(tensor); }

// |x|. The gradient at 0 is 0.
Tensor absolute(const Tensor& tensor);
inline Tensor abs(const Tensor& tensor) { return absolute(tensor); }

// -1, 0 or 1; NaN for NaN.
Tensor sign(const Tensor& tensor);

// e to the power x. Integers give float32.
Tensor exp(const Tensor& tensor);

// The natural logarithm. Integers give float32.
Tensor log(const Tensor& tensor);

// log(1 + x), exact for small x. Integers give float32.
Tensor log1p(const Tensor& tensor);

// The square root; NaN below 0. Integers give float32.
Tensor sqrt(const Tensor& tensor);

// x times x.
Tensor square(const Tensor& tensor);

// 1 / x. Integers give float32.
Tensor reciprocal(const Tensor& tensor);

// The sine of x in radians. Integers give float32.
Tensor sin(const Tensor& tensor);

// The cosine of x in radians. Integers give float32.
Tensor cos(const Tensor& tensor);

// The hyperbolic tangent. Integers give float32.
Tensor tanh(const Tensor& tensor);

// 1 / (1 + exp(-x)), without overflow on either side. Integers give float32.
Tensor sigmoid(const Tensor& tensor);

// The error function. Integers give float32.
Tensor erf(const Tensor& tensor);

// exp(x) - 1, exact for small x. Integers give float32.
Tensor expm1(const Tensor& tensor);

// 1 / sqrt(x). Integers give float32.
Tensor rsqrt(const Tensor& tensor);

// The logarithm to base 2. Integers give float32.
Tensor log2(const Tensor& tensor);

// The logarithm to base 10. Integers give float32.
Tensor log10(const Tensor& tensor);

// The tangent of x in radians. Integers give float32.
Tensor tan(const Tensor& tensor);

// The arc sine in radians; NaN outside -1 to 1. Integers give float32.
Tensor asin(const Tensor& tensor);

// The arc cosine in radians; NaN outside -1 to 1. Integers give float32.
Tensor acos(const Tensor& tensor);

// The arc tangent in radians. Integers give float32.
Tensor atan(const Tensor& tensor);

// The hyperbolic sine. Integers give float32.
Tensor sinh(const Tensor& tensor);

// The hyperbolic cosine. Integers give float32.
Tensor cosh(const Tensor& tensor);

// log(1 + exp(x)), without overflow. Integers give float32.
Tensor softplus(const Tensor& tensor);

// max(x, 0). The gradient at 0 is 0.
Tensor relu(const Tensor& tensor);

// The largest whole number not above x.
Tensor floor(const Tensor& tensor);

// The smallest whole number not below x.
Tensor ceil(const Tensor& tensor);

// The nearest whole number, halves to even.
Tensor rint(const Tensor& tensor);
inline Tensor round(const Tensor& tensor) { return rint(tensor); }

// The nearest whole number towards zero.
Tensor trunc(const Tensor& tensor);

// x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0
// outside. Integers give float32.
Tensor clip(const Tensor& tensor, double low, double high);
inline Tensor clamp(const Tensor& tensor, double low, double high) { return clip(tensor, low, high); }

// Whether each element is NaN; boolean.
Tensor isnan(const Tensor& tensor);

// Whether each element is infinite; boolean.
Tensor isinf(const Tensor& tensor);

// Whether each element is finite; boolean.
Tensor isfinite(const Tensor& tensor);

// Whether each element is zero; boolean.
Tensor logical_not(const Tensor& tensor);

// Every bit inverted; `not` for booleans.
Tensor bitwise_not(const Tensor& tensor);

// x held between 0 and 6. The gradient is 0 at both. Integers give float32.
Tensor relu6(const Tensor& tensor);

// x held between `low` and `high`. The gradient is 0 at both, unlike that of `clip`. Integers give
// float32.
Tensor hard_tanh(const Tensor& tensor, double low = -1.0, double high = 1.0);

// x / 6 + 0.5 held between 0 and 1. The gradient is 0 at both. Integers give float32.
Tensor hard_sigmoid(const Tensor& tensor);

// x where it isn't below `threshold`, else 0. Integers give float32.
Tensor threshold_relu(const Tensor& tensor, double threshold = 1.0);

// x above 0, `slope` times x elsewhere (Maas and others, 2013). The gradient at 0 is `slope`.
// Integers give float32.
Tensor leaky_relu(const Tensor& tensor, double slope = 0.01);

// x above 0, `alpha` times (exp(x) - 1) elsewhere (Clevert and others, 2015). Integers give
// float32.
Tensor elu(const Tensor& tensor, double alpha = 1.0);

// x times the normal distribution's share below x; with `approximate` tanh in the faster form of
// the paper (Hendrycks and Gimpel, 2016). Integers give float32.
Tensor gelu(const Tensor& tensor, const std::string& approximate = "none");

// x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32.
Tensor silu(const Tensor& tensor, double beta = 1.0);
inline Tensor swish(const Tensor& tensor, double beta = 1.0) { return silu(tensor, beta); }

// x / (1 + |x|). Integers give float32.
Tensor softsign(const Tensor& tensor);

// log(sigmoid(x)), exact where sigmoid would underflow. Integers give float32.
Tensor log_sigmoid(const Tensor& tensor);

// a + b, broadcast.
Tensor add(const Tensor& tensor, const Tensor& other);

// a - b, broadcast.
Tensor sub(const Tensor& tensor, const Tensor& other);

// a * b, element by element, broadcast.
Tensor mul(const Tensor& tensor, const Tensor& other);

// a / b, broadcast. Integers are divided as float32; a division by zero gives an infinity or NaN.
Tensor div(const Tensor& tensor, const Tensor& other);

// The remainder of a / b with the sign of b, as Python's %. Integers can't be divided by zero.
Tensor mod(const Tensor& tensor, const Tensor& other);

// a / b rounded down, as Python's //. Integers can't be divided by zero.
Tensor floor_divide(const Tensor& tensor, const Tensor& other);

// The angle in radians of the point (b, a), from -pi to pi. Integers give float32.
Tensor atan2(const Tensor& tensor, const Tensor& other);

// log(exp(a) + exp(b)), broadcast, without overflow. Integers give float32.
Tensor logaddexp(const Tensor& tensor, const Tensor& other);

// a to the power b, broadcast. For integers the result is an integer and wraps around.
Tensor power(const Tensor& tensor, const Tensor& other);
inline Tensor pow(const Tensor& tensor, const Tensor& other) { return power(tensor, other); }

// The larger of a and b; NaN if either is. At a tie each gets half of the gradient.
Tensor maximum(const Tensor& tensor, const Tensor& other);

// The smaller of a and b; NaN if either is. At a tie each gets half of the gradient.
Tensor minimum(const Tensor& tensor, const Tensor& other);

// a where the condition isn't zero, else b; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// a & b on integers and booleans.
Tensor bitwise_and(const Tensor& tensor, const Tensor& other);

// a | b on integers and booleans.
Tensor bitwise_or(const Tensor& tensor, const Tensor& other);

// a ^ b on integers and booleans.
Tensor bitwise_xor(const Tensor& tensor, const Tensor& other);

// a << b on integers; 0 once b reaches the width.
Tensor l_shift(const Tensor& tensor, const Tensor& other);

// a >> b on integers, keeping the sign.
Tensor r_shift(const Tensor& tensor, const Tensor& other);

// a == b; boolean.
Tensor eq(const Tensor& tensor, const Tensor& other);

// a != b; boolean.
Tensor neq(const Tensor& tensor, const Tensor& other);

// a < b; boolean.
Tensor lt(const Tensor& tensor, const Tensor& other);
inline Tensor less_than(const Tensor& tensor, const Tensor& other) { return lt(tensor, other); }

// a <= b; boolean.
Tensor lte(const Tensor& tensor, const Tensor& other);
inline Tensor less_than_equal(const Tensor& tensor, const Tensor& other) { return lte(tensor, other); }

// a > b; boolean.
Tensor gt(const Tensor& tensor, const Tensor& other);
inline Tensor greater_than(const Tensor& tensor, const Tensor& other) { return gt(tensor, other); }

// a >= b; boolean.
Tensor gte(const Tensor& tensor, const Tensor& other);
inline Tensor greater_than_equal(const Tensor& tensor, const Tensor& other) { return gte(tensor, other); }

// Whether both aren't zero; boolean.
Tensor logical_and(const Tensor& tensor, const Tensor& other);

// Whether either isn't zero; boolean.
Tensor logical_or(const Tensor& tensor, const Tensor& other);

// Whether exactly one isn't zero; boolean.
Tensor logical_xor(const Tensor& tensor, const Tensor& other);

// The sum over `axes`, all of them when empty. Integers and booleans give int64.
Tensor sum(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// The mean over `axes`, all of them when empty. Integers give float32; no elements give NaN.
Tensor mean(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie
// share the gradient evenly.
Tensor amax(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);
inline Tensor max(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false) { return amax(tensor, axes, keep_dims); }

// The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie
// share the gradient evenly.
Tensor amin(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);
inline Tensor min(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false) { return amin(tensor, axes, keep_dims); }

// The position of the first largest element along `axis`, or in row order without one; int64.
Tensor argmax(const Tensor& tensor, const Dims& axis = {}, bool keep_dims = false);

// The position of the first smallest element along `axis`, or in row order without one; int64.
Tensor argmin(const Tensor& tensor, const Dims& axis = {}, bool keep_dims = false);

// Whether no element over `axes` is zero; boolean.
Tensor all(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// Whether some element over `axes` isn't zero; boolean.
Tensor any(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as
// PyTorch's default; 0 for the population). Integers give float32.
Tensor variance(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false, double correction = 1.0);
inline Tensor var(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false, double correction = 1.0) { return variance(tensor, axes, keep_dims, correction); }

// The square root of the variance; see `variance`. Integers give float32. The gradient at 0 is 0.
Tensor std(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false, double correction = 1.0);

// log(sum(exp(x))) over `axes`, all of them when empty, without overflow. Integers give float32.
Tensor logsumexp(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// Sums over the axes along which `shape` was broadcast: what undoes broadcasting in a gradient.
// Integers give int64.
Tensor sum_to(const Tensor& tensor, const Dims& shape);

// exp(x) divided by its sum along `axis`, without overflow. Integers give float32.
Tensor softmax(const Tensor& tensor, int64_t axis = -1);

// log(softmax(x)) along `axis`, exact where softmax would underflow. Integers give float32.
Tensor log_softmax(const Tensor& tensor, int64_t axis = -1);

// The same elements in row order in another shape; one size may be -1. A view when the tensor is
// contiguous.
Tensor reshape(const Tensor& tensor, const Dims& shape);

// Axis i of the result is axis axes[i] of the input; reversed when `axes` is empty. A view.
Tensor transpose(const Tensor& tensor, const Dims& axes = {});

// Broadcast to `shape`, where -1 keeps a size. A view: the elements aren't repeated in memory.
Tensor expand(const Tensor& tensor, const Dims& shape);

// Without the given axes of size 1, or without all of them. A view.
Tensor squeeze(const Tensor& tensor, const Dims& axes = {});

// With a new axis of size 1 at `axis`. A view.
Tensor unsqueeze(const Tensor& tensor, int64_t axis);

// Elements start, start + step, ... before `stop` along `axis`, with NumPy's rules for negative and
// out-of-range bounds. A view.
Tensor slice(const Tensor& tensor, int64_t axis, int64_t start, int64_t stop, int64_t step = 1);

// Zeros of `shape` with the input where `slice` of the same arguments would look: slice's gradient.
Tensor unslice(const Tensor& tensor, const Dims& shape, int64_t axis, int64_t start, int64_t stop, int64_t step = 1);

// The tensors one after another along `axis`; the other sizes must be equal.
Tensor concatenate(const std::vector<Tensor>& tensors, int64_t axis = 0);
inline Tensor concat(const std::vector<Tensor>& tensors, int64_t axis = 0) { return concatenate(tensors, axis); }

// Tensors of one shape along a new axis at `axis`.
Tensor stack(const std::vector<Tensor>& tensors, int64_t axis = 0);

// `before[i]` and `after[i]` elements of `value` around the tensor along each axis i.
Tensor pad_constant(const Tensor& tensor, const Dims& before, const Dims& after, double value = 0.0);

// The same values laid out row by row without gaps; shares the storage when they already are.
Tensor contiguous(const Tensor& tensor);

// Converted to `dtype`: floats to integers towards zero, NaN to 0; anything but zero to true.
Tensor astype(const Tensor& tensor, DType dtype);

// The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them
// broadcast; a 1-d tensor is a row on the left and a column on the right, and that axis is left out
// of the result.
Tensor matmul(const Tensor& tensor, const Tensor& other);
inline Tensor mm(const Tensor& tensor, const Tensor& other) { return matmul(tensor, other); }

// The p-norm over `axes`, all of them when empty, without overflow: the sum of |x| to the power p,
// to the power 1/p. For infinity the largest |x|, for -infinity the smallest, for 0 the number of
// elements that aren't 0. Integers give float32. The gradient at 0 is 0.
Tensor norm(const Tensor& tensor, double p = 2.0, const Dims& axes = {}, bool keep_dims = false);

// x divided by its p-norm along `axis`, or by `epsilon` where the norm is smaller. Integers give
// float32.
Tensor normalize(const Tensor& tensor, double p = 2.0, int64_t axis = 1, double epsilon = 1e-12);

// Einstein's sum as NumPy writes it, "ij,jk->ik": products over the letters, summed over those that
// the result leaves out. A letter twice in one operand is its diagonal, `...` stands for any axes,
// sizes of 1 broadcast; without an arrow the result has the letters that occur once, in
// alphabetical order. Done by matrix products of two operands at a time, those that leave the least
// first.
Tensor einsum(const std::string& equation, const std::vector<Tensor>& tensors);

// The cross-correlation of [N, C, H, W] with a filter [O, C / groups, kH, kW], plus a bias [O] if
// there is one; `padding` zeros are on both sides. One number in `stride`, `padding` or `dilation`
// stands for both axes.
Tensor conv2d(const Tensor& tensor, const Tensor& filter, const Tensor& bias = {}, const Dims& stride = {1, 1}, const Dims& padding = {0, 0}, const Dims& dilation = {1, 1}, int64_t groups = 1);

// The gradient of conv2d's input, of the given shape, from that of its output.
Tensor conv2d_input_gradient(const Tensor& gradient, const Tensor& filter, const Dims& shape, const Dims& stride = {1, 1}, const Dims& padding = {0, 0}, const Dims& dilation = {1, 1}, int64_t groups = 1);

// The gradient of conv2d's filter, of the given shape, from that of its output and its input.
Tensor conv2d_filter_gradient(const Tensor& gradient, const Tensor& tensor, const Dims& shape, const Dims& stride = {1, 1}, const Dims& padding = {0, 0}, const Dims& dilation = {1, 1}, int64_t groups = 1);

// The mean of each window of [N, C, H, W]. `stride` is the kernel's when empty; padding counts as
// zeros, and is at most half of the kernel. One number stands for both axes.
Tensor avg_pool2d(const Tensor& tensor, const Dims& kernel, const Dims& stride = {}, const Dims& padding = {0, 0});

// The gradient of avg_pool2d's input, of the given shape, from that of its output.
Tensor avg_pool2d_gradient(const Tensor& gradient, const Dims& shape, const Dims& kernel, const Dims& stride = {}, const Dims& padding = {0, 0});

// The maximum of each window of [N, C, H, W], NaN if it holds one. `stride` is the kernel's when
// empty; padding never wins, and is at most half of the kernel. The first maximum of a window gets
// its gradient.
Tensor max_pool2d(const Tensor& tensor, const Dims& kernel, const Dims& stride = {}, const Dims& padding = {0, 0});

// The gradient of max_pool2d's input from that of its output.
Tensor max_pool2d_gradient(const Tensor& gradient, const Tensor& tensor, const Dims& kernel, const Dims& stride = {}, const Dims& padding = {0, 0});

// The elements of `values` that stand where max_pool2d's windows have their first maximum.
Tensor max_pool2d_gather(const Tensor& values, const Tensor& tensor, const Dims& kernel, const Dims& stride = {}, const Dims& padding = {0, 0});

// The cross-correlation of [N, C, L] with a filter [O, C / groups, k], plus a bias [O] if there is
// one; `padding` zeros are on both sides.
Tensor conv1d(const Tensor& tensor, const Tensor& filter, const Tensor& bias = {}, int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1, int64_t groups = 1);

// The mean of each window of [N, C, L]. Stride 0 stands for the kernel's; padding counts as zeros,
// and is at most half of the kernel.
Tensor avg_pool1d(const Tensor& tensor, int64_t kernel, int64_t stride = 0, int64_t padding = 0);

// The maximum of each window of [N, C, L], NaN if it holds one. Stride 0 stands for the kernel's;
// padding never wins, and is at most half of the kernel.
Tensor max_pool1d(const Tensor& tensor, int64_t kernel, int64_t stride = 0, int64_t padding = 0);

// Integer labels of any shape as rows of `classes` zeros with a one at the label; float32 along a
// new last axis.
Tensor one_hot(const Tensor& labels, int64_t classes);

// The elements at `indices` along `axis`, which the axes of `indices` replace. Negative indices
// count from the end. Where an index comes up repeatedly, its gradients add up, in a fixed order.
Tensor take(const Tensor& tensor, const Tensor& indices, int64_t axis = 0);

// Zeros of `shape` with each element of `gradient` added where take of the same arguments would
// look: take's gradient. 16-bit floats are summed in float32.
Tensor take_gradient(const Tensor& gradient, const Tensor& indices, const Dims& shape, int64_t axis = 0);

// Row `indices[...]` of a weight [rows, size] for each index, along a new last axis; indices are 0
// or more.
Tensor embedding(const Tensor& weight, const Tensor& indices);

// Elements starts[i] + k * steps[i], k < counts[i], along each axis i. A view.
Tensor window(const Tensor& tensor, const Dims& starts, const Dims& counts, const Dims& steps);

// The tensor with `value`, which broadcasts to `counts`, where window of the same arguments would
// look; of the tensor's dtype.
Tensor assign_window(const Tensor& tensor, const Tensor& value, const Dims& starts, const Dims& counts, const Dims& steps);

// The element at indices[..., k, ...] along `axis` for each index, in place on the other axes,
// where the indices may be shorter than the tensor. Negative indices count from the end.
Tensor gather(const Tensor& tensor, const Tensor& indices, int64_t axis = 0);

// The tensor with values[..., k, ...] at indices[..., k, ...] along `axis`, in place on the other
// axes. `values` broadcasts to the indices' shape, or is longer, and then its first part counts.
// Where an index comes up repeatedly the last value stays, and only that one gets a gradient.
Tensor scatter(const Tensor& tensor, const Tensor& indices, const Tensor& values, int64_t axis = 0);

// The tensor with values[..., k, ...] added at indices[..., k, ...] along `axis`, in order;
// otherwise like scatter. 16-bit floats are summed in float32.
Tensor scatter_add(const Tensor& tensor, const Tensor& indices, const Tensor& values, int64_t axis = 0);

// The elements where `mask` isn't zero, in row order; rank 1. Tensor and mask broadcast.
Tensor masked_select(const Tensor& tensor, const Tensor& mask);

// The tensor with `value`, which broadcasts, where `mask` isn't zero; of the tensor's dtype.
Tensor masked_fill(const Tensor& tensor, const Tensor& mask, const Tensor& value);

// The positions of the elements that aren't zero, in row order, as [count, ndim]; int64.
Tensor nonzero(const Tensor& tensor);

// The elements in order along `axis`. NaN counts as the largest; argsort gives the positions.
Tensor sort(const Tensor& tensor, int64_t axis = -1, bool descending = false);

// The positions along `axis` of the elements in order; int64. Equal ones stay in the order that
// they are in, and NaN counts as the largest.
Tensor argsort(const Tensor& tensor, int64_t axis = -1, bool descending = false);

// The `k` largest (or smallest) elements along `axis`, in order, and their positions there. NaN
// counts as the largest; of equal elements the first come first.
std::vector<Tensor> topk(const Tensor& tensor, int64_t k, int64_t axis = -1, bool largest = true);

// The element in the middle over `axes`, all of them when empty: the lower one of two, NaN if there
// is one. That element gets the gradient.
Tensor median(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// The sum of the elements up to each one along `axis`, or from each one on when `reverse`. Integers
// and booleans give int64.
Tensor cumsum(const Tensor& tensor, int64_t axis, bool reverse = false);

// The product over `axes`, all of them when empty. Integers and booleans give int64. Where there
// are zeros the gradients are right, too.
Tensor prod(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// How many elements over `axes`, all of them when empty, aren't zero; int64.
Tensor count_nonzero(const Tensor& tensor, const Dims& axes = {}, bool keep_dims = false);

// The tensor repeated `repeats[i]` times along each axis. The shorter of its shape and `repeats` is
// extended by ones at the front.
Tensor tile(const Tensor& tensor, const Dims& repeats);

// The elements in reverse order along `axes`, all of them when empty. A view.
Tensor flip(const Tensor& tensor, const Dims& axes = {});

// The elements moved on by `shifts[i]` along `axes[i]`, those at the end to the start. Without axes
// one shift moves all elements in row order.
Tensor roll(const Tensor& tensor, const Dims& shifts, const Dims& axes = {});

// Parts along `axis`: of one size, the last maybe smaller, or of several sizes that add up to the
// axis's, as PyTorch's split. Views.
std::vector<Tensor> split(const Tensor& tensor, const Dims& sizes, int64_t axis = 0);

// `before[i]` and `after[i]` more elements along each axis i, by `mode`: constant (`value`), edge
// (or replicate: the nearest), reflect (mirrored without the edge), symmetric (with it), wrap (or
// circular).
Tensor pad(const Tensor& tensor, const Dims& before, const Dims& after, double value = 0.0, const std::string& mode = "constant");

// The last two axes' elements on and above the `diagonal`-th diagonal, zeros elsewhere.
Tensor triu(const Tensor& tensor, int64_t diagonal = 0);

// The last two axes' elements on and below the `diagonal`-th diagonal, zeros elsewhere.
Tensor tril(const Tensor& tensor, int64_t diagonal = 0);

// The elements of `axis1` and `axis2` whose positions differ by `offset`, as a new last axis. A
// view.
Tensor diagonal(const Tensor& tensor, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1);

// Zeros of `shape` with the tensor where diagonal of the same arguments would look: its gradient.
Tensor undiagonal(const Tensor& tensor, const Dims& shape, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1);

// Of a vector, the square matrix with it on the `offset`-th diagonal; of a matrix, that diagonal.
Tensor diag(const Tensor& tensor, int64_t offset = 0);

// x W + b: [..., in] times a weight [in, out] (the transpose of PyTorch's), plus a bias [out] if
// there is one.
Tensor linear(const Tensor& tensor, const Tensor& weight, const Tensor& bias = {});

// Zeros with probability `p`, chosen by the stream that manual_seed starts, and the rest divided by
// 1 - p; the tensor as it is unless `training` (Srivastava and others, 2014).
Tensor dropout(const Tensor& tensor, double p = 0.5, bool training = true);

// (x - mean) / sqrt(variance + epsilon) over the last `axes` axes, times a weight and plus a bias
// of their shape if there are any. The variance is the population's (Ba, Kiros and Hinton, 2016).
Tensor layer_norm(const Tensor& tensor, const Tensor& weight = {}, const Tensor& bias = {}, int64_t axes = 1, double epsilon = 1e-05);

// x / sqrt(mean(x * x) + epsilon) over the last `axes` axes, times a weight of their shape if there
// is one (Zhang and Sennrich, 2019). PyTorch's default epsilon is that of the dtype.
Tensor rms_norm(const Tensor& tensor, const Tensor& weight = {}, int64_t axes = 1, double epsilon = 1e-05);

// Splits the channels of [N, C, ...] into groups and makes each group of each item have mean 0 and
// variance 1 as `layer_norm` does; then times a weight and plus a bias [C] if there are any (Wu and
// He, 2018).
Tensor group_norm(const Tensor& tensor, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {}, double epsilon = 1e-05);

// (x - mean) / sqrt(variance + epsilon) for each channel of [N, C, ...] with the given statistics
// [C], times a weight and plus a bias [C] if there are any (Ioffe and Szegedy, 2015). Gradients
// flow into the statistics too, so training passes those of the batch.
Tensor batch_norm(const Tensor& tensor, const Tensor& mean, const Tensor& variance, const Tensor& weight = {}, const Tensor& bias = {}, double epsilon = 1e-05);

// softmax(Q K^T * scale) V over [..., L, E], [..., S, E] and [..., S, Ev], giving [..., L, Ev]; the
// axes before the last two broadcast. Scale 0 stands for 1 / sqrt(E). A mask broadcasts to [..., L,
// S]: a boolean or integer one says with non-zero which keys take part, a floating-point one is
// added to the scores. `causal` lets query i see the keys up to i. A query that sees no key gets
// zeros (Vaswani and others, 2017).
Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask = {}, bool causal = false, double scale = 0.0);

// softmax(Q K^T * scale), [..., L, S]: the weights that `attention` gives the values, by the same
// rules.
Tensor attention_weights(const Tensor& query, const Tensor& key, const Tensor& mask = {}, bool causal = false, double scale = 0.0);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator%(const Tensor& a, const Tensor& b) { return mod(a, b); }
inline Tensor operator-(const Tensor& x) { return negative(x); }

// Element by element, giving a boolean tensor; Tensor::same_as compares handles.
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return neq(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return lte(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return gte(a, b); }

}  // namespace sm
