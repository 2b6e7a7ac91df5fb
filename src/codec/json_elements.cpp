#include "codec/json_elements.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "codec/json_text.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

template <class T>
constexpr bool kHalf = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;
template <class T>
constexpr bool kFloating = kHalf<T> || std::is_floating_point_v<T>;

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <class T>
[[noreturn]] void fail_fit(std::string_view token) {
  std::string shown(token.substr(0, 40));
  if (token.size() > 40) shown += "...";
  throw Error(ErrorCode::kProtocol, "json: " + shown + " doesn't fit " + std::string(name_of(dtype_of<T>)));
}

template <class T>
void store_finite_half(std::byte* at, float value, std::string_view token) {
  const T half(value);
  if (std::isinf(static_cast<float>(half))) fail_fit<T>(token);
  put(at, half);
}

template <class T>
void store_integer(std::byte* at, int64_t value, std::string_view token) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value != 0 && value != 1) fail_fit<T>(token);
    put(at, value == 1);
  } else if constexpr (kHalf<T>) {
    store_finite_half<T>(at, static_cast<float>(value), token);
  } else if constexpr (std::is_floating_point_v<T>) {
    put(at, static_cast<T>(value));
  } else {
    if (!std::in_range<T>(value)) fail_fit<T>(token);
    put(at, static_cast<T>(value));
  }
}

// "1e3" or "2.0" are whole numbers too, as long as float64 is exact.
template <class T>
void store_whole(std::byte* at, std::string_view token) {
  double value = 0;
  const bool read = read_json_number(token, value);
  if (!read || std::abs(value) > 0x1p53 || value != std::trunc(value)) fail_fit<T>(token);
  store_integer<T>(at, static_cast<int64_t>(value), token);
}

template <class T>
void store_number(std::byte* at, std::string_view token) {
  if constexpr (kFloating<T>) {
    std::conditional_t<kHalf<T>, float, T> value = 0;
    if (!read_json_number(token, value)) fail_fit<T>(token);
    if constexpr (kHalf<T>)
      store_finite_half<T>(at, value, token);
    else
      put(at, value);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    uint64_t value = 0;
    const char* end = token.data() + token.size();
    const auto result = std::from_chars(token.data(), end, value);
    if (result.ec == std::errc() && result.ptr == end)
      put(at, value);
    else
      store_whole<T>(at, token);
  } else {
    store_whole<T>(at, token);
  }
}

template <class T>
void store_boolean(std::byte* at, bool value) {
  if constexpr (std::is_same_v<T, bool>) {
    put(at, value);
  } else {
    throw Error(ErrorCode::kProtocol, std::string("json: a boolean among numbers, or in a tensor of dtype ") +
                                          std::string(name_of(dtype_of<T>)));
  }
}

template <class T>
void store_text(std::byte* at, std::string_view text) {
  if constexpr (kFloating<T>) {
    using Limits = std::numeric_limits<float>;
    if (text == "NaN") return put(at, T(Limits::quiet_NaN()));
    if (text == "Infinity") return put(at, T(Limits::infinity()));
    if (text == "-Infinity") return put(at, T(-Limits::infinity()));
  }
  throw Error(ErrorCode::kProtocol,
              "json: expected numbers for a tensor of dtype " + std::string(name_of(dtype_of<T>)) +
                  ", got the string " + quoted(text) +
                  "; only \"NaN\", \"Infinity\" and \"-Infinity\" stand for floating-point numbers");
}

template <class T>
constexpr JsonElements::Store kStore = {store_integer<T>, store_number<T>, store_boolean<T>, store_text<T>};

const JsonElements::Store& store_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return kStore<bool>;
    case DType::u8:
      return kStore<uint8_t>;
    case DType::i8:
      return kStore<int8_t>;
    case DType::i16:
      return kStore<int16_t>;
    case DType::u16:
      return kStore<uint16_t>;
    case DType::i32:
      return kStore<int32_t>;
    case DType::u32:
      return kStore<uint32_t>;
    case DType::i64:
      return kStore<int64_t>;
    case DType::u64:
      return kStore<uint64_t>;
    case DType::f16:
      return kStore<float16>;
    case DType::bf16:
      return kStore<bfloat16>;
    case DType::f32:
      return kStore<float>;
    case DType::f64:
      break;
  }
  return kStore<double>;
}

}  // namespace

JsonElements::JsonElements(DType dtype) : dtype_(dtype), store_(&store_of(dtype)) {}

Tensor JsonElements::take(const Shape& shape) {
  if (!buffer_ || capacity_ != used_) reallocate(used_);
  return make_from_buffer(std::move(buffer_), 0, shape, dtype_);
}

void JsonElements::reallocate(size_t capacity) {
  util::BufferRef other = util::Buffer::allocate(capacity);
  if (buffer_) std::memcpy(other->data(), buffer_->data(), std::min(capacity_, capacity));
  buffer_ = std::move(other);
  capacity_ = capacity;
}

}  // namespace sm::codec
