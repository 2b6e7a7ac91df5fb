#include "shumai/json_model.hpp"

#include <cmath>
#include <optional>

#include "codec/file.hpp"
#include "codec/safetensors.hpp"
#include "nn/description.hpp"
#include "shumai/error.hpp"

namespace sm::nn {
namespace {

constexpr std::string_view kLayer = "layer";

[[noreturn]] void refuse(const std::string& place, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "model: " + place + ": " + what);
}

bool is_whole(const Json& value) {
  return value.is_number() && std::trunc(value.as_double()) == value.as_double() && std::abs(value.as_double()) < 1e15;
}

bool all_whole(const Json& value) {
  if (!value.is_array()) return false;
  for (const Json& item : value.as_array())
    if (!is_whole(item)) return false;
  return true;
}

bool is_dtype(const Json& value) {
  if (!value.is_string()) return false;
  try {
    dtype_from_name(value.as_string());
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct Rule {
  const char* text;
  bool (*holds)(const Json& value);
};

Rule rule_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::kCount:
      return {"a whole number above 0", [](const Json& v) { return is_whole(v) && v.as_double() > 0; }};
    case FieldKind::kInteger:
      return {"a whole number", is_whole};
    case FieldKind::kNumber:
      return {"a number", [](const Json& v) { return v.is_number(); }};
    case FieldKind::kProbability:
      return {"a number from 0 to 1",
              [](const Json& v) { return v.is_number() && v.as_double() >= 0 && v.as_double() <= 1; }};
    case FieldKind::kBool:
      return {"true or false", [](const Json& v) { return v.is_bool(); }};
    case FieldKind::kSizes:
      return {"a whole number or a list of them", [](const Json& v) { return is_whole(v) || all_whole(v); }};
    case FieldKind::kDType:
      return {"a dtype such as \"float32\"", is_dtype};
    case FieldKind::kActivation:
      return {"an operation's name", [](const Json& v) { return v.is_string(); }};
    case FieldKind::kLayers:
      return {"a list of layers", [](const Json& v) { return v.is_array(); }};
    case FieldKind::kText:
      break;
  }
  return {"a string", [](const Json& v) { return v.is_string(); }};
}

std::string shown(const Json& value) {
  std::string text = value.dump();
  constexpr size_t kLongest = 60;
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

void check_names(const Json& step, const LayerKind& kind, const std::string& place) {
  std::string known;
  for (const Field& field : kind.fields) known += (known.empty() ? "" : ", ") + field.name;
  for (const auto& [name, value] : step.as_object()) {
    bool found = name == kLayer;
    for (const Field& field : kind.fields) found = found || field.name == name;
    if (!found)
      refuse(place,
             "it has no field " + Json(name).dump() + (known.empty() ? ", nor any other" : "; there is " + known));
  }
}

Json describe_layers(const Json& layers, const std::string& place);

Json describe_field(const Field& field, const Json& value, const std::string& place, const std::string& in) {
  const Rule rule = rule_of(field.kind);
  if (!rule.holds(value)) refuse(place, "\"" + field.name + "\" must be " + rule.text + ", got " + shown(value));
  if (field.kind == FieldKind::kLayers) return describe_layers(value, in + ".layers");
  return value;
}

Json describe_step(const Json& step, const std::string& in) {
  if (!step.is_string() && !(step.is_object() && step.contains(kLayer)))
    refuse(in, "expected a name or an object with \"layer\", got " + shown(step));
  const Json& name = step.is_string() ? step : step[kLayer];
  if (!name.is_string()) refuse(in, "\"layer\" must be a string, got " + shown(name));
  const LayerKind* kind = nullptr;
  try {
    kind = &layer_kind(name.as_string());
  } catch (const Error& error) {
    refuse(in, error.what());
  }
  const std::string place = in + " (" + kind->name + ")";
  if (step.is_object()) check_names(step, *kind, place);
  Json out = Json::object({{std::string(kLayer), kind->name}});
  for (const Field& field : kind->fields) {
    const Json* given = step.find(field.name);
    if (given && !(given->is_null() && field.optional))
      out[field.name] = describe_field(field, *given, place, in);
    else if (field.fallback.is_null() && !field.optional)
      refuse(place, "\"" + field.name + "\" is missing");
    else
      out[field.name] = field.fallback;
  }
  return out;
}

Json describe_layers(const Json& layers, const std::string& place) {
  Json out = Json::array();
  for (size_t i = 0; i < layers.size(); ++i)
    out.push_back(describe_step(layers[i], place + "[" + std::to_string(i) + "]"));
  return out;
}

}  // namespace

Dims Fields::sizes(std::string_view name) const {
  const Json& value = object_[name];
  if (!value.is_array()) return Dims(value.as_int64());
  std::vector<int64_t> out;
  for (const Json& size : value.as_array()) out.push_back(size.as_int64());
  return Dims(out);
}

DType Fields::dtype() const { return dtype_from_name(object_["dtype"].as_string()); }

void add_layers(Sequential& to, const Json& layers, const std::string& place) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const Json& step = layers[i];
    const std::string in = place + "[" + std::to_string(i) + "]";
    try {
      layer_kind(step[kLayer].as_string()).add(to, Fields(step, in));
    } catch (const Error& error) {
      const std::string message = error.what();
      if (message.starts_with("model: ")) throw;
      throw Error(error.code(), std::string("model: ").append(in).append(": ").append(message));
    }
  }
}

