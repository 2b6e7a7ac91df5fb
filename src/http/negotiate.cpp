#include "http/negotiate.hpp"

#include <charconv>

namespace sm::http {
namespace {

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

double read_quality(std::string_view text) noexcept {
  if (text.empty()) return 1;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1 ? value : 0;
}

}  // namespace

std::string_view next_part(std::string_view& rest, char separator) noexcept {
  const size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return trim(part);
}

std::string_view Preference::parameter(std::string_view name) const noexcept {
  std::string_view rest = parameters;
  while (!rest.empty()) {
    std::string_view value = next_part(rest, ';');
    if (!iequals(next_part(value, '='), name)) continue;
    value = trim(value);
    const bool quotes = value.size() >= 2 && value.front() == '"' && value.back() == '"';
    return quotes ? value.substr(1, value.size() - 2) : value;
  }
  return {};
}

std::vector<Preference> preferences(const Headers& headers, std::string_view name) {
  std::vector<Preference> out;
  for (const Headers::Field field : headers) {
    if (!iequals(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      std::string_view entry = next_part(rest, ',');
      if (entry.empty()) continue;
      Preference& preference = out.emplace_back();
      preference.value = next_part(entry, ';');
      preference.parameters = entry;
      preference.quality = read_quality(preference.parameter("q"));
    }
  }
  return out;
}

}  // namespace sm::http
