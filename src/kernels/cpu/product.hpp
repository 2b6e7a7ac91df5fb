#pragma once

#include <cstdint>

namespace sm::kernels {

// A float32 matrix in memory. One of the strides is 1, and the other at least the length of a line.
struct Matrix {
  const float* data;
  int64_t row, column;  // strides, in elements

  Matrix transposed() const { return {data, column, row}; }
};

// c = alpha a b + beta c for a [m, k], b [k, n] and rows of c that are `c_row` apart, on the calling thread. All sizes
// are at least 1. With beta 0 what c holds doesn't matter.
void multiply_add(int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, float* c,
                  int64_t c_row);

}  // namespace sm::kernels
