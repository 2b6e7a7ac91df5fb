#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/parallel.hpp"

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
  int64_t reach(int axis) const {
    return (kernel[axis] - 1) * dilation[axis];
  }  // from a filter's first tap to its last
  int64_t multiply_adds() const { return batch * output_elements() * (in_channels / groups) * kernel[0] * kernel[1]; }
};

enum class ConvPass : uint8_t { kForward, kInputGradient, kFilterGradient };

// The operands of a pass, contiguous. It writes the one that it yields and reads the others; `bias` is for the forward
// pass, and may be null.
struct ConvOperands {
  float* input;
  float* filter;
  const float* bias;
  float* output;
};

// How a batch is cut: `pieces` parts that differ by at most one item.
struct ConvCut {
  int64_t batch, pieces;

  explicit ConvCut(const ConvSizes& sizes) : batch(sizes.batch) {
    constexpr int64_t kGrain = int64_t{1} << 21;  // multiply-adds that are worth waking a thread for
    const int64_t worth = std::max<int64_t>(1, sizes.multiply_adds() / kGrain);

    pieces = std::min<int64_t>({batch, num_threads(), worth});
  }
  int64_t begin(int64_t piece) const { return piece * (batch / pieces) + std::min(piece, batch % pieces); }
  int64_t size(int64_t piece) const { return begin(piece + 1) - begin(piece); }
};

// Calls run(items, operands) for each piece of the batch, on the threads of the pool. Each piece but the first has a
// filter gradient of its own; they are added up in order.
template <class Run>
void run_pieces(ConvPass pass, const ConvSizes& sizes, const ConvCut& cut, const ConvOperands& all, const Run& run) {
  const int64_t filter_size = sizes.filter_elements();
  const bool sums = pass == ConvPass::kFilterGradient;
  std::vector<float> partial(sums ? static_cast<size_t>((cut.pieces - 1) * filter_size) : 0);
  parallel_for(cut.pieces, 0, [&](int64_t from, int64_t to) {
    for (int64_t piece = from; piece < to; ++piece) {
      float* filter = sums && piece > 0 ? partial.data() + (piece - 1) * filter_size : all.filter;
      run(cut.size(piece), ConvOperands{all.input + cut.begin(piece) * sizes.input_elements(), filter, all.bias,
                                        all.output + cut.begin(piece) * sizes.output_elements()});
    }
  });
  for (size_t i = 0; i < partial.size(); ++i) all.filter[static_cast<int64_t>(i) % filter_size] += partial[i];
}

}  // namespace sm::kernels
