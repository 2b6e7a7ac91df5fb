#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/json_text.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"

namespace sm::codec {

// Throws Error (`code`) when a key comes twice.
void check_unique_keys(const Json::Object& members, ErrorCode code);

// Builds a Json from parser events. The open containers are reached by pointer:
// each is the last entry of the one around it, which can't grow before it closes.
class JsonBuilder {
 public:
  explicit JsonBuilder(size_t max_values) : max_values_(max_values) {}

  void open_object() { open_.push_back(&add(Json::Object())); }
  void open_array() { open_.push_back(&add(Json::Array())); }
  void close_array() { open_.pop_back(); }
  void close_object() {
    check_unique_keys(open_.back()->as_object(), ErrorCode::kProtocol);
    open_.pop_back();
  }
  void key(std::string_view name) { key_ = name; }
  void string(std::string_view text) { add(text); }
  void integer(int64_t value, std::string_view) { add(value); }
  void number(std::string_view token) {
    double value = 0;
    if (!read_json_number(token, value))
      throw Error(ErrorCode::kProtocol, "json: number " + quoted(token) + " doesn't fit float64");
    add(value);
  }
  void boolean(bool value) { add(value); }
  void null() { add(nullptr); }

  Json take() { return std::move(root_); }

 private:
  Json& add(Json value) {
    if (++values_ > max_values_)
      throw Error(ErrorCode::kTooLarge, "json: more than " + std::to_string(max_values_) + " values");
    if (open_.empty()) return root_ = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_array()) return parent.as_array().emplace_back(std::move(value));
    return parent.as_object().emplace_back(std::move(key_), std::move(value)).second;
  }

  Json root_;
  std::vector<Json*> open_;
  std::string key_;
  size_t max_values_;
  size_t values_ = 0;
};

}  // namespace sm::codec
