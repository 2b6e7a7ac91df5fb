#pragma once

#include "kernels/cpu/conv_pass.hpp"

namespace sm::kernels {

// Computes one pass over float32 on tensors as they lie in memory, split over the pool: without the change of layout
// that oneDNN's convolutions need. All sizes are at least 1. Returns false, with nothing written, where oneDNN's are as
// good or better, and on a CPU without the like of AVX2. Thread-safe.
bool run_simd(ConvPass pass, const ConvSizes& sizes, const ConvOperands& operands);

}  // namespace sm::kernels
