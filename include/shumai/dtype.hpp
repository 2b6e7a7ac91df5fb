#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sm {

// The element types of a tensor. float32 is the default for new tensors.
enum class DType : uint8_t { boolean, u8, i8, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64 };

inline constexpr int kDTypeCount = 13;  // how many there are

// IEEE 754 binary16, for storage; arithmetic on it is done in float.
struct float16 {
  uint16_t bits = 0;
  float16() = default;
  explicit float16(float value) noexcept;  // rounds to nearest even
  explicit operator float() const noexcept;
};

// The upper half of a binary32, for storage; arithmetic on it is done in float.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float value) noexcept {
    uint32_t word = std::bit_cast<uint32_t>(value);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    word += 0x7fffu + ((word >> 16) & 1);  // round to nearest even
    bits = nan ? uint16_t{0x7fc0} : static_cast<uint16_t>(word >> 16);
  }
  explicit operator float() const noexcept { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

// Bytes of one element.
constexpr size_t size_of(DType dtype) noexcept {
  constexpr uint8_t kSizes[kDTypeCount] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};
  return kSizes[static_cast<size_t>(dtype)];
}

constexpr bool is_floating(DType dtype) noexcept { return dtype >= DType::f16; }  // f16, bf16, f32, f64
constexpr bool is_integral(DType dtype) noexcept { return dtype < DType::f16; }   // boolean included
constexpr bool is_signed(DType dtype) noexcept {
  return is_floating(dtype) || dtype == DType::i8 || dtype == DType::i16 || dtype == DType::i32 || dtype == DType::i64;
}

// "bool", "uint8", "float32" and so on: NumPy's names.
std::string_view name_of(DType dtype) noexcept;

// From NumPy's names or the short ones ("f32", "u8"). Throws Error (kDTypeMismatch).
DType dtype_from_name(std::string_view name);

// The dtype of a C++ element type, as in dtype_of<float>.
template <class T>
inline constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, bool>)
    return DType::boolean;
  else if constexpr (std::is_same_v<T, float16>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else {
    static_assert(std::is_integral_v<T>, "not an element type of a tensor");
    constexpr bool kSigned = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1)
      return kSigned ? DType::i8 : DType::u8;
    else if constexpr (sizeof(T) == 2)
      return kSigned ? DType::i16 : DType::u16;
    else if constexpr (sizeof(T) == 4)
      return kSigned ? DType::i32 : DType::u32;
    else
      return kSigned ? DType::i64 : DType::u64;
  }
}();

// The dtype of the result of combining the two, as PyTorch promotes:
// https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
// Unsigned types wider than 8 bits follow NumPy (u32 with i32 gives i64; u64 with a signed type gives f64).
DType promote(DType a, DType b) noexcept;

}  // namespace sm
