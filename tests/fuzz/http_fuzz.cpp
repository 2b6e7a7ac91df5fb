// Feeds arbitrary bytes to both HTTP parsers, whole and in pieces, as a socket
// would: the first byte says how long the pieces are. Whatever the pieces, a
// parser that takes the bytes takes the same messages.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/parser.hpp"
#include "shumai/error.hpp"

namespace {

using sm::http::Limits;

Limits small_limits() {
  Limits limits;
  limits.max_header_bytes = 2048;
  limits.max_headers = 16;
  limits.max_body_bytes = 1 << 16;
  return limits;
}

void describe(std::string& out, const sm::http::Headers& headers, const sm::http::Body& body) {
  for (const auto field : headers) {
    if (field.name.empty() || field.value.find_first_of("\r\n") != std::string_view::npos) std::abort();
    out.append(field.name).append(":").append(field.value).append("\n");
  }
  if (body.size() > 1 || sm::http::body_size(body) > small_limits().max_body_bytes) std::abort();
  out.append(sm::http::body_text(body)).append("|");
}

void describe(std::string& out, const sm::http::Request& request) {
  out.append(request.method).append(" ").append(request.target).append(request.keep_alive ? " keep\n" : " close\n");
  if (request.path().size() + request.query().size() > request.target.size() + 1) std::abort();
  describe(out, request.headers, request.body);
}

void describe(std::string& out, const sm::http::Response& response) {
  out.append(std::to_string(response.status)).append("\n");
  describe(out, response.headers, response.body);
}

struct Result {
  std::string messages;
  bool refused = false;
  bool pending = false;
};

// Half of the bodies go through space(), as a server reads them.
template <class Parser>
Result parse(std::string_view bytes, size_t step, bool straight) {
  Result result;
  Parser parser(small_limits());
  std::string pending;
  try {
    while (!bytes.empty()) {
      const std::span<char> space = straight && pending.empty() ? parser.space() : std::span<char>();
      const size_t next = std::min({step, bytes.size(), space.empty() ? SIZE_MAX : space.size()});
      if (space.empty()) {
        pending += bytes.substr(0, next);
      } else {
        std::copy_n(bytes.data(), next, space.data());
        parser.commit(next);
      }
      bytes.remove_prefix(next);
      for (;;) {
        const size_t used = parser.feed(pending);
        if (used > pending.size()) std::abort();
        pending.erase(0, used);
        if (!parser.done()) break;
        describe(result.messages, parser.take());
      }
    }
    result.pending = parser.started() || !pending.empty();
  } catch (const sm::Error&) {
    result.refused = true;
  }
  return result;
}

template <class Parser>
void compare(std::string_view bytes, size_t step) {
  const Result whole = parse<Parser>(bytes, SIZE_MAX, false);
  const Result pieces = parse<Parser>(bytes, step, true);
  // Some hopeless bytes are only refused once more have come.
  if (whole.messages != pieces.messages) std::abort();
  if (whole.refused ? !pieces.refused && !pieces.pending : pieces.refused) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = 1 + data[0] % 64;
  compare<sm::http::RequestParser>(bytes, step);
  compare<sm::http::ResponseParser>(bytes, step);
  return 0;
}
