#include "kernels/cpu/vector.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/vector.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/vector_math-inl.hpp"
#include "kernels/cpu/vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::HWY_NAMESPACE {
namespace {

using namespace simd::HWY_NAMESPACE;

// in[k] from `i` on, or its only element everywhere.
template <bool fixed, class D, class Part>
HWY_INLINE hn::Vec<D> operand(D d, const TypeOf<D>* in, int64_t i, Part part) {
  if constexpr (fixed)
    return hn::Set(d, *in);
  else
    return load(d, in + i, part);
}

template <class T, bool a_fixed, bool b_fixed, int count, class F>
HWY_INLINE void run(const T* const* in, T* out, size_t n, F f) {
  const hn::ScalableTag<T> d;
  const T *a = in[0], *b = count > 1 ? in[1] : nullptr, *c = count > 2 ? in[2] : nullptr;
  each_vector(d, static_cast<int64_t>(n), [&](int64_t i, auto part) HWY_ATTR {
    if constexpr (count == 1)
      store(d, f(d, operand<a_fixed>(d, a, i, part)), out + i, part);
    else if constexpr (count == 2)
      store(d, f(d, operand<a_fixed>(d, a, i, part), operand<b_fixed>(d, b, i, part)), out + i, part);
    else
      store(d, f(d, load(d, a + i, part), load(d, b + i, part), load(d, c + i, part)), out + i, part);
  });
}

// Highway's Ne is false for NaN.
template <class V>
HWY_INLINE auto differs(V a, V b) {
  return hn::Not(hn::Eq(a, b));
}

// A function object for each function, so that the tables below can be lists of types.
#define SHUMAI_UNARY(Name, expression)        \
  struct Name {                               \
    template <class D, class V>               \
    HWY_INLINE V operator()(D d, V x) const { \
      (void)d;                                \
      return expression;                      \
    }                                         \
  };
SHUMAI_UNARY(Negative, hn::Neg(x))
SHUMAI_UNARY(Absolute, hn::Abs(x))
SHUMAI_UNARY(Sign, sign(d, x))
SHUMAI_UNARY(Exp, exp(d, x))
SHUMAI_UNARY(Expm1, expm1(d, x))
SHUMAI_UNARY(Log, log(d, x))
SHUMAI_UNARY(Log1p, log1p(d, x))
SHUMAI_UNARY(Sqrt, hn::Sqrt(x))
SHUMAI_UNARY(Rsqrt, hn::Div(hn::Set(d, TypeOf<D>(1)), hn::Sqrt(x)))
SHUMAI_UNARY(Reciprocal, hn::Div(hn::Set(d, TypeOf<D>(1)), x))
SHUMAI_UNARY(Sin, sin(d, x))
SHUMAI_UNARY(Cos, cos(d, x))
SHUMAI_UNARY(Tanh, tanh(d, x))
SHUMAI_UNARY(Sigmoid, sigmoid(d, x))
SHUMAI_UNARY(Softplus, softplus(d, x))
SHUMAI_UNARY(Erf, erf(d, x))
SHUMAI_UNARY(Relu, relu(d, x))
SHUMAI_UNARY(Square, hn::Mul(x, x))
SHUMAI_UNARY(Floor, hn::Floor(x))
SHUMAI_UNARY(Ceil, hn::Ceil(x))
SHUMAI_UNARY(Rint, hn::Round(x))
SHUMAI_UNARY(Trunc, hn::Trunc(x))
#undef SHUMAI_UNARY

// 1 where the mask is set, else 0.
#define SHUMAI_MASK(Name, arguments, mask)                       \
  struct Name {                                                  \
    template <class D, class V>                                  \
    HWY_INLINE V operator() arguments const {                    \
      return hn::IfThenElseZero(mask, hn::Set(d, TypeOf<D>(1))); \
    }                                                            \
  };
SHUMAI_MASK(LogicalNot, (D d, V x), hn::Eq(x, hn::Zero(d)))
SHUMAI_MASK(IsNan, (D d, V x), hn::IsNaN(x))
SHUMAI_MASK(IsInf, (D d, V x), hn::IsInf(x))
SHUMAI_MASK(IsFinite, (D d, V x), hn::IsFinite(x))
SHUMAI_MASK(Equal, (D d, V a, V b), hn::Eq(a, b))
SHUMAI_MASK(NotEqual, (D d, V a, V b), differs(a, b))
SHUMAI_MASK(Less, (D d, V a, V b), hn::Lt(a, b))
SHUMAI_MASK(LessEqual, (D d, V a, V b), hn::Le(a, b))
SHUMAI_MASK(Greater, (D d, V a, V b), hn::Gt(a, b))
SHUMAI_MASK(GreaterEqual, (D d, V a, V b), hn::Ge(a, b))
SHUMAI_MASK(LogicalAnd, (D d, V a, V b), hn::And(differs(a, hn::Zero(d)), differs(b, hn::Zero(d))))
SHUMAI_MASK(LogicalOr, (D d, V a, V b), hn::Or(differs(a, hn::Zero(d)), differs(b, hn::Zero(d))))
SHUMAI_MASK(LogicalXor, (D d, V a, V b), hn::Xor(differs(a, hn::Zero(d)), differs(b, hn::Zero(d))))
#undef SHUMAI_MASK

#define SHUMAI_BINARY(Name, expression)            \
  struct Name {                                    \
    template <class D, class V>                    \
    HWY_INLINE V operator()(D d, V a, V b) const { \
      (void)d;                                     \
      return expression;                           \
    }                                              \
  };
SHUMAI_BINARY(Add, hn::Add(a, b))
SHUMAI_BINARY(Sub, hn::Sub(a, b))
SHUMAI_BINARY(Mul, hn::Mul(a, b))
SHUMAI_BINARY(Div, hn::Div(a, b))
SHUMAI_BINARY(Maximum, maximum(d, a, b))
SHUMAI_BINARY(Minimum, minimum(d, a, b))
#undef SHUMAI_BINARY

struct Where {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V condition, V a, V b) const {
    return hn::IfThenElse(hn::Ne(condition, hn::Zero(d)), a, b);
  }
};

