#pragma once

#include "shumai/tensor.hpp"

namespace sm::kernels {

// Writes `from`, converted and broadcast, over the elements of `to`, which may
// be strided but has no broadcast axis and storage of its own.
void copy(const Tensor& from, const Tensor& to);

// The tensor itself when it is contiguous, else a contiguous copy. No graph.
Tensor contiguous(const Tensor& tensor);
// The tensor itself when it has that dtype, else a contiguous copy. No graph.
Tensor cast(const Tensor& tensor, DType dtype);

}  // namespace sm::kernels
