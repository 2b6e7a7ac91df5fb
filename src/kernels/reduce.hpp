#pragma once

#include <cstdint>

#include "shumai/tensor.hpp"

namespace sm::kernels {

enum class Reduce : uint8_t { kSum, kProd, kMax, kMin, kAll, kAny };

// Reduces `x` over `axes` (each in range, each once) into contiguous `out`,
// whose elements are those of the axes that are kept, in order. `out` has x's
// dtype; for kAll and kAny it is boolean, and sums and products take no booleans.
// Sums of floats are accumulated in
// double, over blocks, so that their error doesn't grow with the length.
// kMax and kMin pass NaN on and need at least one element.
void reduce(Reduce kind, const Tensor& x, const Dims& axes, const Tensor& out);

// The position along `axis` of the first largest (or smallest) element, NaN
// counting as such, into contiguous int64 `out`.
void arg_reduce(bool largest, const Tensor& x, int axis, const Tensor& out);

}  // namespace sm::kernels
