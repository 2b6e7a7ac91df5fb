#include "http/problem.hpp"

#include <cstdio>

namespace sm::http {
namespace {

// Length of the UTF-8 sequence at the front, 0 when it isn't one.
size_t sequence_length(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead < 0xf0) {
    const bool overlong = lead == 0xe0 && at(1) < 0xa0;
    const bool surrogate = lead == 0xed && at(1) >= 0xa0;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead < 0xf5) {
    const bool outside = (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) >= 0x90);
    return tail(1) && tail(2) && tail(3) && !outside ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = sequence_length(text);
    if (length == 0) {
      quoted += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else {
      quoted += text.substr(0, length);
    }
    text.remove_prefix(length ? length : 1);
  }
  return quoted + "\"";
}

Response problem(int status, std::string_view code, std::string_view detail) {
  std::string_view title = reason_phrase(status);
  if (title.empty()) title = "Error";
  std::string json = R"({"type":"about:blank","title":)" + json_quote(title);
  json += ",\"status\":" + std::to_string(status);
  json += ",\"detail\":" + json_quote(detail);
  json += ",\"code\":" + json_quote(code) + "}";
  Response response = Response::json(status, json);
  response.headers.set("Content-Type", "application/problem+json");
  return response;
}

Response problem(const Error& error) {
  Response response = problem(error.status(), code_name(error.code()), error.what());
  if (response.status == 429 || response.status == 503) response.headers.set("Retry-After", "1");
  return response;
}

}  // namespace sm::http
