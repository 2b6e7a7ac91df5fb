#include "codec/json_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace sm::codec {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// The length of the UTF-8 sequence that `text` starts with; 0 when it is invalid
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (at(i) & 0xc0) == 0x80; };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    const bool overlong = lead == 0xe0 && at(1) < 0xa0;
    const bool surrogate = lead == 0xed && at(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const bool overlong = lead == 0xf0 && at(1) < 0x90;
    const bool beyond = lead == 0xf4 && at(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

void append_escaped(std::string& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto code = static_cast<uint8_t>(c);
  if (code >= 0x20)
    out += c;
  else
    out.append({'\\', 'u', '0', '0', kHex[code >> 4], kHex[code & 15]});
}

template <class T>
void append_shortest(std::string& out, T value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

// Whether a number that from_chars can't represent is tiny rather than huge:
// compares the decimal exponent of its first significant digit with zero.
bool is_tiny(std::string_view token) {
  const size_t digits = token.starts_with('-') ? 1 : 0;
  const size_t e = std::min(token.find_first_of("eE"), token.size());
  const size_t point = std::min(token.find('.'), e);
  const size_t first = token.find_first_of("123456789", digits);
  if (first >= e) return true;
  const int64_t lead = first < point ? static_cast<int64_t>(point - first) - 1 : -static_cast<int64_t>(first - point);
  if (e == token.size()) return lead < 0;
  std::string_view exponent = token.substr(e + 1);
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  int64_t shift = 0;
  const auto result = std::from_chars(exponent.data(), exponent.data() + exponent.size(), shift);
  if (result.ec == std::errc::result_out_of_range) return exponent.starts_with('-');
  return shift < -lead;
}

template <class T>
bool read_number(std::string_view token, T& value) {
  const auto result = std::from_chars(token.data(), token.data() + token.size(), value);
  if (result.ec == std::errc()) return true;
  if (!is_tiny(token)) return false;
  value = token.starts_with('-') ? -T{0} : T{0};
  return true;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0)
      out += kReplacement;
    else if (length == 1)
      append_escaped(out, text[0]);
    else
      out += text.substr(0, length);
    text.remove_prefix(length ? length : 1);
  }
  out += '"';
}

void append_json_number(std::string& out, float value) { append_shortest(out, value); }
void append_json_number(std::string& out, double value) { append_shortest(out, value); }
bool read_json_number(std::string_view token, float& value) { return read_number(token, value); }
bool read_json_number(std::string_view token, double& value) { return read_number(token, value); }

std::string quoted(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out;
  append_json_string(out, text.substr(0, kMost));
  if (text.size() > kMost) out += "...";
  return out;
}

}  // namespace sm::codec