template <class T, class F>
void one(const T* const* in, T* out, size_t n) {
  run<T, false, false, 1>(in, out, n, F());
}

template <class T, class F>
Map<T> two(Fixed fixed) {
  switch (fixed) {
    case Fixed::kFirst:
      return [](const T* const* in, T* out, size_t n) { run<T, true, false, 2>(in, out, n, F()); };
    case Fixed::kSecond:
      return [](const T* const* in, T* out, size_t n) { run<T, false, true, 2>(in, out, n, F()); };
    default:
      return [](const T* const* in, T* out, size_t n) { run<T, false, false, 2>(in, out, n, F()); };
  }
}

template <class T>
Map<T> smooth_of(Unary kind) {
  switch (kind) {
    case Unary::kExp:
      return one<T, Exp>;
    case Unary::kExpm1:
      return one<T, Expm1>;
    case Unary::kLog:
      return one<T, Log>;
    case Unary::kLog1p:
      return one<T, Log1p>;
    case Unary::kSqrt:
      return one<T, Sqrt>;
    case Unary::kRsqrt:
      return one<T, Rsqrt>;
    case Unary::kReciprocal:
      return one<T, Reciprocal>;
    case Unary::kSin:
      return one<T, Sin>;
    case Unary::kCos:
      return one<T, Cos>;
    case Unary::kTanh:
      return one<T, Tanh>;
    case Unary::kSigmoid:
      return one<T, Sigmoid>;
    case Unary::kSoftplus:
      return one<T, Softplus>;
    case Unary::kErf:
      return one<T, Erf>;
    default:
      return nullptr;
  }
}

template <class T>
Map<T> unary_of(Unary kind) {
  switch (kind) {
    case Unary::kNegative:
      return one<T, Negative>;
    case Unary::kAbsolute:
      return one<T, Absolute>;
    case Unary::kSign:
      return one<T, Sign>;
    case Unary::kRelu:
      return one<T, Relu>;
    case Unary::kSquare:
      return one<T, Square>;
    case Unary::kFloor:
      return one<T, Floor>;
    case Unary::kCeil:
      return one<T, Ceil>;
    case Unary::kRint:
      return one<T, Rint>;
    case Unary::kTrunc:
      return one<T, Trunc>;
    default:
      return smooth_of<T>(kind);
  }
}

template <class T>
Map<T> binary_of(Binary kind, Fixed fixed) {
  switch (kind) {
    case Binary::kAdd:
      return two<T, Add>(fixed);
    case Binary::kSub:
      return two<T, Sub>(fixed);
    case Binary::kMul:
      return two<T, Mul>(fixed);
    case Binary::kDiv:
      return two<T, Div>(fixed);
    case Binary::kMaximum:
      return two<T, Maximum>(fixed);
    case Binary::kMinimum:
      return two<T, Minimum>(fixed);
    default:
      return nullptr;
  }
}

