#pragma once

#include <cstdint>
#include <vector>

#include "ops/op.hpp"

namespace sm::ops {

// Whether negative indices count from the end.
enum class FromEnd : uint8_t { kNever, kNegative };

// The elements of `indices` in row order, each counted from the start of an
// axis of `size`. Throws Error naming the op: kOutOfRange with the index and the
// size, kDTypeMismatch unless they are integers.
std::vector<int64_t> checked_indices(const Op& op, const Tensor& indices, int64_t size, FromEnd from_end);

}  // namespace sm::ops
