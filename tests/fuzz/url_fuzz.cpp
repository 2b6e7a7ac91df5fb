// Any text either fails with sm::Error or becomes a URL whose text is the same
// URL again, with nothing in it that could break a request's first lines.

#include <string>

#include "fuzzing.hpp"
#include "http/url.hpp"

using namespace sm;
using namespace sm::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto url = read_input([&] { return http::Url::parse(text); });
  if (!url) return 0;
  const http::Url again = http::Url::parse(url->to_string());
  require(again.to_string() == url->to_string() && again.origin() == url->origin());
  require(again.scheme == url->scheme && again.host == url->host && again.port == url->port);
  require(again.socket_path == url->socket_path && again.target == url->target);
  require(url->target.starts_with('/'));
  for (const std::string& part : {url->target, url->host_header()})
    for (const unsigned char c : part) require(c > 0x20 && c != 0x7f);
  return 0;
}
