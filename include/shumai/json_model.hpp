#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/json.hpp"
#include "shumai/module.hpp"

// Models as data: an architecture in JSON, and files that hold it beside the
// weights, so that a model can be served, trained and opened without its code.
//
//   {"layers": [
//     {"layer": "Linear", "inputs": 784, "outputs": 64},
//     "relu",
//     {"layer": "Linear", "inputs": 64, "outputs": 10}
//   ]}
//
// A step is a layer of sm::nn, with the arguments and options of its
// constructor as fields ("LSTM" and "GRU" give their output, or with "last" its
// last step; "MultiheadAttention" and the encoders attend to themselves, with
// "causal" to what came before); or any operation on one tensor
// (docs/ops.md), with its other arguments as fields: {"layer": "reshape",
// "shape": [-1, 28, 28]}; or "Sequential" and "Residual" (x + f(x)), with
// "layers" of their own. What has a default may be left out, and a step without
// fields may be its name alone. The list may also stand alone.
namespace sm::nn {

// The description with every default spelled out. Throws Error
// (kInvalidArgument) that says which layer, which field, what is expected and
// what came: `model: layers[0] (Linear): "outputs" must be a whole number above 0, got "ten"`.
Json describe(const Json& description);

// A model that was built from JSON, which its files say. A handle, as every
// Module is.
class JsonModel : public Sequential {
 public:
  // Builds the layers in order, so a seed gives the weights that code with the
  // same layers would give. Throws Error as describe() does, and what a
  // layer's constructor throws, with its place before.
  explicit JsonModel(const Json& description);

  // As describe() gives it.
  const Json& description() const noexcept { return *description_; }

 private:
  std::shared_ptr<const Json> description_;
};

inline JsonModel from_json(const Json& description) { return JsonModel(description); }  // with new weights

// The model in a file: the description alone as JSON text, with new weights; or
// a safetensors file with one in its metadata, as those of JsonModel::save and the
// checkpoints of a served JsonModel are, with the weights there. Throws Error:
// kNotFound, kProtocol, kInvalidArgument for a file without a description.
JsonModel open_model(const std::string& path);

// What open_model would build, without the weights. `alone`, unless null, is set
// to whether the file holds nothing else. Throws likewise.
Json read_description(const std::string& path, bool* alone = nullptr);

// The key of a safetensors file's metadata under which the description is kept.
inline constexpr std::string_view kDescriptionKey = "shumai.model";

// Every layer by name with its fields, "Linear" with "inputs", "outputs",
// "bias = true" and so on, for help texts. Operations aren't listed.
struct LayerHelp {
  std::string name;
  std::vector<std::string> fields;
};
std::vector<LayerHelp> layers_of_json();

}  // namespace sm::nn
