#pragma once

#include <cstdint>

#include "kernels/cpu/product.hpp"

namespace sm::kernels {

// c = a b + bias for a [m, k] and b [k, n] of any strides, on the calling thread. Rows of c are `c_row` apart; `bias`
// is one row, or null. All sizes are at least 1. On a CPU that has no such product: false, and nothing done.
//
// Made for a of few rows, which is read as it is. Panels of b are copied so that what a tile of c needs lies together
// (Goto and van de Geijn, 2008), except where reading them as they are costs less.
bool packed_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* bias, float* c, int64_t c_row);

// The same for b of few columns, and a that has a stride of 1: in vectors along the depth where rows of a lie together,
// and otherwise by the product of both transposed.
bool narrow_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* bias, float* c, int64_t c_row);

}  // namespace sm::kernels
