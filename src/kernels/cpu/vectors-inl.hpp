// Loops over rows of any length in vectors of the target being compiled. Part
// of each file that includes it, once for every target.
#if defined(SHUMAI_KERNELS_CPU_VECTORS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SHUMAI_KERNELS_CPU_VECTORS_INL_HPP
#undef SHUMAI_KERNELS_CPU_VECTORS_INL_HPP
#else
#define SHUMAI_KERNELS_CPU_VECTORS_INL_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// How much of a vector lies inside a row: all of it, or the first `count` lanes.
struct Whole {};
struct Part {
  int64_t count;
};

template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load(D d, const T* from, Whole, T = T{}) {
  return hn::LoadU(d, from);
}

// Lanes past the end are `rest`. Reads nothing past the end.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load(D d, const T* from, Part part, T rest = T{}) {
#if !HWY_MEM_OPS_MIGHT_FAULT
  const auto inside = hn::FirstN(d, static_cast<size_t>(part.count));
  return hn::IfThenElse(inside, hn::MaskedLoad(inside, d, from), hn::Set(d, rest));
#else
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  hn::Store(hn::Set(d, rest), d, lanes);
  std::copy_n(from, part.count, lanes);
  return hn::Load(d, lanes);
#endif
}

template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store(D d, hn::Vec<D> v, T* to, Whole) {
  hn::StoreU(v, d, to);
}

template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store(D d, hn::Vec<D> v, T* to, Part part) {
#if !HWY_MEM_OPS_MIGHT_FAULT
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(part.count)), d, to);
#else
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  std::copy_n(lanes, part.count, to);
#endif
}

// Calls f(first element, Whole or Part) until `n` elements are covered.
template <class D, class F>
HWY_INLINE void each_vector(D d, int64_t n, const F& f) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, Whole{});
  if (i < n) f(i, Part{n - i});
}

// The sum of what f(first element, Whole or Part) gives; lanes past the end must be 0. Blocks are added up in double,
// so that the error doesn't grow with the length.
template <class D, class F>
HWY_INLINE double summed(D d, int64_t n, const F& f) {
  constexpr int64_t kBlock = 64;  // vectors
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  double total = 0;
  int64_t i = 0;
  while (i + lanes <= n) {
    auto sum = hn::Zero(d);
    for (const int64_t end = std::min(n, i + kBlock * lanes); i + lanes <= end; i += lanes)
      sum = hn::Add(sum, f(i, Whole{}));
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  if (i < n) total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, f(i, Part{n - i}))));
  return total;
}

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
