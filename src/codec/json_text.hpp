#pragma once

#include <string>
#include <string_view>

namespace sm::codec {

// Appends `text` as a JSON string with its quotes. Bytes that aren't UTF-8
// become U+FFFD, so the result is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

// Appends the shortest text that reads back as the same float or double.
// `value` is finite.
void append_json_number(std::string& out, float value);
void append_json_number(std::string& out, double value);

// Reads a JSON number, correctly rounded: false when it is too large for T;
// what is too small becomes a signed zero.
bool read_json_number(std::string_view token, float& value);
bool read_json_number(std::string_view token, double& value);

// `text` in quotes for an error message, shortened.
std::string quoted(std::string_view text);

}  // namespace sm::codec
