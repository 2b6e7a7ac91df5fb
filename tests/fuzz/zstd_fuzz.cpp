// Any body in zstd either fails with sm::Error or becomes at most as many bytes
// as are allowed, which come back the same when they are compressed. The first
// byte says how many: a fuzzer finds small ones sooner.

#include <algorithm>
#include <string>

#include "fuzzing.hpp"
#include "http/coding.hpp"

using namespace sm;
using namespace sm::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t limit = size_t{1} << (data[0] % 20);
  http::Headers headers;
  headers.set("Content-Encoding", "zstd");
  const util::BufferRef bytes = copy_of(data + 1, size - 1);
  http::Body body;
  if (size > 1) body.push_back({bytes, bytes->data(), bytes->size()});
  try {
    http::decode_body(headers, body, limit);
  } catch (const Error&) {
    return 0;
  }
  const std::string text(http::body_text(body));
  require(text.size() <= limit && text.size() == http::body_size(body));
  http::Headers plain;
  http::compress_body(plain, body);
  http::decode_body(plain, body, std::max<size_t>(limit, text.size()));
  require(http::body_text(body) == text);
  return 0;
}
