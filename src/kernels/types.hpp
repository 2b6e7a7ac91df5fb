#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "shumai/dtype.hpp"

namespace sm::kernels {

// What arithmetic on a T is done in: float for the 16-bit floats.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

// For an integer the unsigned one of its size, whose code it shares where signs don't matter; any other T itself.
template <class T>
using Bits = typename std::conditional_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, std::make_unsigned<T>,
                                         std::type_identity<T>>::type;

template <class To, class From>
inline To convert(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<From, float16> || std::is_same_v<From, bfloat16>)
    return convert<To>(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>)
    return To(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, bool>)
    return value != From{};
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Out of range is undefined in C++; saturating to 64 bits first defines it. NaN gives 0.
    if constexpr (std::is_same_v<To, uint64_t>) {
      if (value >= From(9223372036854775808.0))
        return value >= From(18446744073709551616.0) ? ~uint64_t{0} : static_cast<uint64_t>(value);
    }
    if (!(value == value)) return To{};
    if (value >= From(9223372036854775808.0)) return static_cast<To>(INT64_MAX);
    if (value < From(-9223372036854775808.0)) return static_cast<To>(INT64_MIN);
    return static_cast<To>(static_cast<int64_t>(value));
  } else
    return static_cast<To>(value);
}

template <class T>
struct Type {
  using type = T;
};

// Calls f(Type<T>{}) with the C++ type of `dtype`.
template <class F>
decltype(auto) with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::boolean:
      return f(Type<bool>{});
    case DType::u8:
      return f(Type<uint8_t>{});
    case DType::i8:
      return f(Type<int8_t>{});
    case DType::i16:
      return f(Type<int16_t>{});
    case DType::u16:
      return f(Type<uint16_t>{});
    case DType::i32:
      return f(Type<int32_t>{});
    case DType::u32:
      return f(Type<uint32_t>{});
    case DType::i64:
      return f(Type<int64_t>{});
    case DType::u64:
      return f(Type<uint64_t>{});
    case DType::f16:
      return f(Type<float16>{});
    case DType::bf16:
      return f(Type<bfloat16>{});
    case DType::f32:
      return f(Type<float>{});
    case DType::f64:
      break;
  }
  return f(Type<double>{});
}

// The same over floating-point types only.
template <class F>
decltype(auto) with_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f16:
      return f(Type<float16>{});
    case DType::bf16:
      return f(Type<bfloat16>{});
    case DType::f64:
      return f(Type<double>{});
    default:
      return f(Type<float>{});
  }
}

// Calls f(Type<T>{}) with an unsigned T of the size of the dtype's elements.
template <class F>
void with_size(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1:
      return f(Type<uint8_t>{});
    case 2:
      return f(Type<uint16_t>{});
    case 4:
      return f(Type<uint32_t>{});
    default:
      return f(Type<uint64_t>{});
  }
}

}  // namespace sm::kernels
