#pragma once

#include <cstdint>

// The loops of kernels/rows.hpp over some rows of `n` elements, for float and
// double. Rows follow each other without a gap.
namespace sm::kernels::simd {

struct NormShape {
  int64_t n;
  double epsilon;
  bool centre;
};

// What a row was normalised with: (x - mean) * scale.
template <class T>
struct RowStats {
  T mean, scale;
};

// Columns `begin` to `end` of a matrix of `n` columns.
struct Columns {
  int64_t rows, n, begin, end;
};

template <class T>
struct RowKernels {
  void (*softmax)(const T* x, T* out, int64_t rows, int64_t n);
  void (*log_softmax)(const T* x, T* out, int64_t rows, int64_t n);
  void (*softmax_gradient)(const T* gradient, const T* out, T* into, int64_t rows, int64_t n);
  void (*log_softmax_gradient)(const T* gradient, const T* out, T* into, int64_t rows, int64_t n);
  // `weight` and `bias` may be null, here and below.
  void (*normalize)(const NormShape& shape, const T* x, const T* weight, const T* bias, T* out, int64_t rows);
  // Writes `into` and `stats` unless they are null.
  void (*normalize_gradient)(const NormShape& shape, const T* gradient, const T* x, const T* weight, T* into,
                             RowStats<T>* stats, int64_t rows);
  // out[j - begin] = the sum over rows of gradient[., j], times the normalised x[., j] where `x` isn't null.
  void (*sum_columns)(const Columns& columns, const T* gradient, const T* x, const RowStats<T>* stats, T* out);
};

// Those for this CPU. T is float or double.
template <class T>
const RowKernels<T>& row_kernels();
template <>
const RowKernels<float>& row_kernels();
template <>
const RowKernels<double>& row_kernels();

}  // namespace sm::kernels::simd
