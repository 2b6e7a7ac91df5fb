#include "kernels/elementwise.hpp"

#include <cmath>

#include "kernels/cpu/vector.hpp"
#include "kernels/loop.hpp"
#include "kernels/types.hpp"

namespace sm::kernels {
namespace {

template <class T>
using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;

// Signed overflow wraps, as in PyTorch, through unsigned arithmetic.
template <class T, class F>
T wrap(T a, T b, F f) {
  if constexpr (std::is_floating_point_v<T>)
    return f(a, b);
  else
    return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

template <class T>
T power(T base, T exponent) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::pow(base, exponent);
  } else {
    if constexpr (std::is_signed_v<T>)
      if (exponent < 0) return base == 1 ? 1 : base == T(-1) ? (exponent % 2 ? T(-1) : T(1)) : T(0);
    uint64_t result = 1, factor = static_cast<uint64_t>(base);
    for (auto left = static_cast<uint64_t>(exponent); left; left >>= 1, factor *= factor)
      if (left & 1) result *= factor;
    return static_cast<T>(result);
  }
}

// The remainder with the sign of the divisor, as Python's % and torch.remainder.
template <class T>
T modulo(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const T r = std::fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return 0;
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return static_cast<T>(a % b);
    }
  }
}

// Rounded down, as Python's // and torch.floor_divide.
template <class T>
T floor_divide(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    // A division by zero is infinite or NaN; a quotient just below a whole number must not round up to it.
    if (b == 0) return a / b;
    const T rest = std::fmod(a, b);
    const T quotient = (a - rest) / b - T(rest != 0 && (rest < 0) != (b < 0));
    if (quotient == 0) return std::copysign(T(0), a / b);
    const T whole = std::floor(quotient);
    return quotient - whole > T(0.5) ? whole + T(1) : whole;
  } else {
    if constexpr (std::is_signed_v<T>) {
      // The smallest number by -1 overflows, and wraps.
      if (b == T(-1)) return wrap(T(0), a, [](auto p, auto q) { return p - q; });
      return static_cast<T>(a / b - T(a % b != 0 && (a < 0) != (b < 0)));
    } else {
      return static_cast<T>(a / b);
    }
  }
}

template <class T>
T shift_left(T a, T b) {
  const uint64_t by = static_cast<uint64_t>(b);
  return by >= sizeof(T) * 8 ? T(0) : static_cast<T>(static_cast<uint64_t>(a) << by);
}

template <class T>
T shift_right(T a, T b) {
  const uint64_t by = static_cast<uint64_t>(b);
  if (by >= sizeof(T) * 8) return a < T(0) ? static_cast<T>(-1) : T(0);
  return static_cast<T>(static_cast<Wide<T>>(a) >> by);
}

template <class T, class F>
void map1(const Tensor& x, const Tensor& out, F f) {
  using C = Compute<T>;
  run_loop(make_loop<2>({operand(x), operand(out)}, out.shape()), [f](const auto& at, const auto& step, int64_t n) {
    T* to = reinterpret_cast<T*>(at[1]);
    if (step[0] == sizeof(T)) {
      const T* from = reinterpret_cast<const T*>(at[0]);
      for (int64_t i = 0; i < n; ++i) to[i] = convert<T>(f(convert<C>(from[i])));
      return;
    }
    const char* from = at[0];
    for (int64_t i = 0; i < n; ++i, from += step[0])
      to[i] = convert<T>(f(convert<C>(*reinterpret_cast<const T*>(from))));
  });
}

template <class T, class R, class F>
void map2(const Tensor& a, const Tensor& b, const Tensor& out, F f) {
  using C = Compute<T>;
  const auto inner = [f](const auto& at, const auto& step, int64_t n) {
    R* to = reinterpret_cast<R*>(at[2]);
    const T* x = reinterpret_cast<const T*>(at[0]);
    const T* y = reinterpret_cast<const T*>(at[1]);
    if (step[0] == sizeof(T) && step[1] == sizeof(T)) {
      for (int64_t i = 0; i < n; ++i) to[i] = convert<R>(f(convert<C>(x[i]), convert<C>(y[i])));
    } else {
      const char* p = at[0];
      const char* q = at[1];
      for (int64_t i = 0; i < n; ++i, p += step[0], q += step[1])
        to[i] = convert<R>(f(convert<C>(*reinterpret_cast<const T*>(p)), convert<C>(*reinterpret_cast<const T*>(q))));
    }
  };
  run_loop(make_loop<3>({operand(a), operand(b), operand(out)}, out.shape()), inner);
}

