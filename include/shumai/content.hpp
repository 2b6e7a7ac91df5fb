#pragma once

#include <string>
#include <utility>
#include <variant>

#include "shumai/json.hpp"
#include "shumai/tensor.hpp"

namespace sm::io {

// What one message carries: nothing, a tensor, named tensors, or JSON.
class Content {
 public:
  Content() = default;
  Content(Tensor tensor) : value_(std::move(tensor)) {}
  Content(Tensors tensors) : value_(std::move(tensors)) {}
  Content(Json json) : value_(std::move(json)) {}

  bool empty() const noexcept {
    const Tensor* tensor = std::get_if<Tensor>(&value_);
    return std::holds_alternative<std::monostate>(value_) || (tensor && !tensor->defined());
  }
  bool is_tensor() const noexcept { return std::holds_alternative<Tensor>(value_) && !empty(); }
  bool is_tensors() const noexcept { return std::holds_alternative<Tensors>(value_); }
  bool is_json() const noexcept { return std::holds_alternative<Json>(value_); }

  // The only tensor, named or not; undefined when there is nothing. Throws
  // Error (kInvalidArgument) that says what there is instead.
  Tensor tensor() const;
  // All tensors; one without a name is called "0". Throws Error likewise.
  Tensors tensors() const;
  // Throws Error likewise.
  const Json& json() const;

  // "a tensor", "JSON" and so on, for messages.
  std::string describe() const;

 private:
  std::variant<std::monostate, Tensor, Tensors, Json> value_;
};

}  // namespace sm::io
