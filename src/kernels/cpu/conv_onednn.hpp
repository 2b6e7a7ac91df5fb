#pragma once

#include <array>
#include <cstdint>

namespace sm::kernels {

// The sizes of one convolution: [batch, in_channels, height, width] with
// [out_channels, in_channels / groups, kernel] to [batch, out_channels, out].
struct ConvSizes {
  int64_t batch, in_channels, height, width, out_channels, groups;
  std::array<int64_t, 2> kernel, out, stride, padding, dilation;
  bool operator==(const ConvSizes&) const = default;

  int64_t input_elements() const { return in_channels * height * width; }     // of one item of the batch
  int64_t output_elements() const { return out_channels * out[0] * out[1]; }  // of one item of the batch
  int64_t filter_elements() const { return out_channels * (in_channels / groups) * kernel[0] * kernel[1]; }
  int64_t multiply_adds() const { return batch * output_elements() * (in_channels / groups) * kernel[0] * kernel[1]; }
};

enum class ConvPass : uint8_t { kForward, kInputGradient, kFilterGradient };

// Computes one pass over contiguous float32 by oneDNN, split over the pool.
// The operand that the pass yields is written, the others are read; `bias` is
// for the forward pass, and may be null. All sizes are at least 1. Returns
// false, with nothing written, where oneDNN has no such convolution. Thread-safe.
bool run_onednn(ConvPass pass, const ConvSizes& sizes, float* input, float* filter, const float* bias, float* output);

}  // namespace sm::kernels
