#include <algorithm>
#include <set>
#include <utility>

#include "serve/inference.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

using TensorInfo = InferenceModel::TensorInfo;

[[noreturn]] void fail(ErrorCode code, const std::string& what) { throw Error(code, "infer: " + what); }

template <class Names>
std::string list(const Names& names) {
  std::string text;
  for (const auto& each : names) text += (text.empty() ? "\"" : ", \"") + each + "\"";
  return text.empty() ? "none" : text;
}

std::vector<std::string> names_of(const TensorInfos& infos) {
  std::vector<std::string> names;
  for (const TensorInfo& info : infos) names.push_back(info.name);
  return names;
}

std::vector<std::string> names_of(const Tensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

bool fits(const Shape& shape, const std::vector<int64_t>& wanted) {
  return std::equal(shape.begin(), shape.end(), wanted.begin(), wanted.end(),
                    [](int64_t size, int64_t want) { return want == -1 || size == want; });
}

void check(const TensorInfo& info, const Tensor& tensor) {
  const std::string who = "input \"" + info.name + "\"";
  if (tensor.dtype() != info.dtype)
    fail(ErrorCode::kDTypeMismatch, who + " must be " + std::string(codec::datatype_of(info.dtype)) + ", got " +
                                        std::string(codec::datatype_of(tensor.dtype())));
  if (!fits(tensor.shape(), info.shape))
    fail(ErrorCode::kShapeMismatch,
         who + " must have the shape " + text_of(info.shape) + ", got " + tensor.shape().to_string());
}

void check_declared(const std::string& model, const TensorInfos& infos) {
  std::set<std::string> names;
  for (const TensorInfo& info : infos) {
    if (!names.insert(info.name).second)
      throw Error(ErrorCode::kInvalidArgument,
                  "serve: the model \"" + model + "\" has two tensors named \"" + info.name + "\"");
    for (int64_t size : info.shape)
      if (size < -1)
        throw Error(ErrorCode::kInvalidArgument, "serve: a size of \"" + info.name + "\" of the model \"" + model +
                                                     "\" must be 0 or more, or -1 for any, got " +
                                                     std::to_string(size));
  }
}

// The sizes of `latest`, or -1 where they were others before.
void merge(TensorInfos& known, const TensorInfos& latest) {
  const bool alike = std::equal(known.begin(), known.end(), latest.begin(), latest.end(),
                                [](const TensorInfo& a, const TensorInfo& b) {
                                  return a.name == b.name && a.dtype == b.dtype && a.shape.size() == b.shape.size();
                                });
  if (!alike) {
    known = latest;
    return;
  }
  for (size_t i = 0; i < known.size(); ++i)
    for (size_t axis = 0; axis < known[i].shape.size(); ++axis)
      if (known[i].shape[axis] != latest[i].shape[axis]) known[i].shape[axis] = -1;
}

Json to_json(const TensorInfos& infos) {
  Json out = Json::array();
  for (const TensorInfo& info : infos) {
    Json shape = Json::array();
    for (int64_t size : info.shape) shape.push_back(size);
    out.push_back(
        Json::object({{"name", info.name}, {"datatype", codec::datatype_of(info.dtype)}, {"shape", std::move(shape)}}));
  }
  return out;
}

bool positional(const Tensors& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors.at(i).first != std::to_string(i)) return false;
  return true;
}

TensorInfos infos_of(const Content& content) {
  TensorInfos infos;
  if (content.empty() || content.is_json()) return infos;
  const auto add = [&](std::string_view name, const Tensor& x) {
    if (x.defined()) infos.push_back({std::string(name), x.dtype(), {x.shape().begin(), x.shape().end()}});
  };
  if (content.is_tensor()) {
    add("0", content.tensor());
  } else {
    for (const auto& [name, tensor] : content.tensors()) add(name, tensor);
  }
  return infos;
}

// Nothing would be learned from it.
bool fits(const TensorInfo& known, std::string_view name, const Tensor& x) {
  if (!x.defined() || known.name != name || known.dtype != x.dtype()) return false;
  return std::equal(known.shape.begin(), known.shape.end(), x.shape().begin(), x.shape().end(),
                    [](int64_t size, int64_t now) { return size == now || size == -1; });
}

