#include "kernels/cpu/conv_simd.hpp"

#include <algorithm>
#include <vector>

#include "util/buffer.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/conv_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/pack-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE || (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2)
bool convolve(ConvPass, const ConvSizes&, const ConvOperands&) { return false; }
#else

// Sums that registers hold beside what they are made of: 24 of 32, 12 of 16.
constexpr bool kManyRegisters = !(HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3);

float* floats(const util::BufferRef& memory) { return reinterpret_cast<float*>(memory->data()); }

util::BufferRef zeros(int64_t count) {
  util::BufferRef memory = util::Buffer::allocate(static_cast<size_t>(count) * sizeof(float));
  std::fill_n(floats(memory), count, 0.0F);
  return memory;
}

// The channels of one group of an item with zeros around them: what a filter's tap meets at a position is a fixed
// distance from there. The zeros behind a row are those before the next, and so with channels.
struct Image {
  int64_t channels, height, width;  // without the zeros
  int64_t top, left;                // zeros before it, and as many behind it
  int64_t row = width + left, plane = row * (height + top);

  int64_t elements() const { return channels * plane + top * row + left; }

  void fill(const float* from, float* to) const {
    const Tag d;
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t h = 0; h < height; ++h, from += width) {
        float* line = to + c * plane + (h + top) * row + left;
        each_vector(d, width, [&](int64_t i, auto part) { store(d, load(d, from + i, part), line + i, part); });
      }
  }
};

// --- Filters slid over an image: the forward pass, and the input's gradient with the filters turned round. ---

constexpr int kSlideRows = kManyRegisters ? 8 : 4;  // channels of the result in a tile
constexpr int kSlideVectors = 3;                    // of positions in a tile

// Positions follow each other through whole rows of the image, zeros included. The lanes [first, end) of a vector of
// them are a part of a row of the result, whose element for lane 0 would be at `at`.
struct RowPart {
  int64_t first, end, at;
};

struct Positions {
  std::vector<RowPart> parts;
  std::vector<size_t> begin;  // of each vector's parts, and their end

  int64_t vectors() const { return static_cast<int64_t>(begin.size()) - 1; }
};

Positions positions_of(int64_t height, int64_t width, int64_t row) {
  Positions out;
  for (int64_t q = 0; q < (height - 1) * row + width; q += kLanes) {
    out.begin.push_back(out.parts.size());
    for (int64_t h = q / row; h < height && h * row < q + kLanes; ++h) {
      const int64_t first = std::max<int64_t>(0, h * row - q), end = std::min(kLanes, h * row + width - q);
      if (first < end) out.parts.push_back({first, end, q - h * (row - width)});
    }
  }
  out.begin.push_back(out.parts.size());
  return out;
}

// The filters of a group in tiles: for each tap the weights of a tile's channels. Missing channels are zeros.
struct Filters {
  int64_t channels, inputs, taps;        // of a group
  int64_t channel_stride, input_stride;  // in `weights`
  bool turned;                           // the last tap first
  int64_t depth = inputs * taps;
  int64_t elements = (channels + kSlideRows - 1) / kSlideRows * kSlideRows * depth;

  static int64_t rows_of_tile(int64_t left) { return left <= kSlideRows / 2 ? kSlideRows / 2 : kSlideRows; }

  void pack(const float* weights, float* out) const {
    for (int64_t tile = 0; tile < channels; tile += kSlideRows) {
      const int64_t rows = rows_of_tile(channels - tile), own = std::min(rows, channels - tile);
      for (int64_t i = 0; i < inputs; ++i)
        for (int64_t t = 0; t < taps; ++t, out += rows) {
          const float* from = weights + tile * channel_stride + i * input_stride + (turned ? taps - 1 - t : t);
          for (int64_t r = 0; r < own; ++r) out[r] = from[r * channel_stride];
        }
    }
  }
};

struct Slide {
  const float* image;   // at the tile's first position
  const int64_t* taps;  // distances in the image
  int64_t depth;
  const float* filters;
  const float* bias;  // or null
  const RowPart* parts;
  const size_t* begin;  // of the parts of the tile's vectors
  float* out;
  int64_t plane, channels;  // of out, from the tile on
};

