#include "serve/wire.hpp"

#include <algorithm>
#include <charconv>

#include "http/coding.hpp"
#include "http/limits.hpp"
#include "serve/content.hpp"
#include "serve/store.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

Form form_of(Wire wire) {
  if (wire == Wire::kShumai) return {Form::Type::kShumai, DType::f32};
  return {Form::Type::kSafetensors, wire == Wire::kBf16 ? DType::bf16 : wire == Wire::kF16 ? DType::f16 : DType::f32};
}

std::string_view accept_for(Wire wire) {
  switch (wire) {
    case Wire::kBf16:
      return "application/x-safetensors;dtype=bf16, application/json;q=0.5";
    case Wire::kF16:
      return "application/x-safetensors;dtype=f16, application/json;q=0.5";
    case Wire::kShumai:
      return "application/octet-stream, application/json;q=0.5";
    case Wire::kSafetensors:
      break;
  }
  return "application/x-safetensors, application/json;q=0.5";
}

// By which an original server knows this process, as its own clients name themselves.
int64_t own_provenance() {
  static const int64_t own = [] {
    int64_t value = 0;
    const std::string digits = random_id().substr(0, 8);
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
  }();
  return own;
}

int64_t provenance_of(const std::string& id) {
  if (id.empty()) return own_provenance();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), value, 16);
  // The original writes a negative one in a way that it can't read.
  if (error != std::errc() || end != id.data() + id.size() || value < 0 || id.size() > 16)
    throw Error(ErrorCode::kInvalidArgument,
                "tfetch: id must be up to 16 hexadecimal digits, below 2^63, got \"" + id + "\"");
  return value;
}

ShumaiMark mark_for(const Content& content, const FetchOptions& options) {
  if (options.compress != Compression::kNone)
    throw Error(ErrorCode::kInvalidArgument, "tfetch: an original Shumai reads no compressed bodies");
  ShumaiMark mark;
  if (content.empty()) return mark;
  if (content.is_json() || (content.is_tensors() && content.tensors().size() != 1))
    throw Error(ErrorCode::kInvalidArgument,
                "tfetch: to an original Shumai goes one tensor, not " + content.describe());
  mark.provenance = provenance_of(*options.id);
  mark.requires_grad = content.tensor().requires_grad();
  mark.props = R"({"collectStats":false})";
  return mark;
}

// The start of a body that is text, for messages.
std::string excerpt(const http::Response& response) {
  constexpr size_t kLongest = 80;
  const std::string_view text = http::body_text(response.body).substr(0, kLongest);
  const bool readable = std::ranges::all_of(
      text, [](unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\r' || c == '\t'; });
  return readable ? " \"" + std::string(text) + (http::body_size(response.body) > kLongest ? "...\"" : "\"") : "";
}

}  // namespace

void write_request(http::Request& request, const Content& content, const FetchOptions& options) {
  const ShumaiMark mark = options.wire == Wire::kShumai ? mark_for(content, options) : ShumaiMark();
  request.method = content.empty() ? "GET" : "POST";
  Encoded encoded = encode_content(content, {form_of(options.wire)}, mark);
  request.body = std::move(encoded.body);
  if (!encoded.type.empty()) request.headers.add_checked("Content-Type", encoded.type);
  request.headers.add_checked("Accept", accept_for(options.wire));
  if (options.compress == Compression::kNone) return;
  request.headers.add_checked("Accept-Encoding", "zstd");
  http::compress_body(request.headers, request.body);
}

Content read_answer(const http::Url& url, http::Response& response, bool json_is_tensors) {
  try {
    http::decode_body(response.headers, response.body, http::Limits().max_body_bytes);
    return decode_content(response.headers, response.body, json_is_tensors);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupportedMedia && error.code() != ErrorCode::kProtocol) throw;
    throw Error(ErrorCode::kProtocol,
                url.to_string() + " answered what is no tensor" + excerpt(response) + ": " + error.what());
  }
}

}  // namespace sm::io
