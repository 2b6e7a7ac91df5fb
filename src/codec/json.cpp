#include "shumai/json.hpp"

#include <algorithm>
#include <cmath>

#include "codec/json_builder.hpp"
#include "codec/json_reader.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"

namespace sm {
namespace {

const char* type_name(Json::Type type) {
  constexpr const char* kNames[] = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};
  return kNames[static_cast<size_t>(type)];
}

[[noreturn]] void throw_type(const char* expected, const Json& got) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string("json: expected ") + expected + ", got " + type_name(got.type()));
}

void break_line(std::string& out, int indent, int level) {
  if (indent > 0) out.append(1, '\n').append(static_cast<size_t>(indent) * static_cast<size_t>(level), ' ');
}

void write(std::string& out, const Json& value, int indent, int level);

void write_array(std::string& out, const Json::Array& items, int indent, int level) {
  out += '[';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    break_line(out, indent, level + 1);
    write(out, items[i], indent, level + 1);
  }
  if (!items.empty()) break_line(out, indent, level);
  out += ']';
}

void write_object(std::string& out, const Json::Object& members, int indent, int level) {
  out += '{';
  for (size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += ',';
    break_line(out, indent, level + 1);
    codec::append_json_string(out, members[i].first);
    out += indent > 0 ? ": " : ":";
    write(out, members[i].second, indent, level + 1);
  }
  if (!members.empty()) break_line(out, indent, level);
  out += '}';
}

void write(std::string& out, const Json& value, int indent, int level) {
  switch (value.type()) {
    case Json::Type::null:
      out += "null";
      return;
    case Json::Type::boolean:
      out += value.as_bool() ? "true" : "false";
      return;
    case Json::Type::integer:
      out += std::to_string(value.as_int64());
      return;
    case Json::Type::number:
      if (std::isfinite(value.as_double()))
        codec::append_json_number(out, value.as_double());
      else
        out += "null";
      return;
    case Json::Type::string:
      codec::append_json_string(out, value.as_string());
      return;
    case Json::Type::array:
      write_array(out, value.as_array(), indent, level);
      return;
    case Json::Type::object:
      write_object(out, value.as_object(), indent, level);
      return;
  }
}

bool same_members(const Json::Object& a, const Json::Object& b) noexcept {
  if (a.size() != b.size()) return false;
  const auto same_at = [&](size_t i) { return a[i].first == b[i].first && a[i].second == b[i].second; };
  const auto find_in_b = [&](const std::string& key) {
    return std::find_if(b.begin(), b.end(), [&](const Json::Member& member) { return member.first == key; });
  };
  for (size_t i = 0; i < a.size(); ++i) {
    if (same_at(i)) continue;
    const auto other = find_in_b(a[i].first);
    if (other == b.end() || !(other->second == a[i].second)) return false;
  }
  return true;
}

}  // namespace

namespace codec {

void check_unique_keys(const Json::Object& members, ErrorCode code) {
  if (members.size() < 2) return;
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const Json::Member& member : members) keys.push_back(member.first);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) throw Error(code, "json: key " + codec::quoted(*twice) + " comes twice in one object");
}

void throw_json_error(std::string_view text, size_t position, const boost::json::error_code& code, int max_depth) {
  const std::string where = " at byte " + std::to_string(position);
  if (code == boost::json::error::too_deep)
    throw Error(ErrorCode::kTooLarge, "json: nested deeper than " + std::to_string(max_depth) + " levels" + where);
  if (position >= text.size()) throw Error(ErrorCode::kProtocol, "json: the text ends too early," + where);
  throw Error(ErrorCode::kProtocol,
              "json: " + code.message() + where + ", before " + quoted(text.substr(position, 20)));
}

}  // namespace codec

Json Json::object(std::initializer_list<Member> members) {
  Object list(members);
  codec::check_unique_keys(list, ErrorCode::kInvalidArgument);
  return Json(std::move(list));
}

Json Json::parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw Error(ErrorCode::kTooLarge, "json: " + std::to_string(text.size()) + " bytes, at most " +
                                          std::to_string(limits.max_bytes) + " are accepted");
  codec::JsonBuilder builder(limits.max_values);
  codec::read_json(text, limits.max_depth, builder);
  return builder.take();
}

std::string Json::dump(int indent) const {
  std::string out;
  write(out, *this, indent, 0);
  return out;
}

bool Json::as_bool() const {
  if (const bool* value = std::get_if<bool>(&value_)) return *value;
  throw_type("a boolean", *this);
}

int64_t Json::as_int64() const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return *value;
  const double* value = std::get_if<double>(&value_);
  if (!value) throw_type("an integer", *this);
  if (*value >= -0x1p63 && *value < 0x1p63 && *value == std::trunc(*value)) return static_cast<int64_t>(*value);
  throw Error(ErrorCode::kInvalidArgument, "json: expected an integer, got " + dump());
}

double Json::as_double() const {
  if (const double* value = std::get_if<double>(&value_)) return *value;
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  throw_type("a number", *this);
}

const std::string& Json::as_string() const {
  if (const std::string* value = std::get_if<std::string>(&value_)) return *value;
  throw_type("a string", *this);
}

const Json::Array& Json::as_array() const {
  if (const Array* value = std::get_if<Array>(&value_)) return *value;
  throw_type("an array", *this);
}
Json::Array& Json::as_array() { return const_cast<Array&>(std::as_const(*this).as_array()); }

const Json::Object& Json::as_object() const {
  if (const Object* value = std::get_if<Object>(&value_)) return *value;
  throw_type("an object", *this);
}
Json::Object& Json::as_object() { return const_cast<Object&>(std::as_const(*this).as_object()); }

size_t Json::size() const noexcept {
  if (const Array* items = std::get_if<Array>(&value_)) return items->size();
  if (const Object* members = std::get_if<Object>(&value_)) return members->size();
  return 0;
}

const Json& Json::operator[](std::string_view key) const {
  const Object& members = as_object();
  if (const Json* found = find(key)) return *found;
  std::string keys;
  for (const Member& member : members) keys += (keys.empty() ? "" : ", ") + codec::quoted(member.first);
  throw Error(ErrorCode::kNotFound, "json: no key " + codec::quoted(key) + " among {" + keys + "}");
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object();
  Object& members = as_object();
  if (const Json* found = find(key)) return const_cast<Json&>(*found);
  return members.emplace_back(key, Json()).second;
}

const Json& Json::operator[](size_t index) const {
  const Array& items = as_array();
  if (index < items.size()) return items[index];
  throw Error(ErrorCode::kOutOfRange, "json: index " + std::to_string(index) + " is out of range for an array of " +
                                          std::to_string(items.size()));
}
Json& Json::operator[](size_t index) { return const_cast<Json&>(std::as_const(*this)[index]); }

const Json* Json::find(std::string_view key) const noexcept {
  const Object* members = std::get_if<Object>(&value_);
  if (!members) return nullptr;
  for (const Member& member : *members)
    if (member.first == key) return &member.second;
  return nullptr;
}

bool Json::erase(std::string_view key) {
  return std::erase_if(as_object(), [&](const Member& member) { return member.first == key; }) > 0;
}

void Json::push_back(Json item) {
  if (is_null()) value_ = Array();
  as_array().push_back(std::move(item));
}

bool operator==(const Json& a, const Json& b) noexcept {
  if (a.is_object() && b.is_object()) return same_members(a.as_object(), b.as_object());
  if (a.is_number() && b.is_number() && a.type() != b.type()) return a.as_double() == b.as_double();
  return a.value_ == b.value_;
}

}  // namespace sm
