#include "serve/content.hpp"

#include <charconv>

#include "codec/json_tensor.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Cuts what comes before `separator` off `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return trim(part);
}

double quality(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = next_part(parameters, ';');
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    double value = 0;
    const auto [end, error] = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), value);
    return error == std::errc() && end == parameter.data() + parameter.size() ? value : 0;
  }
  return 1;
}

// How much `accept` wants `type`, by its most specific entry that matches.
double weight(std::string_view accept, std::string_view type) {
  double best = 0;
  int specific = -1;
  while (!accept.empty()) {
    std::string_view entry = next_part(accept, ',');
    const std::string_view range = next_part(entry, ';');
    const int match = http::iequals(range, type) ? 2
                      : range.ends_with("/*") && range != "*/*" && type.starts_with(range.substr(0, range.size() - 1))
                          ? 1
                      : range == "*/*" ? 0
                                       : -1;
    if (match <= specific) continue;
    specific = match;
    best = quality(entry);
  }
  return best;
}

std::string_view media_type(const http::Headers& headers) {
  std::string_view value = headers.get("Content-Type");
  return next_part(value, ';');
}

Content from_tensors(Tensors tensors) {
  if (tensors.size() == 1 && tensors.at(0).first == "0") return tensors.at(0).second;
  return tensors;
}

}  // namespace

Tensor Content::tensor() const {
  if (empty()) return {};
  if (const Tensor* one = std::get_if<Tensor>(&value_)) return *one;
  if (const Tensors* many = std::get_if<Tensors>(&value_); many && many->size() == 1) return many->at(0).second;
  throw Error(ErrorCode::kInvalidArgument, "expected one tensor, got " + describe());
}

Tensors Content::tensors() const {
  if (empty()) return {};
  if (const Tensor* one = std::get_if<Tensor>(&value_)) return Tensors(*one);
  if (const Tensors* many = std::get_if<Tensors>(&value_)) return *many;
  throw Error(ErrorCode::kInvalidArgument, "expected tensors, got " + describe());
}

const Json& Content::json() const {
  if (const Json* json = std::get_if<Json>(&value_)) return *json;
  throw Error(ErrorCode::kInvalidArgument, "expected JSON, got " + describe());
}

std::string Content::describe() const {
  if (empty()) return "nothing";
  if (is_json()) return "JSON";
  if (is_tensor()) return "a tensor of shape " + tensor().shape().to_string();
  std::string names;
  for (const auto& [name, tensor] : tensors()) names += (names.empty() ? "\"" : ", \"") + name + "\"";
  return "tensors {" + names + "}";
}

Content decode_content(const http::Headers& headers, const http::Body& body, bool json_is_tensors) {
  if (http::body_size(body) == 0) return {};
  const util::Slice& bytes = body.front();
  const std::string_view type = media_type(headers);
  if (http::iequals(type, kSafetensorsType))
    return from_tensors(
        codec::decode_safetensors(bytes.owner, static_cast<size_t>(bytes.data - bytes.owner->data()), bytes.size));
  if (http::iequals(type, kJsonType)) {
    if (!json_is_tensors) return Json::parse(http::body_text(body));
    return from_tensors(codec::decode_json(http::body_text(body)));
  }
  throw Error(ErrorCode::kUnsupportedMedia, "Content-Type must be " + std::string(kSafetensorsType) + " or " +
                                                std::string(kJsonType) + ", got " +
                                                (type.empty() ? "none" : "\"" + std::string(type) + "\""));
}

std::string_view choose_type(std::string_view accept, std::string_view preferred) {
  if (accept.empty()) return preferred;
  const std::string_view other = preferred == kJsonType ? kSafetensorsType : kJsonType;
  const double first = weight(accept, preferred), second = weight(accept, other);
  if (first <= 0 && second <= 0)
    throw Error(ErrorCode::kNotAcceptable, "can answer " + std::string(kSafetensorsType) + " or " +
                                               std::string(kJsonType) + ", but Accept is \"" + std::string(accept) +
                                               "\"");
  return first >= second ? preferred : other;
}

Encoded encode_content(const Content& content, std::string_view type) {
  if (content.empty()) return {};
  if (content.is_json()) return {http::copy_body(content.json().dump()), kJsonType};
  if (type == kJsonType)
    return {http::copy_body(content.is_tensor() ? codec::encode_json(content.tensor())
                                                : codec::encode_json(content.tensors())),
            kJsonType};
  return {codec::encode_safetensors(content.tensors()), kSafetensorsType};
}

}  // namespace sm::io
