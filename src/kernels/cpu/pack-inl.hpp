// Lays matrices out anew in panels, for products in tiles. Part of each file that includes it, once for every target;
// not for vectors of a size that only the CPU knows.
#if defined(SHUMAI_KERNELS_CPU_PACK_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SHUMAI_KERNELS_CPU_PACK_INL_HPP
#undef SHUMAI_KERNELS_CPU_PACK_INL_HPP
#else
#define SHUMAI_KERNELS_CPU_PACK_INL_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/vectors-inl.hpp"

#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(Tag()));

// Lines that follow each other in memory with a step: out[p * width + j] is element p of line j.
struct Lines {
  const float* data;
  int64_t line, step;
};

// Reads four lines: out[i] has in its block b step 4 b + i of each.
template <class D>
HWY_INLINE void turn_blocks(D d, const float* from, int64_t line, hn::Vec<D> (&out)[4]) {
  const hn::Repartition<double, D> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + line);
  const auto e = hn::LoadU(d, from + 2 * line), f = hn::LoadU(d, from + 3 * line);
  const auto ab = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ef = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
  out[0] = hn::BitCast(d, hn::InterleaveLower(pairs, ab, ef));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ef));
  const auto cd = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto gh = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
  out[2] = hn::BitCast(d, hn::InterleaveLower(pairs, cd, gh));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, cd, gh));
}

// As many lines as a vector has lanes, and as many steps.
template <int groups>
HWY_INLINE void turn_square(const float* from, int64_t line, float* to, int64_t width) {
  const Tag d;
  Vector turned[groups][4];
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) turn_blocks(d, from + 4 * g * line, line, turned[g]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto step = [&](int block) { return to + (4 * block + i) * width; };
    if constexpr (groups == 1) {
      hn::StoreU(turned[0][i], d, step(0));
    } else if constexpr (groups == 2) {
      hn::StoreU(hn::ConcatLowerLower(d, turned[1][i], turned[0][i]), d, step(0));
      hn::StoreU(hn::ConcatUpperUpper(d, turned[1][i], turned[0][i]), d, step(1));
    } else {
      const Vector even = hn::ConcatLowerLower(d, turned[2][i], turned[0][i]);
      const Vector odd = hn::ConcatLowerLower(d, turned[3][i], turned[1][i]);
      hn::StoreU(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(odd), even), d, step(0));
      hn::StoreU(hn::OddEvenBlocks(odd, hn::SwapAdjacentBlocks(even)), d, step(1));
      const Vector high_even = hn::ConcatUpperUpper(d, turned[2][i], turned[0][i]);
      const Vector high_odd = hn::ConcatUpperUpper(d, turned[3][i], turned[1][i]);
      hn::StoreU(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(high_odd), high_even), d, step(2));
      hn::StoreU(hn::OddEvenBlocks(high_odd, hn::SwapAdjacentBlocks(high_even)), d, step(3));
    }
  }
}

// For lines whose elements lie together: what one cache line holds of them is read at once.
inline void pack_turned(const Lines& from, int64_t lines, int64_t depth, int64_t width, float* out) {
  for (int64_t begin = 0; begin < depth; begin += kLanes) {
    const int64_t end = std::min(depth, begin + kLanes);
    int64_t j = 0;
    if (end - begin == kLanes)
      for (; j + kLanes <= lines; j += kLanes)
        turn_square<kLanes / 4>(from.data + j * from.line + begin, from.line, out + begin * width + j, width);
    for (; j < lines; ++j)
      for (int64_t p = begin; p < end; ++p) out[p * width + j] = from.data[j * from.line + p];
  }
}

// `lines` of them, and zeros up to `width`.
inline void pack(const Lines& from, int64_t lines, int64_t depth, int64_t width, float* out) {
  if (from.step == 1) {
    pack_turned(from, lines, depth, width, out);
  } else if (from.line == 1) {
    const Tag d;
    for (int64_t p = 0; p < depth; ++p)
      each_vector(d, lines, [&](int64_t j, auto part) {
        store(d, load(d, from.data + p * from.step + j, part), out + p * width + j, part);
      });
  } else {
    for (int64_t p = 0; p < depth; ++p)
      for (int64_t j = 0; j < lines; ++j) out[p * width + j] = from.data[j * from.line + p * from.step];
  }
  for (int64_t p = 0; lines < width && p < depth; ++p) std::fill(out + p * width + lines, out + (p + 1) * width, 0.0F);
}

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#endif
