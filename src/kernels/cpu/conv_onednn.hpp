#pragma once

#include "kernels/cpu/conv_pass.hpp"

namespace sm::kernels {

// Computes one pass over float32 by oneDNN, split over the pool. All sizes are at least 1. Returns false, with nothing
// written, where oneDNN has no such convolution. Thread-safe.
bool run_onednn(ConvPass pass, const ConvSizes& sizes, const ConvOperands& operands);

}  // namespace sm::kernels
