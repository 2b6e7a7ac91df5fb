// A request with any Content-Type, Accept and body is answered with what it
// carries in a form that it accepts, or fails with sm::Error. The first two
// lines are the headers, the rest is the body.

#include <string>
#include <utility>

#include "fuzzing.hpp"
#include "serve/content.hpp"

namespace {

using namespace sm;
using namespace sm::fuzz;

std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

http::Request request_of(std::string_view text) {
  http::Request request;
  for (const char* name : {"Content-Type", "Accept"})
    if (const std::string_view value = next_line(text); !value.empty()) request.headers.add(name, value);
  const util::BufferRef bytes = copy_of(text.data(), text.size());
  if (!text.empty()) request.body.push_back({bytes, bytes->data(), bytes->size()});
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const http::Request request = request_of({reinterpret_cast<const char*>(data), size});
    const io::Forms forms = io::acceptable_forms(request);
    require(!forms.empty());
    io::ShumaiMark mark;
    const io::Content content = io::decode_content(request.headers, request.body, true, &mark);
    const io::Encoded encoded = io::encode_content(content, forms, mark);
    require(encoded.type.empty() == (http::body_size(encoded.body) == 0));
  } catch (const Error&) {
  }
  return 0;
}