// Elements of a block at a time: those that aren't a run of C are converted or gathered first, so that every layout
// gives the same result.
constexpr int64_t kBlock = 256;

template <class T>
const Compute<T>* block_of(const char* at, int64_t step, int64_t n, Compute<T>* block) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    if (step == sizeof(T)) return reinterpret_cast<const T*>(at);
  }
  for (int64_t i = 0; i < n; ++i) block[i] = convert<Compute<T>>(*reinterpret_cast<const T*>(at + i * step));
  return block;
}

// Calls map(in, to, n) for blocks of the operands, with `to` elements of C that are then converted to R.
template <class T, class R, int N>
void map_blocks(Map<Compute<T>> map, const std::array<Operand, N + 1>& operands, const Shape& shape) {
  using C = Compute<T>;
  run_loop(make_loop<N + 1>(operands, shape), [map](const auto& at, const auto& step, int64_t n) {
    C blocks[N + 1][kBlock];
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t some = std::min(kBlock, n - i);
      const C* in[N];
      for (int k = 0; k < N; ++k) in[k] = block_of<T>(at[k] + i * step[k], step[k], some, blocks[k]);
      R* to = reinterpret_cast<R*>(at[N]) + i;
      if constexpr (std::is_same_v<R, C>) {
        map(in, to, static_cast<size_t>(some));
      } else {
        map(in, blocks[N], static_cast<size_t>(some));
        for (int64_t k = 0; k < some; ++k) to[k] = convert<R>(blocks[N][k]);
      }
    }
  });
}

// The usual case of a function of runs: operands without gaps, or of one element. False for any other.
template <class T>
bool map_whole(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  TensorImpl &x = *a.impl(), &y = *b.impl(), &to = *out.impl();
  const bool x_whole = x.is_contiguous && x.elements == to.elements,
             y_whole = y.is_contiguous && y.elements == to.elements;
  const Fixed fixed = !x_whole ? Fixed::kFirst : !y_whole ? Fixed::kSecond : Fixed::kNone;
  if (!(x_whole || x.elements == 1) || !(y_whole || y.elements == 1) || !(x_whole || y_whole)) return false;
  const Map<T> map = map_of<T>(kind, fixed);
  if (!map) return false;
  const T* const in[] = {x.as<T>(), y.as<T>()};
  map(in, to.as<T>(), static_cast<size_t>(to.elements));
  return true;
}

// Functions of real numbers that vectors don't have.
template <class T>
void unary_special(Unary kind, const Tensor& x, const Tensor& out) {
  using C = Compute<T>;
  switch (kind) {
    case Unary::kLog2:
      return map1<T>(x, out, [](C v) { return std::log2(v); });
    case Unary::kLog10:
      return map1<T>(x, out, [](C v) { return std::log10(v); });
    case Unary::kTan:
      return map1<T>(x, out, [](C v) { return std::tan(v); });
    case Unary::kAsin:
      return map1<T>(x, out, [](C v) { return std::asin(v); });
    case Unary::kAcos:
      return map1<T>(x, out, [](C v) { return std::acos(v); });
    case Unary::kAtan:
      return map1<T>(x, out, [](C v) { return std::atan(v); });
    case Unary::kSinh:
      return map1<T>(x, out, [](C v) { return std::sinh(v); });
    case Unary::kCosh:
      return map1<T>(x, out, [](C v) { return std::cosh(v); });
    default:
      return;
  }
}

template <class T>
void unary_integer(Unary kind, const Tensor& x, const Tensor& out) {
  switch (kind) {
    case Unary::kNegative:
      return map1<T>(x, out, [](T v) { return wrap(T(0), v, [](auto a, auto b) { return a - b; }); });
    case Unary::kAbsolute:
      return map1<T>(x, out, [](T v) { return v < T(0) ? wrap(T(0), v, [](auto a, auto b) { return a - b; }) : v; });
    case Unary::kSign:
      return map1<T>(x, out, [](T v) { return static_cast<T>((T(0) < v) - (v < T(0))); });
    case Unary::kRelu:
      return map1<T>(x, out, [](T v) { return v < T(0) ? T(0) : v; });
    case Unary::kSquare:
      return map1<T>(x, out, [](T v) { return wrap(v, v, [](auto a, auto b) { return a * b; }); });
    case Unary::kBitwiseNot:
      return map1<T>(x, out, [](T v) {
        if constexpr (std::is_same_v<T, bool>)
          return !v;
        else
          return static_cast<T>(~v);
      });
    case Unary::kFloor:
    case Unary::kCeil:
    case Unary::kRint:
    case Unary::kTrunc:
      return map1<T>(x, out, [](T v) { return v; });
    default:
      return;
  }
}

