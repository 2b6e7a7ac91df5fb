#pragma once

#include <string>
#include <string_view>

#include "http/message.hpp"
#include "shumai/error.hpp"

namespace sm::http {

// An answer that says what went wrong: application/problem+json of RFC 9457,
// with the member "code" for the error's stable name.
Response problem(int status, std::string_view code, std::string_view detail);
Response problem(const Error& error);

// `text` as a JSON string, with its quotes. Bytes that aren't UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace sm::http
