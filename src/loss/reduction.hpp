#pragma once

#include "shumai/loss.hpp"

namespace sm::loss {

// Throws Error (kInvalidArgument) that names `op` for kBatchMean.
Tensor reduce(const char* op, const Tensor& losses, Reduction reduction);

}  // namespace sm::loss