void learn(TensorInfos& known, const Content& content) {
  if (content.is_tensor() && known.size() == 1 && fits(known[0], "0", content.tensor())) return;
  merge(known, infos_of(content));
}

}  // namespace

ServedModel::ServedModel(InferenceModel model) : model_(std::move(model)) {
  if (model_.name.empty() || model_.name.find('/') != std::string::npos)
    throw Error(ErrorCode::kInvalidArgument,
                "serve: a model's name must not be empty nor have a slash, got \"" + model_.name + "\"");
  check_declared(model_.name, model_.inputs);
  check_declared(model_.name, model_.outputs);
}

Content ServedModel::bind(const Tensors& inputs, bool takes_names) const {
  Tensors bound;
  if (model_.inputs.empty()) {
    bound = inputs;
  } else {
    const bool only = inputs.size() == 1 && model_.inputs.size() == 1;
    for (const TensorInfo& info : model_.inputs) {
      const Tensor* found = only ? &inputs.at(0).second : inputs.find(info.name);
      if (!found || inputs.size() != model_.inputs.size())
        fail(ErrorCode::kInvalidArgument, "the model \"" + model_.name + "\" takes " + list(names_of(model_.inputs)) +
                                              ", got " + list(names_of(inputs)));
      check(info, *found);
      bound.set(info.name, *found);
    }
  }
  if (bound.empty()) return {};
  if (bound.size() == 1 && !takes_names) return bound.at(0).second;
  return bound;
}

Tensors ServedModel::name_outputs(const Content& answer) const {
  if (answer.is_json())
    fail(ErrorCode::kInternal, "the route of the model \"" + model_.name + "\" answered JSON, which is no tensor");
  Tensors tensors = answer.tensors();
  if (tensors.size() != model_.outputs.size() || !positional(tensors)) return tensors;
  Tensors named;
  for (size_t i = 0; i < tensors.size(); ++i) named.set(model_.outputs[i].name, tensors.at(i).second);
  return named;
}

std::vector<codec::InferenceResponse::Output> ServedModel::choose(const Content& answer,
                                                                  const codec::InferenceRequest& request) const {
  const Tensors tensors = name_outputs(answer);
  std::vector<codec::InferenceResponse::Output> chosen;
  if (request.outputs.empty()) {
    for (const auto& [name, tensor] : tensors) chosen.push_back({name, tensor, request.binary_output});
    return chosen;
  }
  // A lone tensor that has no name of its own answers to any.
  const bool nameless = model_.outputs.empty() && answer.is_tensor() && request.outputs.size() == 1;
  std::set<std::string_view> seen;
  for (const codec::InferenceRequest::Output& wanted : request.outputs) {
    const Tensor* found = nameless ? &tensors.at(0).second : tensors.find(wanted.name);
    if (!found)
      fail(ErrorCode::kInvalidArgument, "the model \"" + model_.name + "\" has no output \"" + wanted.name +
                                            "\", there is " + list(names_of(tensors)));
    if (!seen.insert(wanted.name).second)
      fail(ErrorCode::kInvalidArgument, "the output \"" + wanted.name + "\" is asked for twice");
    chosen.push_back({wanted.name, *found, wanted.binary.value_or(request.binary_output)});
  }
  return chosen;
}

void ServedModel::saw(const Content& inputs, const Content& outputs) {
  const std::lock_guard lock(mutex_);
  learn(inputs_, inputs);
  learn(outputs_, outputs);
}

Json ServedModel::metadata(uint64_t version) const {
  const std::lock_guard lock(mutex_);
  return Json::object({{"name", model_.name},
                       {"versions", Json::array({std::to_string(version)})},
                       {"platform", "shumai"},
                       {"inputs", to_json(model_.inputs.empty() ? inputs_ : model_.inputs)},
                       {"outputs", to_json(model_.outputs.empty() ? outputs_ : model_.outputs)}});
}

}  // namespace sm::io
