#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/json.hpp"
#include "shumai/module.hpp"
#include "shumai/shape.hpp"

// The layers that a model's JSON may name, and their fields.
namespace sm::nn {

enum class FieldKind : uint8_t {
  kCount,        // a whole number above 0
  kInteger,      // a whole number
  kNumber,       // a number
  kProbability,  // 0 to 1
  kBool,
  kSizes,       // a whole number, or a list of them
  kDType,       // a dtype's name
  kText,        // a string
  kActivation,  // the name of an operation that needs no arguments
  kLayers,      // a list of layers
};

struct Field {
  std::string name;
  FieldKind kind = FieldKind::kCount;
  Json fallback = {};  // null: must be given, or may stay null when it is optional
  bool optional = false;
};

// The fields of one step, checked and complete.
class Fields {
 public:
  Fields(const Json& object, std::string place) : object_(object), place_(std::move(place)) {}
  int64_t integer(const char* name) const { return object_[name].as_int64(); }
  double number(const char* name) const { return object_[name].as_double(); }
  bool flag(const char* name) const { return object_[name].as_bool(); }
  const std::string& text(const char* name) const { return object_[name].as_string(); }
  bool has(const char* name) const { return !object_[name].is_null(); }
  const Json& json(std::string_view name) const { return object_[name]; }
  Dims sizes(std::string_view name) const;
  DType dtype() const;
  // Where the step is in the model: "layers[2]".
  const std::string& place() const noexcept { return place_; }

 private:
  const Json& object_;
  std::string place_;
};

struct LayerKind {
  std::string name;
  std::vector<Field> fields;
  std::function<void(Sequential& to, const Fields& fields)> add;
};

// The layers of sm::nn. The first call builds the table.
std::span<const LayerKind> layer_kinds();

// The layer or operation of that name. Throws Error (kInvalidArgument) with the
// nearest name. The reference lives for ever.
const LayerKind& layer_kind(std::string_view name);

// An operation of one tensor that needs nothing else, as a function.
std::function<Tensor(const Tensor&)> activation_named(const std::string& name);

// Adds what describe() gave for a list of layers at `place`.
void add_layers(Sequential& to, const Json& layers, const std::string& place);

}  // namespace sm::nn
