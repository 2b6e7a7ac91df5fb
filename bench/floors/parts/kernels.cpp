#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "floors/parts/kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once for each target.
#include <hwy/highway.h>

#include "floors/parts/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace bench {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kChains = 12;

void fma(int64_t rounds) {
  const hn::ScalableTag<float> d;
  const auto scale = hn::Set(d, 0.5f), step = hn::Set(d, 1.0f);
  // The compiler would merge chains that begin alike.
  const auto first = [&](int chain) { return hn::Iota(d, static_cast<float>(chain)); };
  auto s0 = first(0), s1 = first(1), s2 = first(2), s3 = first(3), s4 = first(4), s5 = first(5);
  auto s6 = first(6), s7 = first(7), s8 = first(8), s9 = first(9), s10 = first(10), s11 = first(11);
  for (int64_t i = 0; i < rounds; ++i) {
    s0 = hn::MulAdd(s0, scale, step), s1 = hn::MulAdd(s1, scale, step), s2 = hn::MulAdd(s2, scale, step);
    s3 = hn::MulAdd(s3, scale, step), s4 = hn::MulAdd(s4, scale, step), s5 = hn::MulAdd(s5, scale, step);
    s6 = hn::MulAdd(s6, scale, step), s7 = hn::MulAdd(s7, scale, step), s8 = hn::MulAdd(s8, scale, step);
    s9 = hn::MulAdd(s9, scale, step), s10 = hn::MulAdd(s10, scale, step), s11 = hn::MulAdd(s11, scale, step);
  }
  const auto sum =
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)),
              hn::Add(hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)), hn::Add(hn::Add(s8, s9), hn::Add(s10, s11))));
  volatile float sink = hn::GetLane(sum);
  (void)sink;
}

double operations(int64_t rounds) {
  return 2.0 * static_cast<double>(kChains * rounds) * static_cast<double>(hn::Lanes(hn::ScalableTag<float>()));
}

void triad(float* HWY_RESTRICT a, const float* HWY_RESTRICT b, const float* HWY_RESTRICT c, size_t count) {
  const hn::ScalableTag<float> d;
  const auto scale = hn::Set(d, 3.0f);
  for (size_t i = 0; i < count; i += hn::Lanes(d))
    hn::Store(hn::MulAdd(scale, hn::Load(d, c + i), hn::Load(d, b + i)), d, a + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bench {

HWY_EXPORT(fma);
HWY_EXPORT(operations);
HWY_EXPORT(triad);

void run_fma(int64_t rounds) { HWY_DYNAMIC_DISPATCH(fma)(rounds); }
double fma_operations(int64_t rounds) { return HWY_DYNAMIC_DISPATCH(operations)(rounds); }
void run_triad(float* a, const float* b, const float* c, size_t count) { HWY_DYNAMIC_DISPATCH(triad)(a, b, c, count); }

}  // namespace bench
#endif
