#pragma once

#include "kernels/types.hpp"
#include "ops/common.hpp"

namespace sm::ops {

// A tensor whose elements are f(0), f(1), ... in row order, converted.
template <class F>
Tensor generated(const Shape& shape, DType dtype, F f) {
  Tensor out = make_tensor(shape, dtype);
  kernels::with_type(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    T* to = out.impl()->as<T>();
    for (int64_t i = 0, n = out.elements(); i < n; ++i) to[i] = kernels::convert<T>(f(i));
  });
  return out;
}

}  // namespace sm::ops
