#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/op.hpp"

namespace sm::ops {

// Whether negative indices count from the end.
enum class FromEnd : uint8_t { kNever, kNegative };

// The elements of `indices` in row order, each counted from the start of an
// axis of `size`. Throws Error naming `op`: kOutOfRange with the index and the
// size, kDTypeMismatch unless they are integers.
std::vector<int64_t> checked_indices(std::string_view op, const Tensor& indices, int64_t size, FromEnd from_end);

// Throws Error (kDTypeMismatch) when `values` are floats and `dtype` isn't.
void check_holds(std::string_view op, DType dtype, const Tensor& values);

}  // namespace sm::ops
