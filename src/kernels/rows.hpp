#pragma once

#include "shumai/tensor.hpp"

// Kernels that read a tensor row by row along its last axis, each in one pass
// over memory. All tensors of a call are of one dtype, float32 or float64; any
// strides in, contiguous out, no graph.
namespace sm::kernels {

// Whether these kernels take a tensor of `dtype`.
inline bool has_row_kernels(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// exp(x) / sum(exp(x)) and its logarithm, along the last axis, without overflow. A row with NaN or without
// a finite maximum becomes NaN.
Tensor softmax_rows(const Tensor& x);
Tensor log_softmax_rows(const Tensor& x);

// The gradients of their inputs, from those of their outputs.
Tensor softmax_rows_gradient(const Tensor& gradient, const Tensor& out);
Tensor log_softmax_rows_gradient(const Tensor& gradient, const Tensor& out);

// Rows of `size` elements, which the last axes of a tensor make up together.
struct RowNorm {
  int64_t size;
  double epsilon;
  bool centre;  // take the mean away first
};

// (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * weight + bias; weight and bias have `size` elements or are
// undefined.
Tensor normalized_rows(const RowNorm& norm, const Tensor& x, const Tensor& weight, const Tensor& bias);

struct RowNormGradients {
  Tensor x, weight, bias;
};

// Those that are asked for of the gradients of its operands. `weight` may be undefined.
RowNormGradients normalized_rows_gradients(const RowNorm& norm, const Tensor& gradient, const Tensor& x,
                                           const Tensor& weight, bool wants_x, bool wants_weight, bool wants_bias);

// The sums over the rows of a contiguous [rows, columns]: `out` has `columns` elements. float32 and float64; float32
// is accumulated in double, over blocks.
void sum_of_rows(DType dtype, const void* x, int64_t rows, int64_t columns, void* out);

}  // namespace sm::kernels