template <int rows, int vectors>
void slide_tile(const Slide& t) {
  const Tag d;
  Vector sums[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) sums[r][v] = hn::Set(d, t.bias && r < t.channels ? t.bias[r] : 0);
  const float* filters = t.filters;
  for (int64_t k = 0; k < t.depth; ++k, filters += rows) {
    const float* from = t.image + t.taps[k];
    Vector x[vectors];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) x[v] = hn::LoadU(d, from + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Vector weight = hn::Set(d, filters[r]);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) sums[r][v] = hn::MulAdd(weight, x[v], sums[r][v]);
    }
  }
#pragma GCC unroll 3
  for (int v = 0; v < vectors; ++v)
    for (size_t i = t.begin[v]; i < t.begin[v + 1]; ++i) {
      const RowPart& part = t.parts[i];
      const auto inside =
          hn::AndNot(hn::FirstN(d, static_cast<size_t>(part.first)), hn::FirstN(d, static_cast<size_t>(part.end)));
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r)
        if (r < t.channels) hn::BlendedStore(sums[r][v], inside, d, t.out + r * t.plane + part.at);
    }
}

template <int rows>
void slide_vectors(const Slide& t, int64_t vectors) {
  if (vectors == 3) return slide_tile<rows, 3>(t);
  if (vectors == 2) return slide_tile<rows, 2>(t);
  slide_tile<rows, 1>(t);
}

// One group of one item.
void slide(Slide t, const Filters& filters, const Positions& positions) {
  const float *image = t.image, *packed = t.filters, *bias = t.bias;
  float* out = t.out;
  for (int64_t v = 0, left = positions.vectors(); left > 0;) {
    const int64_t own = left == 4 ? 2 : std::min<int64_t>(kSlideVectors, left);
    t.image = image + v * kLanes;
    t.begin = positions.begin.data() + v;
    for (int64_t channel = 0; channel < filters.channels; channel += kSlideRows) {
      t.filters = packed + channel * filters.depth;
      t.bias = bias ? bias + channel : nullptr;
      t.out = out + channel * t.plane;
      t.channels = filters.channels - channel;
      if (Filters::rows_of_tile(t.channels) == kSlideRows)
        slide_vectors<kSlideRows>(t, own);
      else
        slide_vectors<kSlideRows / 2>(t, own);
    }
    v += own;
    left -= own;
  }
}

void slide_all(ConvPass pass, const ConvSizes& s, const ConvOperands& operands, const Image& image,
               const Filters& filters, int64_t height, int64_t width) {
  std::vector<int64_t> taps;
  for (int64_t c = 0; c < image.channels; ++c)
    for (int64_t h = 0; h < s.kernel[0]; ++h)
      for (int64_t w = 0; w < s.kernel[1]; ++w)
        taps.push_back(c * image.plane + h * s.dilation[0] * image.row + w * s.dilation[1]);
  const Positions positions = positions_of(height, width, image.row);
  const util::BufferRef packed = zeros(s.groups * filters.elements);
  for (int64_t g = 0; g < s.groups; ++g)
    filters.pack(operands.filter + g * (s.filter_elements() / s.groups), floats(packed) + g * filters.elements);

  const int64_t plane = height * width;
  run_pieces(pass, s, ConvCut(s), operands, [&](int64_t items, const ConvOperands& piece) {
    // A tile's last vectors reach beyond the image.
    const util::BufferRef memory = zeros(image.elements() + kSlideVectors * kLanes);
    const float* from = pass == ConvPass::kForward ? piece.input : piece.output;
    float* to = pass == ConvPass::kForward ? piece.output : piece.input;
    for (int64_t i = 0; i < items; ++i)
      for (int64_t g = 0; g < s.groups; ++g) {
        image.fill(from, floats(memory));
        slide({floats(memory), taps.data(), filters.depth, floats(packed) + g * filters.elements,
               piece.bias ? piece.bias + g * filters.channels : nullptr, positions.parts.data(), nullptr, to, plane, 0},
              filters, positions);
        from += image.channels * image.height * image.width;
        to += filters.channels * plane;
      }
  });
}

// --- The filter's gradient: for each tap and channel the sum over positions of what the tap met times the output's
// gradient, whose channels are laid side by side. ---

constexpr int kSumVectors = 2;  // of output channels in a tile

struct TapSums {
  const float* image;
  int64_t row, step;      // from one position to the next in the image, down and along
  const float* gradient;  // [height, width, vectors]
  int64_t height, width;
  float* sums;            // [lines, kernel width, columns]
  int64_t line, columns;  // strides of it
};

