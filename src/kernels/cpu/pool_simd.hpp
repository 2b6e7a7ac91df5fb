#pragma once

#include <cstdint>

namespace sm::kernels {

// A plane of height x width, whose windows of 2x2 stand side by side; a last odd row or column belongs to none.
struct HalvedPlane {
  int64_t height, width;
  int64_t rows() const { return height / 2; }    // of windows
  int64_t columns() const { return width / 2; }  // of windows
};

// out[rows, columns] = the maximum of each window, NaN if it holds one.
void max_of_windows(HalvedPlane plane, const float* x, float* out);
void max_of_windows(HalvedPlane plane, const double* x, double* out);

// into[height, width] = the window's gradient at its first maximum (or first NaN), 0 elsewhere.
void spread_to_maxima(HalvedPlane plane, const float* x, const float* gradient, float* into);
void spread_to_maxima(HalvedPlane plane, const double* x, const double* gradient, double* into);

}  // namespace sm::kernels
