#include <charconv>
#include <cmath>
#include <span>

#include "codec/bytes.hpp"
#include "codec/json_tensor.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"

namespace sm::codec {
namespace {

template <class T>
void append_element(std::string& out, T value) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
    append_element(out, static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value == 0 && std::signbit(value))
      out += "-0.0";  // many readers take -0 for an integer, which has no sign
    else if (std::isfinite(value))
      append_json_number(out, value);
    else
      out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    char text[24];
    out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
}

// Writes the elements from `next` on, and returns the one after.
template <class T>
const T* append_nested(std::string& out, const T* next, std::span<const int64_t> shape) {
  if (shape.empty()) {
    append_element(out, *next);
    return next + 1;
  }
  out += '[';
  for (int64_t i = 0; i < shape[0]; ++i) {
    if (i > 0) out += ',';
    if (shape.size() > 1)
      next = append_nested(out, next, shape.subspan(1));
    else
      append_element(out, *next++);
  }
  out += ']';
  return next;
}

template <class T>
void append_elements(std::string& out, const std::byte* data, const Shape& shape) {
  append_nested(out, reinterpret_cast<const T*>(data), shape.span());
}

// `shape` has as many elements as the tensor.
void append_data(std::string& out, const Tensor& tensor, const Shape& shape) {
  if (tensor.elements() == 0) {
    out += "[]";
    return;
  }
  const util::Slice slice = elements_in_order(tensor);
  const std::byte* data = slice.data;
  switch (tensor.dtype()) {
    case DType::boolean:
      return append_elements<bool>(out, data, shape);
    case DType::u8:
      return append_elements<uint8_t>(out, data, shape);
    case DType::i8:
      return append_elements<int8_t>(out, data, shape);
    case DType::i16:
      return append_elements<int16_t>(out, data, shape);
    case DType::u16:
      return append_elements<uint16_t>(out, data, shape);
    case DType::i32:
      return append_elements<int32_t>(out, data, shape);
    case DType::u32:
      return append_elements<uint32_t>(out, data, shape);
    case DType::i64:
      return append_elements<int64_t>(out, data, shape);
    case DType::u64:
      return append_elements<uint64_t>(out, data, shape);
    case DType::f16:
      return append_elements<float16>(out, data, shape);
    case DType::bf16:
      return append_elements<bfloat16>(out, data, shape);
    case DType::f32:
      return append_elements<float>(out, data, shape);
    case DType::f64:
      return append_elements<double>(out, data, shape);
  }
}

bool nesting_says_all(const Tensor& tensor) {
  if (tensor.elements() == 0) return tensor.dtype() == DType::f32 && tensor.ndim() == 1;
  return tensor.dtype() == DType::f32 || tensor.dtype() == DType::boolean;
}

void append_object(std::string& out, const Tensor& tensor) {
  out += "{\"dtype\":\"";
  out += name_of(tensor.dtype());
  out += "\",\"shape\":[";
  for (int i = 0; i < tensor.ndim(); ++i) out += (i ? "," : "") + std::to_string(tensor.shape()[i]);
  out += "],\"data\":";
  append_data(out, tensor, tensor.shape());
  out += '}';
}

void append_tensor(std::string& out, const Tensor& tensor) {
  if (nesting_says_all(tensor))
    append_data(out, tensor, tensor.shape());
  else
    append_object(out, tensor);
}

// Under these names only an object is taken for a tensor of that name.
bool reserved(std::string_view name) { return name == "data" || name == "dtype" || name == "shape"; }

}  // namespace

void append_flat_json(std::string& out, const Tensor& tensor) { append_data(out, tensor, {tensor.elements()}); }

std::string encode_json(const Tensor& tensor) {
  std::string out;
  append_tensor(out, tensor);
  return out;
}

std::string encode_json(const Tensors& tensors) {
  if (tensors.size() == 1 && tensors.at(0).first == "0") return encode_json(tensors.at(0).second);
  std::string out = "{";
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) throw Error(ErrorCode::kInvalidArgument, "json: tensor " + quoted(name) + " is undefined");
    append_json_string(out, name);
    out += ':';
    if (reserved(name))
      append_object(out, tensor);
    else
      append_tensor(out, tensor);
    out += ',';
  }
  if (tensors.empty())
    out += '}';
  else
    out.back() = '}';
  return out;
}

}  // namespace sm::codec