// `starts` are where in the image the lines begin that the filter's rows meet.
template <int lines, int taps, int vectors>
void sum_tile(const TapSums& t, const int64_t* starts) {
  const Tag d;
  Vector sums[lines][taps][vectors];
  const float* from[lines];
#pragma GCC unroll 8
  for (int l = 0; l < lines; ++l) {
    from[l] = t.image + starts[l];
#pragma GCC unroll 3
    for (int j = 0; j < taps; ++j)
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sums[l][j][v] = hn::Zero(d);
  }
  const float* gradient = t.gradient;
  for (int64_t h = 0; h < t.height; ++h)
    for (int64_t at = h * t.row, end = at + t.width * t.step; at < end; at += t.step, gradient += vectors * kLanes) {
      Vector y[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) y[v] = hn::LoadU(d, gradient + v * kLanes);
#pragma GCC unroll 8
      for (int l = 0; l < lines; ++l)
#pragma GCC unroll 3
        for (int j = 0; j < taps; ++j) {
          const Vector x = hn::Set(d, from[l][at + j]);
#pragma GCC unroll 2
          for (int v = 0; v < vectors; ++v) sums[l][j][v] = hn::MulAdd(x, y[v], sums[l][j][v]);
        }
    }
#pragma GCC unroll 8
  for (int l = 0; l < lines; ++l)
#pragma GCC unroll 3
    for (int j = 0; j < taps; ++j)
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) {
        float* to = t.sums + l * t.line + j * t.columns + v * kLanes;
        hn::StoreU(hn::Add(hn::LoadU(d, to), sums[l][j][v]), d, to);
      }
}

template <int taps, int vectors>
void sum_lines(TapSums t, const std::vector<int64_t>& starts) {
  constexpr int kSums = (kManyRegisters ? 18 : 9) / (taps * vectors);
  constexpr int kMost = kSums >= 6 ? 6 : kSums >= 3 ? 3 : 1;
  size_t i = 0;
  const auto next = [&](int lines) {
    i += static_cast<size_t>(lines);
    t.sums += lines * t.line;
  };
  for (; i + kMost <= starts.size(); next(kMost)) sum_tile<kMost, taps, vectors>(t, starts.data() + i);
  if constexpr (kMost > 3)
    for (; i + 3 <= starts.size(); next(3)) sum_tile<3, taps, vectors>(t, starts.data() + i);
  if constexpr (kMost > 1)
    for (; i < starts.size(); next(1)) sum_tile<1, taps, vectors>(t, starts.data() + i);
}

template <int vectors>
void sum_taps(TapSums t, const std::vector<int64_t>& starts, const ConvSizes& s) {
  for (int64_t w = 0; w < s.kernel[1];) {
    const int64_t left = s.dilation[1] == 1 ? s.kernel[1] - w : 1, taps = left == 4 ? 2 : std::min<int64_t>(left, 3);
    if (taps == 3)
      sum_lines<3, vectors>(t, starts);
    else if (taps == 2)
      sum_lines<2, vectors>(t, starts);
    else
      sum_lines<1, vectors>(t, starts);
    w += taps;
    t.image += taps * s.dilation[1];
    t.sums += taps * t.columns;
  }
}

