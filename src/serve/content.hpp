#pragma once

#include <string_view>

#include "http/message.hpp"
#include "shumai/content.hpp"

namespace sm::io {

inline constexpr std::string_view kSafetensorsType = "application/x-safetensors";
inline constexpr std::string_view kJsonType = "application/json";

// Reads a body by its Content-Type. Tensors share the body's memory where
// they are aligned. Throws Error: kUnsupportedMedia for an unknown type,
// kProtocol for a body that isn't what its type says.
// `json_is_tensors` false keeps a JSON body as JSON.
Content decode_content(const http::Headers& headers, const http::Body& body, bool json_is_tensors);

// What to answer with: the first type that `accept` allows, by its quality
// values, with `preferred` winning among equals. Throws Error (kNotAcceptable).
std::string_view choose_type(std::string_view accept, std::string_view preferred);

// The body for `content`, and its Content-Type. JSON content is JSON whatever
// `type` says; tensors go out without a copy as safetensors.
struct Encoded {
  http::Body body;
  std::string_view type;  // empty when there is no body
};
Encoded encode_content(const Content& content, std::string_view type);

}  // namespace sm::io
