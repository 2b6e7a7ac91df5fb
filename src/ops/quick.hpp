#pragma once

#include "kernels/pointwise.hpp"
#include "tensor/impl.hpp"

// The shortest way through a pointwise op: few float32 elements that lie row by
// row. What these functions don't serve gives an undefined tensor, and the
// general way has to be taken.
namespace sm::ops {

inline constexpr int64_t kQuickElements = 1024;

inline bool is_quick(const TensorImpl& x) {
  return x.dtype == DType::f32 && x.is_contiguous && !x.is_number && x.elements <= kQuickElements &&
         x.elements < kernels::recording_threshold();
}

template <kernels::Binary kind>
float combine(float a, float b) {
  if constexpr (kind == kernels::Binary::kAdd) return a + b;
  if constexpr (kind == kernels::Binary::kSub) return a - b;
  if constexpr (kind == kernels::Binary::kMul) return a * b;
  if constexpr (kind == kernels::Binary::kDiv) return a / b;
  if constexpr (kind == kernels::Binary::kMaximum) return a != a || a > b ? a : b;
  if constexpr (kind == kernels::Binary::kMinimum) return a != a || a < b ? a : b;
}

template <kernels::Unary kind>
float apply(float x) {
  if constexpr (kind == kernels::Unary::kNegative) return -x;
  if constexpr (kind == kernels::Unary::kSquare) return x * x;
}

// A plain number as float32.
inline float value_of_number(TensorImpl& number) {
  if (number.dtype == DType::f64) return static_cast<float>(*number.as<double>());
  if (number.dtype == DType::i64) return static_cast<float>(*number.as<int64_t>());
  return *number.as<bool>() ? 1.0f : 0.0f;
}

// f(element of x) for each.
template <class F>
Tensor quick_map(TensorImpl& x, F f) {
  Tensor out = make_tensor(x.shape, DType::f32);
  const float* from = x.as<float>();
  float* __restrict to = out.impl()->as<float>();
  for (int64_t i = 0, n = x.elements; i < n; ++i) to[i] = f(from[i]);
  return out;
}

template <kernels::Unary kind>
Tensor quick_unary(const Tensor& tensor) {
  TensorImpl* x = tensor.impl();
  return x && is_quick(*x) ? quick_map(*x, [](float each) { return apply<kind>(each); }) : Tensor();
}

// f(element of x, element of y) for each, of two with the same shape.
template <class F>
Tensor quick_zip(TensorImpl& x, TensorImpl& y, F f) {
  Tensor out = make_tensor(x.shape, DType::f32);
  const float *a = x.as<float>(), *b = y.as<float>();
  float* __restrict to = out.impl()->as<float>();
  for (int64_t i = 0, n = x.elements; i < n; ++i) to[i] = f(a[i], b[i]);
  return out;
}

// One of the two is a number, or of one element and no more axes than the other.
template <kernels::Binary kind>
Tensor quick_binary(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return {};
  TensorImpl &x = *a.impl(), &y = *b.impl();
  const bool left = is_quick(x), right = is_quick(y);
  if (left && right && x.shape == y.shape)
    return quick_zip(x, y, [](float each, float other) { return combine<kind>(each, other); });
  const auto fixed = [](TensorImpl& one, bool quick, const TensorImpl& other) {
    return one.is_number || (quick && one.elements == 1 && one.shape.size() <= other.shape.size());
  };
  if (left && fixed(y, right, x)) {
    const float by = right ? *y.as<float>() : value_of_number(y);
    return quick_map(x, [by](float each) { return combine<kind>(each, by); });
  }
  if (right && fixed(x, left, y)) {
    const float by = left ? *x.as<float>() : value_of_number(x);
    return quick_map(y, [by](float each) { return combine<kind>(by, each); });
  }
  return {};
}

}  // namespace sm::ops
