// Functions of Highway's vectors, for kernels that are compiled once for each
// instruction set. Where Highway's own are only valid on a range, the rest is
// computed element by element.
#if defined(SHUMAI_KERNELS_CPU_VECTOR_MATH_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SHUMAI_KERNELS_CPU_VECTOR_MATH_INL_HPP
#undef SHUMAI_KERNELS_CPU_VECTOR_MATH_INL_HPP
#else
#define SHUMAI_KERNELS_CPU_VECTOR_MATH_INL_HPP
#endif

#include <hwy/highway.h>

#include <cmath>
#include <type_traits>

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using TypeOf = hn::TFromD<D>;

// scalar(x) for every lane.
template <class D, class V, class F>
HWY_NOINLINE V lane_by_lane(D d, V x, F scalar) {
  HWY_ALIGN TypeOf<D> lanes[hn::MaxLanes(D())];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = scalar(lanes[i]);
  return hn::Load(d, lanes);
}

// vector(x) where it is valid, scalar(x) elsewhere.
template <class D, class V, class M, class F, class G>
HWY_INLINE V where_valid(D d, V x, M valid, F vector, G scalar) {
  if (HWY_LIKELY(hn::AllTrue(d, valid))) return vector(d, x);
  const V safe = hn::IfThenElse(valid, x, hn::Set(d, TypeOf<D>(1)));
  return hn::IfThenElse(valid, vector(d, safe), lane_by_lane(d, x, scalar));
}

// sum of c[i] x^i
template <class D, class V, class C, size_t N>
HWY_INLINE V polynomial(D d, V x, const C (&c)[N]) {
  V sum = hn::Set(d, c[N - 1]);
  for (size_t i = N - 1; i-- > 0;) sum = hn::MulAdd(sum, x, hn::Set(d, c[i]));
  return sum;
}

// What exp needs to know of a type.
template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr float kMost = 104, kLeast = -104;  // beyond: infinite, zero
  static constexpr float kRound = 12582912;           // added, it leaves the nearest whole number in the last bits
  static constexpr int32_t kRoundBits = 0x4B400000, kBias = 127;
  static constexpr int kMantissa = 23;
  static constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  static constexpr float kSeries[] = {0.5f, 0.166665734f, 0.0416665501f, 0.00836377387f, 0.00139269266f};
};
template <>
struct ExpConstants<double> {
  static constexpr double kMost = 710, kLeast = -746;
  static constexpr double kRound = 6755399441055744;
  static constexpr int64_t kRoundBits = 0x4338000000000000, kBias = 1023;
  static constexpr int kMantissa = 52;
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kSeries[] = {0.50000000000000011,    0.16666666666666669,   0.041666666666620639,
                                       0.0083333333333297285,  0.0013888888918938576, 0.00019841269864441622,
                                       2.4801518642840553e-05, 2.755726644756615e-06, 2.7621337966270808e-07,
                                       2.5101311264966958e-08};
};

// For x between kLeast and kMost, or NaN: x = n ln 2 + r, and e^r = 1 + r + r^2 p(r) with p fitted at Chebyshev nodes.
// 2^n in two factors, since either side of the normal numbers is within reach.
template <class D, class V>
HWY_INLINE V bounded_exp(D d, V x) {
  using T = TypeOf<D>;
  using E = ExpConstants<T>;
  const hn::RebindToSigned<D> di;
  const V rounding = hn::Set(d, E::kRound);
  const V shifted = hn::MulAdd(x, hn::Set(d, T(1.442695040888963407)), rounding);
  const V n = hn::Sub(shifted, rounding);
  V r = hn::NegMulAdd(n, hn::Set(d, E::kLn2High), x);
  r = hn::NegMulAdd(n, hn::Set(d, E::kLn2Low), r);
  const V series = hn::MulAdd(polynomial(d, r, E::kSeries), hn::Mul(r, r), r);
  const auto whole = hn::Sub(hn::BitCast(di, shifted), hn::Set(di, E::kRoundBits));
  const auto half = hn::ShiftRight<1>(whole);
  const auto bias = hn::Set(di, E::kBias);
  const V first = hn::BitCast(d, hn::ShiftLeft<E::kMantissa>(hn::Add(half, bias)));
  const V second = hn::BitCast(d, hn::ShiftLeft<E::kMantissa>(hn::Add(hn::Sub(whole, half), bias)));
  return hn::Mul(hn::MulAdd(series, first, first), second);
}

template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  using E = ExpConstants<TypeOf<D>>;
  // In this order NaN comes through.
  const V bounded = hn::Max(hn::Set(d, E::kLeast), hn::Min(hn::Set(d, E::kMost), x));
  return bounded_exp(d, bounded);
}

template <class D, class V>
HWY_INLINE V expm1(D d, V x) {
  const V bounded = hn::Min(x, hn::Set(d, TypeOf<D>(sizeof(TypeOf<D>) == 4 ? 104 : 710)));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Expm1(d, bounded));
}

