#pragma once

#include <cstdint>
#include <span>

#include "shumai/tensor.hpp"

namespace sm::kernels {

// A contiguous tensor seen along one axis, as [outer, size, inner].
struct Along {
  int64_t outer = 1, size = 1, inner = 1;
};
Along along(const Shape& shape, int axis);

// In all of these, tensors are contiguous and of one dtype, and indices are
// within the axis. Parallel where large, with one result whatever the threads.

// out[o, k, i] = x[o, indices[k], i], with `x` seen as `view`.
void take(const Tensor& x, const Along& view, std::span<const int64_t> indices, const Tensor& out);

// out[o, indices[k], i] += values[o, k, i], in order of k, with `out` seen as
// `view`. A float16 or bfloat16 `values` goes with a float32 `out`.
void add_taken(const Tensor& values, const Along& view, std::span<const int64_t> indices, const Tensor& out);

// In the next three, `indices` has the shape of what is picked, row by row, and
// says where along `axis` each element is; on the other axes it is in place.
// That shape fits into the tensor's but for `axis`. Tensors may be strided
// unless said otherwise.

// out[..., k, ...] = x[..., indices[..., k, ...], ...], with `out` contiguous.
void gather(const Tensor& x, int axis, const Shape& shape, std::span<const int64_t> indices, const Tensor& out);
// out[..., indices[..., k, ...], ...] = values[..., k, ...], with `values` contiguous; the last of several stays.
void scatter(const Tensor& values, int axis, const Shape& shape, std::span<const int64_t> indices, const Tensor& out);
// The same with +=, in order.
void scatter_add(const Tensor& values, int axis, const Shape& shape, std::span<const int64_t> indices,
                 const Tensor& out);

}  // namespace sm::kernels
