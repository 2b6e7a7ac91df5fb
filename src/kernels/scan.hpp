#pragma once

#include "kernels/gather.hpp"
#include "shumai/tensor.hpp"

namespace sm::kernels {

// out[o, s, i] = the sum of x[o, 0..s, i], or of x[o, s.., i] when `reverse`.
// Both contiguous, of one dtype other than boolean, and seen as `view`. Floats
// are summed in double; integers wrap around.
void cumsum(const Tensor& x, const Along& view, bool reverse, const Tensor& out);

}  // namespace sm::kernels