void sum_filter_gradient(const ConvSizes& s, const ConvOperands& operands) {
  const Image image{s.in_channels / s.groups, s.height, s.width, s.padding[0], s.padding[1]};
  std::vector<int64_t> starts;
  for (int64_t c = 0; c < image.channels; ++c)
    for (int64_t h = 0; h < s.kernel[0]; ++h) starts.push_back(c * image.plane + h * s.dilation[0] * image.row);
  const int64_t taps = image.channels * s.kernel[0] * s.kernel[1], channels = s.out_channels / s.groups;
  const int64_t columns = (channels + kLanes - 1) / kLanes * kLanes, plane = s.out[0] * s.out[1];
  // Of the gradient as much at a time as stays in the first-level cache.
  constexpr int64_t kBlock = 256;  // positions
  const int64_t block = std::clamp<int64_t>(kBlock / s.out[1], 1, s.out[0]);

  run_pieces(ConvPass::kFilterGradient, s, ConvCut(s), operands, [&](int64_t items, const ConvOperands& piece) {
    const util::BufferRef memory = zeros(image.elements()), sums = zeros(s.groups * taps * columns);
    const util::BufferRef turned = zeros(block * s.out[1] * kSumVectors * kLanes);
    const float *input = piece.input, *gradient = piece.output;
    for (int64_t i = 0; i < items; ++i)
      for (int64_t g = 0; g < s.groups; ++g) {
        image.fill(input, floats(memory));
        for (int64_t h = 0; h < s.out[0]; h += block)
          for (int64_t o = 0; o < channels; o += kSumVectors * kLanes) {
            const int64_t height = std::min(block, s.out[0] - h), own = std::min(kSumVectors * kLanes, channels - o);
            const int64_t vectors = (own + kLanes - 1) / kLanes;
            pack({gradient + o * plane + h * s.out[1], plane, 1}, own, height * s.out[1], vectors * kLanes,
                 floats(turned));
            const TapSums tile{floats(memory) + h * s.stride[0] * image.row,
                               s.stride[0] * image.row,
                               s.stride[1],
                               floats(turned),
                               height,
                               s.out[1],
                               floats(sums) + g * taps * columns + o,
                               s.kernel[1] * columns,
                               columns};
            if (vectors == 2)
              sum_taps<2>(tile, starts, s);
            else
              sum_taps<1>(tile, starts, s);
          }
        input += image.channels * image.height * image.width;
        gradient += channels * plane;
      }
    for (int64_t g = 0; g < s.groups; ++g)
      for (int64_t o = 0; o < channels; ++o)
        for (int64_t t = 0; t < taps; ++t)
          piece.filter[(g * channels + o) * taps + t] = floats(sums)[(g * taps + t) * columns + o];
  });
}

bool convolve(ConvPass pass, const ConvSizes& s, const ConvOperands& operands) {
  if (pass == ConvPass::kFilterGradient) {
    sum_filter_gradient(s, operands);
    return true;
  }
  const int64_t inputs = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const int64_t taps = s.kernel[0] * s.kernel[1];
  if (pass == ConvPass::kForward)
    slide_all(pass, s, operands, {inputs, s.height, s.width, s.padding[0], s.padding[1]},
              {outputs, inputs, taps, inputs * taps, taps, false}, s.out[0], s.out[1]);
  else
    slide_all(pass, s, operands, {outputs, s.out[0], s.out[1], s.reach(0) - s.padding[0], s.reach(1) - s.padding[1]},
              {inputs, outputs, taps, taps, inputs * taps, true}, s.height, s.width);
  return true;
}
#endif

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels {
namespace simd {
HWY_EXPORT(convolve);
}

namespace {

// Whether zeros around an image would take more room than the image.
bool mostly_zeros(int64_t height, int64_t width, int64_t top, int64_t left) {
  constexpr int64_t kSmall = 64;  // as wide as this they cost nothing
  return top > std::max(height, kSmall) / 2 || left > std::max(width, kSmall) / 2;
}

// Where this is ahead of oneDNN, whose layouts have channels in blocks (bench/NOTES.md).
bool suits(ConvPass pass, const ConvSizes& s) {
  constexpr int64_t kBlock = 16;
  const int64_t inputs = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const int64_t taps = s.kernel[0] * s.kernel[1], plane = s.out[0] * s.out[1];
  if (pass != ConvPass::kInputGradient && mostly_zeros(s.height, s.width, s.padding[0], s.padding[1])) return false;
  // A row of the output's gradient is turned at a time, and should stay in a cache.
  if (pass == ConvPass::kFilterGradient) return outputs >= kBlock && plane >= 96 && s.out[1] <= 4096;
  for (int i = 0; i < 2; ++i)
    // With more zeros rows of the result would be longer than those of the image.
    if (s.stride[i] != 1 || s.padding[i] > s.reach(i)) return false;
  if (pass == ConvPass::kInputGradient &&
      mostly_zeros(s.out[0], s.out[1], s.reach(0) - s.padding[0], s.reach(1) - s.padding[1]))
    return false;
  if (outputs < kBlock || (s.groups > 1 && inputs < kBlock)) return true;
  if (taps == 1) return plane >= 49;
  return pass == ConvPass::kForward ? inputs <= 4 && taps <= 9 : inputs >= 3 && inputs < kBlock;
}

}  // namespace

bool run_simd(ConvPass pass, const ConvSizes& s, const ConvOperands& operands) {
  return suits(pass, s) && HWY_DYNAMIC_DISPATCH(simd::convolve)(pass, s, operands);
}

}  // namespace sm::kernels
#endif