template <class T>
void unary_any(Unary kind, const Tensor& x, const Tensor& out) {
  if constexpr (std::is_integral_v<T>) {
    unary_integer<T>(kind, x, out);
  } else if (const auto map = map_of<Compute<T>>(kind)) {
    map_blocks<T, T, 1>(map, {operand(x), operand(out)}, out.shape());
  } else {
    unary_special<T>(kind, x, out);
  }
}

// Functions of two real numbers that vectors don't have.
template <class T>
void binary_special(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  using C = Compute<T>;
  switch (kind) {
    case Binary::kMod:
      return map2<T, T>(a, b, out, [](C x, C y) { return modulo(x, y); });
    case Binary::kPower:
      return map2<T, T>(a, b, out, [](C x, C y) { return power(x, y); });
    case Binary::kFloorDivide:
      return map2<T, T>(a, b, out, [](C x, C y) { return floor_divide(x, y); });
    case Binary::kAtan2:
      return map2<T, T>(a, b, out, [](C x, C y) { return std::atan2(x, y); });
    default:
      return;
  }
}

// False for functions that depend on signs.
template <class U>
bool binary_unsigned(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (kind) {
    case Binary::kAdd:
      map2<U, U>(a, b, out, [](U x, U y) { return wrap(x, y, [](auto p, auto q) { return p + q; }); });
      return true;
    case Binary::kSub:
      map2<U, U>(a, b, out, [](U x, U y) { return wrap(x, y, [](auto p, auto q) { return p - q; }); });
      return true;
    case Binary::kMul:
      map2<U, U>(a, b, out, [](U x, U y) { return wrap(x, y, [](auto p, auto q) { return p * q; }); });
      return true;
    case Binary::kBitwiseAnd:
      map2<U, U>(a, b, out, [](U x, U y) { return static_cast<U>(x & y); });
      return true;
    case Binary::kBitwiseOr:
      map2<U, U>(a, b, out, [](U x, U y) { return static_cast<U>(x | y); });
      return true;
    case Binary::kBitwiseXor:
      map2<U, U>(a, b, out, [](U x, U y) { return static_cast<U>(x ^ y); });
      return true;
    case Binary::kLShift:
      map2<U, U>(a, b, out, [](U x, U y) { return shift_left(x, y); });
      return true;
    default:
      return false;
  }
}

template <class T>
void binary_integer(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (kind) {
    case Binary::kMod:
      return map2<T, T>(a, b, out, [](T x, T y) { return modulo(x, y); });
    case Binary::kPower:
      return map2<T, T>(a, b, out, [](T x, T y) { return power(x, y); });
    case Binary::kFloorDivide:
      if constexpr (!std::is_same_v<T, bool>) map2<T, T>(a, b, out, [](T x, T y) { return floor_divide(x, y); });
      return;
    case Binary::kMaximum:
      return map2<T, T>(a, b, out, [](T x, T y) { return x > y ? x : y; });
    case Binary::kMinimum:
      return map2<T, T>(a, b, out, [](T x, T y) { return x < y ? x : y; });
    case Binary::kRShift:
      return map2<T, T>(a, b, out, [](T x, T y) { return shift_right(x, y); });
    default:
      return;
  }
}

// False for comparisons that depend on signs.
template <class U>
bool compare_unsigned(Compare kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (kind) {
    case Compare::kEq:
      map2<U, bool>(a, b, out, [](U x, U y) { return x == y; });
      return true;
    case Compare::kNeq:
      map2<U, bool>(a, b, out, [](U x, U y) { return x != y; });
      return true;
    case Compare::kLogicalAnd:
      map2<U, bool>(a, b, out, [](U x, U y) { return x != U(0) && y != U(0); });
      return true;
    case Compare::kLogicalOr:
      map2<U, bool>(a, b, out, [](U x, U y) { return x != U(0) || y != U(0); });
      return true;
    case Compare::kLogicalXor:
      map2<U, bool>(a, b, out, [](U x, U y) { return (x != U(0)) != (y != U(0)); });
      return true;
    default:
      return false;
  }
}

