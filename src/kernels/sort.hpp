#pragma once

#include <cstdint>

#include "kernels/gather.hpp"
#include "shumai/tensor.hpp"

namespace sm::kernels {

// `x` is contiguous and seen as `view`; NaN is above every number, and equal
// elements are in the order of their positions. Any dtype.

// The positions along the axis of the `count` smallest (or largest) elements,
// in order, into contiguous int64 `out`, seen as [outer, count, inner].
void argsort(const Tensor& x, const Along& view, bool largest_first, int64_t count, const Tensor& out);

// The position of the element of which `rank` others are smaller, or of the
// first NaN where there is one, into contiguous int64 `out`, seen as [outer, 1, inner].
void select(const Tensor& x, const Along& view, int64_t rank, const Tensor& out);

}  // namespace sm::kernels