template <class T>
Map<T> compare_of(Compare kind, Fixed fixed) {
  switch (kind) {
    case Compare::kEq:
      return two<T, Equal>(fixed);
    case Compare::kNeq:
      return two<T, NotEqual>(fixed);
    case Compare::kLt:
      return two<T, Less>(fixed);
    case Compare::kLte:
      return two<T, LessEqual>(fixed);
    case Compare::kGt:
      return two<T, Greater>(fixed);
    case Compare::kGte:
      return two<T, GreaterEqual>(fixed);
    case Compare::kLogicalAnd:
      return two<T, LogicalAnd>(fixed);
    case Compare::kLogicalOr:
      return two<T, LogicalOr>(fixed);
    default:
      return two<T, LogicalXor>(fixed);
  }
}

template <class T>
Map<T> predicate_of(Predicate kind) {
  switch (kind) {
    case Predicate::kIsNan:
      return one<T, IsNan>;
    case Predicate::kIsInf:
      return one<T, IsInf>;
    case Predicate::kIsFinite:
      return one<T, IsFinite>;
    default:
      return one<T, LogicalNot>;
  }
}

template <class T>
Map<T> where_of() {
  return [](const T* const* in, T* out, size_t n) { run<T, false, false, 3>(in, out, n, Where()); };
}

Map<float> unary_float(Unary kind) { return unary_of<float>(kind); }
Map<double> unary_double(Unary kind) { return unary_of<double>(kind); }
Map<float> binary_float(Binary kind, Fixed fixed) { return binary_of<float>(kind, fixed); }
Map<double> binary_double(Binary kind, Fixed fixed) { return binary_of<double>(kind, fixed); }
Map<float> compare_float(Compare kind, Fixed fixed) { return compare_of<float>(kind, fixed); }
Map<double> compare_double(Compare kind, Fixed fixed) { return compare_of<double>(kind, fixed); }
Map<float> predicate_float(Predicate kind) { return predicate_of<float>(kind); }
Map<double> predicate_double(Predicate kind) { return predicate_of<double>(kind); }
Map<float> where_float() { return where_of<float>(); }
Map<double> where_double() { return where_of<double>(); }

}  // namespace
}  // namespace sm::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels {

HWY_EXPORT(unary_float);
HWY_EXPORT(unary_double);
HWY_EXPORT(binary_float);
HWY_EXPORT(binary_double);
HWY_EXPORT(compare_float);
HWY_EXPORT(compare_double);
HWY_EXPORT(predicate_float);
HWY_EXPORT(predicate_double);
HWY_EXPORT(where_float);
HWY_EXPORT(where_double);

template <>
Map<float> map_of(Unary kind) {
  return HWY_DYNAMIC_DISPATCH(unary_float)(kind);
}
template <>
Map<double> map_of(Unary kind) {
  return HWY_DYNAMIC_DISPATCH(unary_double)(kind);
}
template <>
Map<float> map_of(Binary kind, Fixed fixed) {
  return HWY_DYNAMIC_DISPATCH(binary_float)(kind, fixed);
}
template <>
Map<double> map_of(Binary kind, Fixed fixed) {
  return HWY_DYNAMIC_DISPATCH(binary_double)(kind, fixed);
}
template <>
Map<float> map_of(Compare kind, Fixed fixed) {
  return HWY_DYNAMIC_DISPATCH(compare_float)(kind, fixed);
}
template <>
Map<double> map_of(Compare kind, Fixed fixed) {
  return HWY_DYNAMIC_DISPATCH(compare_double)(kind, fixed);
}
template <>
Map<float> map_of(Predicate kind) {
  return HWY_DYNAMIC_DISPATCH(predicate_float)(kind);
}
template <>
Map<double> map_of(Predicate kind) {
  return HWY_DYNAMIC_DISPATCH(predicate_double)(kind);
}
template <>
Map<float> map_of_where() {
  return HWY_DYNAMIC_DISPATCH(where_float)();
}
template <>
Map<double> map_of_where() {
  return HWY_DYNAMIC_DISPATCH(where_double)();
}

}  // namespace sm::kernels
#endif
