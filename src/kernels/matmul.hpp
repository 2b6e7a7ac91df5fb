#pragma once

#include "shumai/tensor.hpp"

namespace sm::kernels {

// The matrix product under the rules of NumPy's matmul: the last two axes are
// multiplied, the ones before them broadcast; a 1-d operand counts as a row on
// the left, as a column on the right, and that axis is left out of the result.
// Both have the dtype that the result gets; integers wrap around. Any strides;
// a transposed view costs no copy. No graph. A `bias` [columns of the result]
// of that dtype is added to each row, while it is in the cache.
//
// Throws Error (kShapeMismatch) for sizes that don't fit or a rank-0 operand,
// (kDTypeMismatch) for booleans.
Tensor matmul(const Tensor& a, const Tensor& b, const Tensor& bias = {});

}  // namespace sm::kernels
