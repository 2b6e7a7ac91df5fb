#include "http/headers.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_token_char(char c) noexcept {
  if ((c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_value(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

std::string_view trim(std::string_view text) noexcept {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

bool iequals_of_one_size(std::string_view a, std::string_view b) noexcept {
  size_t i = 0;
  // Eight letters at a time while they are the same.
  for (uint64_t x = 0, y = 0; i + sizeof x <= a.size(); i += sizeof x) {
    std::memcpy(&x, a.data() + i, sizeof x);
    std::memcpy(&y, b.data() + i, sizeof y);
    if (x != y) break;
  }
  for (; i < a.size(); ++i)
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool is_token(std::string_view text) noexcept { return !text.empty() && std::ranges::all_of(text, is_token_char); }

void Headers::add(std::string_view name, std::string_view value) {
  if (!is_token(name))
    throw Error(ErrorCode::kInvalidArgument, "header: the name must be a token, got '" + std::string(name) + "'");
  if (!is_value(value))
    throw Error(ErrorCode::kInvalidArgument, "header " + std::string(name) + ": the value has a control character");
  add_checked(name, trim(value));
}

void Headers::add_checked(std::string_view name, std::string_view value) {
  // A value may come out of this very list, whose text is about to move.
  const auto inside = [this](std::string_view part) {
    return std::greater_equal<>()(part.data(), text_.data()) && std::less<>()(part.data(), text_.data() + text_.size());
  };
  if (inside(name) || inside(value)) return add_checked(std::string(name), std::string(value));
  if (spans_.empty()) {
    spans_.reserve(12);
    text_.reserve(400);
  }
  spans_.push_back(
      {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
  text_.append(name).append(value);
}

void Headers::set(std::string_view name, std::string_view value) {
  const std::string kept_name(name), kept_value(value);
  erase(kept_name);
  add(kept_name, kept_value);
}

size_t Headers::erase(std::string_view name) {
  return std::erase_if(spans_, [&](const Span& span) {
    return iequals(std::string_view(text_).substr(span.begin, span.name_size), name);
  });
}

void Headers::clear() noexcept {
  text_.clear();
  spans_.clear();
}

Headers::Field Headers::operator[](size_t index) const noexcept {
  const Span& span = spans_[index];
  const std::string_view text(text_);
  return {text.substr(span.begin, span.name_size), text.substr(span.begin + span.name_size, span.value_size)};
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  for (const Span& span : spans_) {
    const char* text = text_.data() + span.begin;
    if (iequals({text, span.name_size}, name)) return std::string_view(text + span.name_size, span.value_size);
  }
  return std::nullopt;
}

std::string_view Headers::get(std::string_view name, std::string_view fallback) const noexcept {
  return find(name).value_or(fallback);
}

size_t Headers::count(std::string_view name) const noexcept {
  size_t count = 0;
  for (const Span& span : spans_) count += iequals({text_.data() + span.begin, span.name_size}, name);
  return count;
}

bool Headers::lists(std::string_view name, std::string_view token) const noexcept {
  for (const Field field : *this) {
    if (!iequals(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (iequals(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

}  // namespace sm::http
