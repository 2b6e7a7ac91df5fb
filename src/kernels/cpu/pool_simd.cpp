#include "kernels/cpu/pool_simd.hpp"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pool_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The values at the same place of as many windows as a vector has lanes.
template <class V>
struct Window {
  V top_left, top_right, bottom_left, bottom_right;
};

template <class D, class T = hn::TFromD<D>>
HWY_INLINE Window<hn::Vec<D>> load_windows(D d, const T* top, const T* bottom) {
  Window<hn::Vec<D>> w;
  hn::LoadInterleaved2(d, top, w.top_left, w.top_right);
  hn::LoadInterleaved2(d, bottom, w.bottom_left, w.bottom_right);
  return w;
}

// The larger one, or the first NaN.
template <class V>
HWY_INLINE V larger(V best, V next) {
  return hn::IfThenElse(hn::Or(hn::Gt(next, best), hn::IsNaN(next)), next, best);
}

template <class V>
HWY_INLINE V maximum(const Window<V>& w) {
  return larger(larger(larger(w.top_left, w.top_right), w.bottom_left), w.bottom_right);
}

// `gradient` where `value` is the best and no value before it was, which `free` keeps.
template <class V, class M>
HWY_INLINE V take_first(V value, V best, V gradient, M& free) {
  const auto hit = hn::And(free, hn::Or(hn::Eq(value, best), hn::IsNaN(value)));
  free = hn::AndNot(hit, free);
  return hn::IfThenElseZero(hit, gradient);
}

// Calls f(first window) for as many windows at a time as `d` has lanes. The last ones overlap the ones before: what
// is computed twice is the same.
template <class D, class F>
HWY_INLINE void each_group(D d, int64_t windows, const F& f) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i + lanes <= windows; i += lanes) f(i);
  if (windows % lanes != 0) f(windows - lanes);
}

template <class D, class T = hn::TFromD<D>>
void max_rows(D d, HalvedPlane plane, const T* x, T* out) {
  for (int64_t row = 0; row < plane.rows(); ++row) {
    const T* top = x + 2 * row * plane.width;
    each_group(d, plane.columns(), [&](int64_t i) {
      hn::StoreU(maximum(load_windows(d, top + 2 * i, top + plane.width + 2 * i)), d, out + row * plane.columns() + i);
    });
  }
}

template <class D, class T = hn::TFromD<D>>
void spread_rows(D d, HalvedPlane plane, const T* x, const T* gradient, T* into) {
  for (int64_t row = 0; row < plane.rows(); ++row) {
    const int64_t top = 2 * row * plane.width, bottom = top + plane.width;
    each_group(d, plane.columns(), [&](int64_t i) {
      const auto w = load_windows(d, x + top + 2 * i, x + bottom + 2 * i);
      const auto best = maximum(w), g = hn::LoadU(d, gradient + row * plane.columns() + i);
      auto free = hn::FirstN(d, hn::Lanes(d));
      const auto a = take_first(w.top_left, best, g, free), b = take_first(w.top_right, best, g, free);
      const auto c = take_first(w.bottom_left, best, g, free), e = take_first(w.bottom_right, best, g, free);
      hn::StoreInterleaved2(a, b, d, into + top + 2 * i);
      hn::StoreInterleaved2(c, e, d, into + bottom + 2 * i);
    });
    if (plane.width % 2 != 0) into[top + plane.width - 1] = into[bottom + plane.width - 1] = T{};
  }
  if (plane.height % 2 != 0) std::fill_n(into + (plane.height - 1) * plane.width, plane.width, T{});
}

// Calls f with the widest vectors that a row of windows fills.
template <class T, class F>
HWY_INLINE void with_lanes(int64_t windows, const F& f) {
  if (windows >= static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>())))
    f(hn::ScalableTag<T>());
  else if (windows >= 8)
    f(hn::CappedTag<T, 8>());
  else if (windows >= 4)
    f(hn::CappedTag<T, 4>());
  else
    f(hn::CappedTag<T, 1>());
}

template <class T>
void max_plane(HalvedPlane plane, const T* x, T* out) {
  with_lanes<T>(plane.columns(), [&](auto d) { max_rows(d, plane, x, out); });
}
template <class T>
void spread_plane(HalvedPlane plane, const T* x, const T* gradient, T* into) {
  with_lanes<T>(plane.columns(), [&](auto d) { spread_rows(d, plane, x, gradient, into); });
}

void max_f32(HalvedPlane plane, const float* x, float* out) { max_plane(plane, x, out); }
void max_f64(HalvedPlane plane, const double* x, double* out) { max_plane(plane, x, out); }
void spread_f32(HalvedPlane plane, const float* x, const float* g, float* into) { spread_plane(plane, x, g, into); }
void spread_f64(HalvedPlane plane, const double* x, const double* g, double* into) { spread_plane(plane, x, g, into); }

}  // namespace sm::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels {

HWY_EXPORT(max_f32);
HWY_EXPORT(max_f64);
HWY_EXPORT(spread_f32);
HWY_EXPORT(spread_f64);

void max_of_windows(HalvedPlane plane, const float* x, float* out) { HWY_DYNAMIC_DISPATCH(max_f32)(plane, x, out); }
void max_of_windows(HalvedPlane plane, const double* x, double* out) { HWY_DYNAMIC_DISPATCH(max_f64)(plane, x, out); }
void spread_to_maxima(HalvedPlane plane, const float* x, const float* gradient, float* into) {
  HWY_DYNAMIC_DISPATCH(spread_f32)(plane, x, gradient, into);
}
void spread_to_maxima(HalvedPlane plane, const double* x, const double* gradient, double* into) {
  HWY_DYNAMIC_DISPATCH(spread_f64)(plane, x, gradient, into);
}

}  // namespace sm::kernels
#endif
