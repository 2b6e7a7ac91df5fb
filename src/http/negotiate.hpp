#pragma once

#include <string_view>
#include <vector>

#include "http/headers.hpp"

namespace sm::http {

// Cuts what comes before `separator` off `rest`, without the blanks around it.
std::string_view next_part(std::string_view& rest, char separator) noexcept;

// One entry of a field such as Accept: "value;parameter=x;q=0.5". Views into the headers.
struct Preference {
  std::string_view value;
  double quality = 1;
  std::string_view parameters;

  // Empty when there is none; without its quotes.
  std::string_view parameter(std::string_view name) const noexcept;
};

// The entries of all fields of that name (RFC 9110, 12.4.2). A quality that
// can't be read is 0: the sender meant to limit it.
std::vector<Preference> preferences(const Headers& headers, std::string_view name);

}  // namespace sm::http