template <class T>
void compare_integers(Compare kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (kind) {
    case Compare::kLt:
      return map2<T, bool>(a, b, out, [](T x, T y) { return x < y; });
    case Compare::kLte:
      return map2<T, bool>(a, b, out, [](T x, T y) { return x <= y; });
    case Compare::kGt:
      return map2<T, bool>(a, b, out, [](T x, T y) { return x > y; });
    case Compare::kGte:
      return map2<T, bool>(a, b, out, [](T x, T y) { return x >= y; });
    default:
      return;
  }
}

template <class T>
void compare_as(Compare kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  if constexpr (!std::is_integral_v<T>) {
    const auto map = map_of<Compute<T>>(kind, Fixed::kNone);
    map_blocks<T, bool, 2>(map, {operand(a), operand(b), operand(out)}, out.shape());
  } else if (!compare_unsigned<Bits<T>>(kind, a, b, out)) {
    compare_integers<T>(kind, a, b, out);
  }
}

template <class T>
void predicate_as(Predicate kind, const Tensor& x, const Tensor& out) {
  if constexpr (!std::is_integral_v<T>)
    map_blocks<T, bool, 1>(map_of<Compute<T>>(kind), {operand(x), operand(out)}, out.shape());
  else if (kind == Predicate::kLogicalNot)
    map2<T, bool>(x, x, out, [](T v, T) { return v == T(0); });
  else
    map2<T, bool>(x, x, out, [kind](T, T) { return kind == Predicate::kIsFinite; });
}

}  // namespace

void unary(Unary kind, const Tensor& x, const Tensor& out) {
  if (out.elements() == 0) return;
  with_type(out.dtype(), [&](auto type) { unary_any<typename decltype(type)::type>(kind, x, out); });
}

void predicate(Predicate kind, const Tensor& x, const Tensor& out) {
  if (out.elements() == 0) return;
  with_type(x.dtype(), [&](auto type) { predicate_as<typename decltype(type)::type>(kind, x, out); });
}

void binary(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (out.elements() == 0) return;
  with_type(out.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    if constexpr (std::is_integral_v<T>) {
      if (!binary_unsigned<Bits<T>>(kind, a, b, out)) binary_integer<T>(kind, a, b, out);
    } else {
      if constexpr (std::is_floating_point_v<T>)
        if (map_whole<T>(kind, a, b, out)) return;
      if (const auto map = map_of<Compute<T>>(kind, Fixed::kNone))
        return map_blocks<T, T, 2>(map, {operand(a), operand(b), operand(out)}, out.shape());
      return binary_special<T>(kind, a, b, out);
    }
  });
}

void compare(Compare kind, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (out.elements() == 0) return;
  with_type(a.dtype(), [&](auto type) { compare_as<typename decltype(type)::type>(kind, a, b, out); });
}

void where(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (out.elements() == 0) return;
  const Loop<4> loop = make_loop<4>({operand(condition), operand(a), operand(b), operand(out)}, out.shape());
  // As unsigned numbers, which need no branch that would be guessed wrong.
  with_size(out.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    run_loop(loop, [](const auto& at, const auto& step, int64_t n) {
      T* to = reinterpret_cast<T*>(at[3]);
      for (int64_t i = 0; i < n; ++i) {
        const T a = *reinterpret_cast<const T*>(at[1] + i * step[1]),
                b = *reinterpret_cast<const T*>(at[2] + i * step[2]);
        const T picked = static_cast<T>(-static_cast<int64_t>(*reinterpret_cast<const bool*>(at[0] + i * step[0])));
        to[i] = static_cast<T>(b ^ ((a ^ b) & picked));
      }
    });
  });
}

void fill(const Tensor& out, double value) {
  with_type(out.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    T* to = out.impl()->as<T>();
    const T element = convert<T>(value);
    for (int64_t i = 0, n = out.elements(); i < n; ++i) to[i] = element;
  });
}

}  // namespace sm::kernels