Json describe(const Json& description) {
  const Json* layers = &description;
  if (description.is_object()) {
    layers = description.find("layers");
    if (!layers) throw Error(ErrorCode::kInvalidArgument, "model: expected \"layers\", got " + shown(description));
    for (const auto& [name, value] : description.as_object())
      if (name != "layers")
        throw Error(ErrorCode::kInvalidArgument, "model: it has no field " + Json(name).dump() + "; there is layers");
  }
  if (!layers->is_array() || layers->empty())
    throw Error(ErrorCode::kInvalidArgument,
                "model: \"layers\" must be a list of one layer or more, got " + shown(*layers));
  return Json::object({{"layers", describe_layers(*layers, "layers")}});
}

JsonModel::JsonModel(const Json& description) : description_(std::make_shared<const Json>(describe(description))) {
  add_layers(*this, (*description_)["layers"], "layers");
  set_description(description_->dump());
}

namespace {

bool is_text(const util::Buffer& file) {
  for (size_t i = 0; i < file.size(); ++i) {
    const char c = static_cast<char>(file.data()[i]);
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return c == '{' || c == '[';
  }
  return false;
}

// A server's checkpoint has more than the weights.
Tensors weights_in(const Tensors& all) {
  Tensors out;
  for (const auto& [name, tensor] : all)
    if (!name.starts_with("shumai.") && !name.starts_with("optimizer.")) out.set(name, tensor);
  return out;
}

struct Opened {
  Json description;
  std::optional<Tensors> weights;
};

Opened open_file(const std::string& path) {
  const util::BufferRef file = codec::read_file(path);
  if (is_text(*file)) return {Json::parse({reinterpret_cast<const char*>(file->data()), file->size()}), std::nullopt};
  constexpr codec::SafetensorsLimits kLimits = {.max_header_bytes = size_t{256} << 20, .max_tensors = 1'000'000};
  codec::Metadata metadata;
  const Tensors all = codec::decode_safetensors(file, 0, file->size(), &metadata, kLimits);
  const auto description = metadata.find(std::string(kDescriptionKey));
  if (description == metadata.end())
    throw Error(ErrorCode::kInvalidArgument, "has weights but doesn't say of which model: no \"" +
                                                 std::string(kDescriptionKey) + "\" in its metadata");
  return {Json::parse(description->second), weights_in(all)};
}

// What `f` throws, with the file's name.
template <class F>
auto about_file(const std::string& path, F f) {
  try {
    return f();
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.code(),
                message.find('"' + path + '"') == message.npos ? "\"" + path + "\": " + message : message);
  }
}

}  // namespace

JsonModel open_model(const std::string& path) {
  return about_file(path, [&] {
    const Opened opened = open_file(path);
    JsonModel model(opened.description);
    if (opened.weights) model.load_state(*opened.weights);
    return model;
  });
}

Json read_description(const std::string& path, bool* alone) {
  return about_file(path, [&] {
    const Opened opened = open_file(path);
    if (alone) *alone = !opened.weights;
    return describe(opened.description);
  });
}

std::vector<LayerHelp> layers_of_json() {
  std::vector<LayerHelp> out;
  for (const LayerKind& kind : layer_kinds()) {
    out.push_back({kind.name, {}});
    for (const Field& field : kind.fields)
      out.back().fields.push_back(field.fallback.is_null() ? field.name : field.name + " = " + field.fallback.dump());
  }
  return out;
}

}  // namespace sm::nn
