#include "shumai/dtype.hpp"

#include <string>

#include "shumai/error.hpp"

namespace sm {
namespace {

struct NameRow {
  std::string_view name;
  std::string_view brief;
};

constexpr NameRow kNames[kDTypeCount] = {
    {"bool", "bool"},     {"uint8", "u8"},    {"int8", "i8"},    {"int16", "i16"},  {"uint16", "u16"},
    {"int32", "i32"},     {"uint32", "u32"},  {"int64", "i64"},  {"uint64", "u64"}, {"float16", "f16"},
    {"bfloat16", "bf16"}, {"float32", "f32"}, {"float64", "f64"}};

DType promote_integers(DType a, DType b) noexcept {
  if (is_signed(a) == is_signed(b)) return size_of(a) >= size_of(b) ? a : b;
  const DType from_signed = is_signed(a) ? a : b;
  const DType from_unsigned = is_signed(a) ? b : a;
  if (size_of(from_signed) > size_of(from_unsigned)) return from_signed;
  switch (from_unsigned) {
    case DType::u8:
      return DType::i16;
    case DType::u16:
      return DType::i32;
    case DType::u32:
      return DType::i64;
    default:
      return DType::f64;
  }
}

}  // namespace

std::string_view name_of(DType dtype) noexcept { return kNames[static_cast<size_t>(dtype)].name; }

DType dtype_from_name(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (name == kNames[i].name || name == kNames[i].brief) return static_cast<DType>(i);
  std::string known;
  for (int i = 0; i < kDTypeCount; ++i) known.append(i ? ", " : "").append(kNames[i].name);
  throw Error(ErrorCode::kDTypeMismatch, "unknown dtype \"" + std::string(name) + "\", there is " + known);
}

DType promote(DType a, DType b) noexcept {
  if (a == b) return a;
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if (!is_floating(a)) return promote_integers(a, b);
  if (size_of(a) == 2 && size_of(b) == 2) return DType::f32;
  return size_of(a) >= size_of(b) ? a : b;
}

float16::float16(float value) noexcept {
  const uint32_t word = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (word >> 16) & 0x8000u;
  const uint32_t magnitude = word & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) {
    bits = static_cast<uint16_t>(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
  } else if (magnitude >= 0x477ff000u) {
    bits = static_cast<uint16_t>(sign | 0x7c00u);
  } else if (magnitude >= 0x38800000u) {
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1);
    bits = static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
  } else {
    // Adding 0.5 lets the float adder round the subnormal's mantissa.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
}

float16::operator float() const noexcept {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  const float value = static_cast<float>(magnitude) * 0x1p-24f;
  return sign ? -value : value;
}

}  // namespace sm
