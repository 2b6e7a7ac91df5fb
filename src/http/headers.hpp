#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sm::http {

bool iequals_of_one_size(std::string_view a, std::string_view b) noexcept;

// Equal but for the case of ASCII letters.
inline bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && iequals_of_one_size(a, b);
}

// True for a non-empty token of RFC 9110: a method or a field name.
bool is_token(std::string_view text) noexcept;

// A message's fields, in order, in one block of text. Names compare without
// case. Views stay valid until the next change.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  // Throws sm::Error (kInvalidArgument) for a name that isn't a token or a
  // value with control characters, which could smuggle in another field.
  void add(std::string_view name, std::string_view value);
  // Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  // For fields that a parser has checked already.
  void add_checked(std::string_view name, std::string_view value);
  size_t erase(std::string_view name);
  // Keeps the memory for the next fields.
  void clear() noexcept;

  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  std::string_view get(std::string_view name, std::string_view fallback = {}) const noexcept;
  size_t count(std::string_view name) const noexcept;
  // True when a comma-separated field of that name lists `token`.
  bool lists(std::string_view name, std::string_view token) const noexcept;

  bool empty() const noexcept { return spans_.empty(); }
  size_t size() const noexcept { return spans_.size(); }
  Field operator[](size_t index) const noexcept;

  class Iterator {
   public:
    Iterator(const Headers* headers, size_t index) : headers_(headers), index_(index) {}
    Field operator*() const noexcept { return (*headers_)[index_]; }
    Iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_;
    size_t index_;
  };
  Iterator begin() const noexcept { return {this, 0}; }
  Iterator end() const noexcept { return {this, spans_.size()}; }

 private:
  struct Span {
    uint32_t begin, name_size, value_size;
  };
  std::string text_;
  std::vector<Span> spans_;
};

}  // namespace sm::http
