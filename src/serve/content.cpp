#include "serve/content.hpp"

#include <algorithm>
#include <optional>

#include "codec/json_tensor.hpp"
#include "codec/narrow.hpp"
#include "codec/safetensors.hpp"
#include "http/negotiate.hpp"
#include "serve/accept.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

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
  return names.empty() ? "an object without tensors" : "the tensors " + names;
}

Form::Type body_type(const http::Headers& headers) {
  std::string_view value = headers.get("Content-Type");
  const std::string_view type = http::next_part(value, ';');
  if (http::iequals(type, kSafetensorsType)) return Form::Type::kSafetensors;
  if (http::iequals(type, kJsonType)) return Form::Type::kJson;
  // RFC 9110, 8.3: what has no type may be taken for application/octet-stream.
  if (type.empty() || http::iequals(type, kShumaiType)) return Form::Type::kShumai;
  throw Error(ErrorCode::kUnsupportedMedia, "Content-Type must be " + supported_types() + ", got \"" +
                                                std::string(type) + "\"" +
                                                (http::iequals(type, "application/x-www-form-urlencoded")
                                                     ? "; with curl, add -H 'Content-Type: application/json'"
                                                     : ""));
}

namespace {

Content read_safetensors(const util::Slice& bytes) {
  codec::Metadata metadata;
  const auto offset = static_cast<size_t>(bytes.data - bytes.owner->data());
  Tensors tensors = codec::decode_safetensors(bytes.owner, offset, bytes.size, &metadata);
  return from_tensors(codec::widen(std::move(tensors), metadata));
}

Content read_shumai(const util::Slice& bytes, ShumaiMark* mark) {
  const auto offset = static_cast<size_t>(bytes.data - bytes.owner->data());
  codec::ShumaiBinary message = codec::decode_shumai_binary(bytes.owner, offset, bytes.size);
  message.tensor.requires_grad(message.requires_grad);
  if (mark) *mark = {true, message.provenance, message.requires_grad, std::move(message.props)};
  return message.tensor;
}

std::optional<Encoded> encode_as(const Content& content, const Form& form, const ShumaiMark& mark) {
  if (form.type == Form::Type::kJson)
    return Encoded{http::copy_body(content.is_tensor() ? codec::encode_json(content.tensor())
                                                       : codec::encode_json(content.tensors())),
                   kJsonType};
  if (form.type == Form::Type::kShumai) {
    if (content.is_tensors() && content.tensors().size() != 1) return std::nullopt;
    return Encoded{codec::encode_shumai_binary({content.tensor(), mark.provenance, mark.requires_grad, mark.props}),
                   kShumaiType};
  }
  if (form.floats == DType::f32)
    return Encoded{content.is_tensor() ? codec::encode_safetensors(content.tensor())
                                       : codec::encode_safetensors(content.tensors()),
                   kSafetensorsType};
  codec::Metadata metadata;
  const Tensors narrowed = codec::narrow(content.tensors(), form.floats, metadata);
  return Encoded{codec::encode_safetensors(narrowed, metadata), kSafetensorsType};
}

}  // namespace

Content decode_content(const http::Headers& headers, const http::Body& body, bool json_is_tensors, ShumaiMark* mark) {
  if (http::body_size(body) == 0) return {};
  const Form::Type type = body_type(headers);
  if (type == Form::Type::kSafetensors) return read_safetensors(body.front());
  if (type == Form::Type::kShumai) return read_shumai(body.front(), mark);
  if (!json_is_tensors) return Json::parse(http::body_text(body));
  return from_tensors(codec::decode_json(http::body_text(body)));
}

Encoded encode_content(const Content& content, const Forms& forms, const ShumaiMark& mark) {
  if (content.empty()) return {};
  if (content.is_json()) return {http::copy_body(content.json().dump()), kJsonType};
  for (const Form& form : forms)
    if (std::optional<Encoded> encoded = encode_as(content, form, mark)) return std::move(*encoded);
  throw Error(ErrorCode::kNotAcceptable, std::string(kShumaiType) + " carries one tensor, this is " +
                                             content.describe() + "; accept " + std::string(kSafetensorsType));
}

}  // namespace sm::io
