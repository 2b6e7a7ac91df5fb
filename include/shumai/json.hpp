#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sm {

// What Json::parse accepts at most; above it, Error (kTooLarge).
struct JsonLimits {
  size_t max_bytes = 64u << 20;
  int max_depth = 32;
  size_t max_values = 1'000'000;  // scalars, arrays and objects, nested ones included
};

// A JSON value: what a route returns for people and scripts, and how options
// and statistics travel. A value type: copies are deep and independent.
//
//   Json info = Json::object({{"loss", 0.5}, {"tags", Json::array({"a", "b"})}});
//   info["step"] = 12;
//   double loss = info["loss"].as_double();
//
// Objects keep the order of insertion. Accessors throw Error (kInvalidArgument)
// that names the type asked for and the one found. There is no constructor from
// braces, which couldn't tell a copy from a list of one: say array() or object().
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  enum class Type : uint8_t { null, boolean, integer, number, string, array, object };

  Json() noexcept : value_(nullptr) {}
  Json(std::nullptr_t) noexcept : value_(nullptr) {}
  template <std::same_as<bool> T>
  Json(T value) noexcept : value_(value) {}
  // Unsigned values above 2^63 - 1 become float64.
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value)
  noexcept {
    if (std::in_range<int64_t>(value))
      value_ = static_cast<int64_t>(value);
    else
      value_ = static_cast<double>(value);
  }
  template <std::floating_point T>
  Json(T value) noexcept : value_(static_cast<double>(value)) {}
  Json(const char* text) : value_(std::string(text)) {}
  Json(std::string_view text) : value_(std::string(text)) {}
  Json(std::string text) noexcept : value_(std::move(text)) {}
  Json(Array items) noexcept : value_(std::move(items)) {}
  Json(Object members) noexcept : value_(std::move(members)) {}

  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }
  // Throws Error (kInvalidArgument) when a key comes twice.
  static Json object(std::initializer_list<Member> members = {});

  // Standard JSON (RFC 8259) only. Throws Error (kProtocol) with the position
  // for anything else, for a number beyond float64 and for a key that comes
  // twice in one object; kTooLarge above a limit. Integers beyond 64 signed
  // bits become float64.
  static Json parse(std::string_view text, const JsonLimits& limits = {});

  // Compact when `indent` is 0. Numbers are the shortest text that reads back
  // the same; NaN and infinities, which JSON lacks, become null; bytes that
  // aren't UTF-8 become U+FFFD.
  std::string dump(int indent = 0) const;

  Type type() const noexcept { return static_cast<Type>(value_.index()); }
  bool is_null() const noexcept { return type() == Type::null; }
  bool is_bool() const noexcept { return type() == Type::boolean; }
  bool is_number() const noexcept { return type() == Type::integer || type() == Type::number; }
  bool is_string() const noexcept { return type() == Type::string; }
  bool is_array() const noexcept { return type() == Type::array; }
  bool is_object() const noexcept { return type() == Type::object; }

  bool as_bool() const;
  int64_t as_int64() const;  // a float64 counts when it is whole and fits
  double as_double() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  // Entries of an array, members of an object; 0 for anything else.
  size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }

  // Throws Error (kNotFound) that names the key and those that exist.
  const Json& operator[](std::string_view key) const;
  // Adds a null under a new key; a null becomes an object first.
  Json& operator[](std::string_view key);
  // The same with a literal, which would fit the index as well.
  const Json& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  Json& operator[](const char* key) { return (*this)[std::string_view(key)]; }
  // Throws Error (kOutOfRange).
  const Json& operator[](size_t index) const;
  Json& operator[](size_t index);
  const Json& operator[](int index) const { return (*this)[static_cast<size_t>(index)]; }
  Json& operator[](int index) { return (*this)[static_cast<size_t>(index)]; }

  // Null when there is no such key, or this isn't an object.
  const Json* find(std::string_view key) const noexcept;
  bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }
  // True when there was such a key.
  bool erase(std::string_view key);
  // Adds to an array; a null becomes one first.
  void push_back(Json item);

  // Numbers compare by value (1 equals 1.0), objects in any order.
  friend bool operator==(const Json& a, const Json& b) noexcept;

 private:
  // In the order of Type.
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value_;
};

}  // namespace sm
