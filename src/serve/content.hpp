#pragma once

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/shumai_binary.hpp"
#include "http/message.hpp"
#include "shumai/content.hpp"

namespace sm::io {

inline constexpr std::string_view kSafetensorsType = "application/x-safetensors";
inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kShumaiType = "application/octet-stream";

// How a message is written.
struct Form {
  enum class Type : uint8_t { kSafetensors, kJson, kShumai };
  Type type = Type::kSafetensors;
  DType floats = DType::f32;  // f16 or bf16: what float32 is rounded to in safetensors
};
using Forms = boost::container::static_vector<Form, 5>;  // the wanted first

// What the original's binary says beside its tensor.
struct ShumaiMark {
  bool given = false;  // the message was in that form
  int64_t provenance = codec::kNoProvenance;
  bool requires_grad = false;
  std::string props;
};

// The type of a body, by its Content-Type; the original's binary without one.
// Throws Error (kUnsupportedMedia) that lists the supported ones.
Form::Type body_type(const http::Headers& headers);

// Reads a body by its type. Tensors share the body's memory where they are
// aligned; those that were narrowed on their way are float32 again. Throws
// Error: as body_type does, and kProtocol for a body that isn't what its type
// says. `json_is_tensors` false keeps a JSON body as JSON. `mark` may be null.
Content decode_content(const http::Headers& headers, const http::Body& body, bool json_is_tensors,
                       ShumaiMark* mark = nullptr);

// What a request may be answered with, by the quality values of its Accept;
// among equals the request's own type comes first. Throws Error
// (kNotAcceptable) that lists the supported ones when there is nothing.
Forms acceptable_forms(const http::Request& request);

// The body for `content` in the first of `forms` that can carry it, and its
// Content-Type. JSON content is JSON in any case; tensors go out without a copy
// as safetensors and as the original's binary. Throws Error: kNotAcceptable
// when none can, kOutOfRange for a number that a narrowed form can't hold.
struct Encoded {
  http::Body body;
  std::string_view type;  // empty when there is no body
};
Encoded encode_content(const Content& content, const Forms& forms, const ShumaiMark& mark = {});

}  // namespace sm::io