template <class D, class V>
HWY_INLINE V log(D d, V x) {
  using T = TypeOf<D>;
  const auto valid = hn::And(hn::Gt(x, hn::Zero(d)), hn::Lt(x, hn::Inf(d)));
  return where_valid(
      d, x, valid, [](D t, V v) HWY_ATTR { return hn::Log(t, v); }, [](T v) { return std::log(v); });
}

template <class D, class V>
HWY_INLINE V log1p(D d, V x) {
  using T = TypeOf<D>;
  const auto valid = hn::And(hn::Gt(x, hn::Set(d, T(-1))), hn::Lt(x, hn::Inf(d)));
  return where_valid(
      d, x, valid, [](D t, V v) HWY_ATTR { return hn::Log1p(t, v); }, [](T v) { return std::log1p(v); });
}

// Highway reduces an angle exactly up to here.
template <class D, class V>
HWY_INLINE auto is_small_angle(D d, V x) {
  return hn::Le(hn::Abs(x), hn::Set(d, TypeOf<D>(39000)));
}

template <class D, class V>
HWY_INLINE V sin(D d, V x) {
  return where_valid(
      d, x, is_small_angle(d, x), [](D t, V v) HWY_ATTR { return hn::Sin(t, v); },
      [](TypeOf<D> v) { return std::sin(v); });
}

template <class D, class V>
HWY_INLINE V cos(D d, V x) {
  return where_valid(
      d, x, is_small_angle(d, x), [](D t, V v) HWY_ATTR { return hn::Cos(t, v); },
      [](TypeOf<D> v) { return std::cos(v); });
}

// exp(-|x|)
template <class D, class V>
HWY_INLINE V negative_exp(D d, V x) {
  return bounded_exp(d, hn::Max(hn::Set(d, ExpConstants<TypeOf<D>>::kLeast), hn::Neg(hn::Abs(x))));
}

// Near 0 an odd polynomial, fitted at Chebyshev nodes; beyond, (1 - t) / (1 + t) with t = exp(-2|x|).
template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  if constexpr (std::is_same_v<TypeOf<D>, float>) {
    static constexpr float kNear[] = {-0.333333284f, 0.133327827f, -0.0538524985f, 0.0210036412f, -0.006104948f};
    const V squared = hn::Mul(x, x), one = hn::Set(d, 1.0f);
    const V near = hn::MulAdd(hn::Mul(polynomial(d, squared, kNear), squared), x, x);
    const V t = negative_exp(d, hn::Add(x, x));
    const V far = hn::CopySign(hn::Div(hn::Sub(one, t), hn::Add(one, t)), x);
    return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.625f)), near, far);
  } else {
    return hn::IfThenElse(hn::IsNaN(x), x, hn::Tanh(d, x));
  }
}

// exp of a large positive number overflows, so each side uses the exponential that doesn't.
template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, TypeOf<D>(1));
  const V e = negative_exp(d, x);
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

template <class D, class V>
HWY_INLINE V softplus(D d, V x) {
  const V positive = hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  return hn::Add(positive, hn::Log1p(d, negative_exp(d, x)));
}

// Near 0 the odd series; beyond, 1 - erfc with log(erfc(t)) / t as a polynomial.
// Both fitted at Chebyshev nodes; within 2 units in the last place.
template <class D, class V>
HWY_INLINE V erf(D d, V x) {
  if constexpr (std::is_same_v<TypeOf<D>, float>) {
    static constexpr float kNear[] = {0.128379166f,   -0.376126319f,   0.112836711f,   -0.0268580317f,
                                      0.00519764237f, -0.00081044418f, 8.20979694e-05f};
    static constexpr float kFar[] = {-0.128907308f,   -0.634136736f,   -0.107867017f,    0.0251451507f,
                                     -0.00430522859f, 0.000499003392f, -3.43957254e-05f, 1.04590561e-06f};
    const V near = hn::MulAdd(polynomial(d, hn::Mul(x, x), kNear), x, x);
    const V t = hn::Min(hn::Abs(x), hn::Set(d, 4.05f));
    const V e = hn::MulSub(polynomial(d, t, kFar), t, t);
    const V far = hn::CopySign(hn::Sub(hn::Set(d, 1.0f), bounded_exp(d, e)), x);
    const V y = hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.95f)), near, far);
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  } else {
    return lane_by_lane(d, x, [](TypeOf<D> v) { return std::erf(v); });
  }
}

template <class D, class V>
HWY_INLINE V sign(D d, V x) {
  const V one = hn::Set(d, TypeOf<D>(1));
  const V y = hn::Sub(hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), one), hn::IfThenElseZero(hn::Lt(x, hn::Zero(d)), one));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

template <class D, class V>
HWY_INLINE V relu(D d, V x) {
  return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
}

// NaN when either is.
template <class D, class V>
HWY_INLINE V maximum(D, V a, V b) {
  return hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Gt(a, b)), a, b);
}

template <class D, class V>
HWY_INLINE V minimum(D, V a, V b) {
  return hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Lt(a, b)), a, b);
}

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
