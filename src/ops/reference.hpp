#pragma once

#include <functional>
#include <vector>

#include "ops/common.hpp"

// What the float64 references of several families share: plain loops.
namespace sm::ops {

inline RefArray reference_zeros(const Shape& shape) {
  return {shape, std::vector<double>(static_cast<size_t>(elements_of(shape)))};
}

// Builds an output whose element at each position is that of input 0 at `source(position)`; a negative index gives
// `fallback`.
template <class F>
RefArray gathered(const RefArray& x, const Shape& shape, double fallback, F source) {
  RefArray out{shape, {}};
  const Dims strides = contiguous_strides(x.shape);
  for (int64_t flat = 0; flat < elements_of(shape); ++flat) {
    Dims at(shape.size(), 0);
    int64_t rest = flat;
    for (int i = shape.size() - 1; i >= 0; --i) {
      at[i] = rest % shape[i];
      rest /= shape[i];
    }
    const Dims from = source(at);
    int64_t position = 0;
    bool inside = true;
    for (int i = 0; i < x.shape.size(); ++i) {
      inside = inside && from[i] >= 0 && from[i] < x.shape[i];
      position += from[i] * strides[i];
    }
    out.data.push_back(inside ? x.data[static_cast<size_t>(position)] : fallback);
  }
  return out;
}

// Applies f to each row of `out` along `given_axis`.
inline RefArray along_axis(RefArray out, int64_t given_axis, const std::function<void(std::vector<double>&)>& f) {
  if (out.data.empty()) return out;
  const int axis = normalize_axis(given_axis, out.shape.size(), "reference");
  const size_t n = out.shape.empty() ? 1 : static_cast<size_t>(out.shape[axis]);
  size_t stride = 1;
  for (int i = axis + 1; i < out.shape.size(); ++i) stride *= static_cast<size_t>(out.shape[i]);
  for (size_t start = 0; start < out.data.size(); ++start) {
    if (start / stride % n != 0) continue;
    std::vector<double> row;
    for (size_t i = 0; i < n; ++i) row.push_back(out.data[start + i * stride]);
    f(row);
    for (size_t i = 0; i < n; ++i) out.data[start + i * stride] = row[i];
  }
  return out;
}

}  // namespace sm::ops
