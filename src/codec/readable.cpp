#include "shumai/readable.hpp"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "codec/json_tensor.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

// By dtype, as the original calls them.
constexpr std::array<std::string_view, kDTypeCount> kNames = {"BoolInt8", "Uint8",   "Int8",   "Int16",  "Uint16",
                                                              "Int32",    "Uint32",  "Int64",  "Uint64", "Float16",
                                                              "BFloat16", "Float32", "Float64"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

DType dtype_named(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<DType>(i);
  if (name == "BigInt64") return DType::i64;
  if (name == "BigUint64") return DType::u64;
  return dtype_from_name(name);
}

template <class T>
void append_number(std::string& out, T value) {
  if constexpr (!std::is_floating_point_v<T>)
    out += std::to_string(value);
  else if (std::isfinite(value))
    codec::append_json_number(out, value);
  else
    out += std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

template <class T>
void append_rows(std::string& out, const Shape& shape, int axis, const T*& next) {
  if (axis == shape.size()) return append_number(out, *next++);
  out += '[';
  for (int64_t i = 0; i < shape[axis]; ++i) {
    if (i) out += ", ";
    append_rows(out, shape, axis + 1, next);
  }
  out += ']';
}

template <class T>
std::string rows_of(const Tensor& tensor) {
  const std::vector<T> values = tensor.to_vector<T>();
  const T* next = values.data();
  std::string out;
  append_rows(out, tensor.shape(), 0, next);
  return out;
}

// A number as JSON has it: "1." and ".5" and "+1" aren't, and what isn't finite is a string.
std::string json_number(std::string_view token) {
  if (token.starts_with('+')) token.remove_prefix(1);
  if (token == "nan" || token == "NaN") return "\"NaN\"";
  const bool negative = token.starts_with('-');
  const std::string sign(negative ? "-" : "");
  if (negative) token.remove_prefix(1);
  if (token == "inf" || token == "Infinity") return '"' + sign + "Infinity\"";
  if (token == "True" || token == "true") return "1";
  if (token == "False" || token == "false") return "0";
  const size_t digits = std::min(token.find_first_of("eE"), token.size());
  std::string number(token.substr(0, digits));
  if (number.starts_with('.')) number.insert(0, "0");
  if (number.ends_with('.')) number += '0';
  for (const char c : number)
    if (c != '.' && (c < '0' || c > '9'))
      throw Error(ErrorCode::kProtocol, "expected a number, got " + codec::quoted(sign + std::string(token)));
  return sign + number + std::string(token.substr(digits));
}

// The same elements as JSON text.
std::string to_json(std::string_view elements) {
  constexpr std::string_view kBetween = ", \t\r\n", kEnds = "[], \t\r\n";
  std::string out;
  bool commas = false;  // since the last element
  for (size_t at = 0; at < elements.size();) {
    const char c = elements[at];
    if (kBetween.find(c) != kBetween.npos) {
      if (c == ',' && std::exchange(commas, true))
        throw Error(ErrorCode::kProtocol, "expected an element between two commas");
      ++at;
      continue;
    }
    const bool follows = !out.empty() && out.back() != '[';
    if (commas && (!follows || c == ']')) throw Error(ErrorCode::kProtocol, "expected an element beside a comma");
    commas = false;
    if (c != ']' && follows) out += ',';
    const size_t end = c == '[' || c == ']' ? at + 1 : std::min(elements.find_first_of(kEnds, at), elements.size());
    out += end == at + 1 && (c == '[' || c == ']') ? std::string(1, c) : json_number(elements.substr(at, end - at));
    at = end;
  }
  if (commas || out.empty()) throw Error(ErrorCode::kProtocol, "expected an element, got the end of the line");
  return out;
}

Tensor decode(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name =
      colon == text.size() ? kNames[static_cast<size_t>(DType::f32)] : trimmed(text.substr(colon + 1));
  const std::string json = "{\"dtype\": \"" + std::string(name_of(dtype_named(name))) +
                           "\", \"data\": " + to_json(trimmed(text.substr(0, colon))) + "}";
  return codec::decode_json(json).at(0).second;
}

}  // namespace

std::string encode_readable(const Tensor& tensor) {
  const DType dtype = tensor.dtype();
  const std::string rows = dtype == DType::u64   ? rows_of<uint64_t>(tensor)
                           : dtype == DType::f64 ? rows_of<double>(tensor)
                           : is_floating(dtype)  ? rows_of<float>(tensor)
                                                 : rows_of<int64_t>(tensor);
  return rows + ":" + std::string(kNames[static_cast<size_t>(dtype)]);
}

Tensor decode_readable(std::string_view text) {
  try {
    return decode(text);
  } catch (const Error& error) {
    std::string_view message = error.what();
    if (message.starts_with("json: ")) message.remove_prefix(6);
    throw Error(error.code(), "readable tensor: " + std::string(message));
  }
}

}  // namespace sm::io
