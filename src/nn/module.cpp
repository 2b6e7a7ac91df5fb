#include "shumai/module.hpp"

#include <algorithm>
#include <unordered_set>

#include "codec/file.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"
#include "shumai/json_model.hpp"
#include "shumai/layers.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm::nn {

struct Module::State {
  struct Child {
    std::string name;
    std::shared_ptr<State> state;
  };

  std::vector<Tensors::Entry> parameters;
  std::vector<Tensors::Entry> buffers;
  std::vector<Child> children;
  bool training = true;
  std::string description;

  void check_name(std::string_view name) const {
    const auto is_it = [&](const auto& entry) { return entry.first == name; };
    const bool taken = std::any_of(parameters.begin(), parameters.end(), is_it) ||
                       std::any_of(buffers.begin(), buffers.end(), is_it) ||
                       std::any_of(children.begin(), children.end(), [&](const Child& c) { return c.name == name; });
    const bool bad = name.empty() || name.find('.') != name.npos;
    if (taken || bad)
      throw Error(ErrorCode::kInvalidArgument, "module: the name \"" + std::string(name) +
                                                   (taken ? "\" is taken" : "\" must have a letter and no dot"));
  }

  // Calls visit(prefix, state) for this one and all below it; prefixes end in a dot or are empty.
  template <class Visit>
  static void walk(const std::shared_ptr<State>& state, const std::string& prefix, Visit& visit) {
    visit(prefix, state);
    for (const Child& child : state->children) walk(child.state, prefix + child.name + ".", visit);
  }

  // The tensors of `group` of this one and all below it, by their full names.
  static std::vector<Tensors::Entry> collect(const std::shared_ptr<State>& from,
                                             std::vector<Tensors::Entry> State::*group) {
    std::vector<Tensors::Entry> found;
    auto visit = [&](const std::string& prefix, const std::shared_ptr<State>& state) {
      for (const auto& [name, tensor] : (*state).*group) found.emplace_back(prefix + name, tensor);
    };
    walk(from, "", visit);
    return found;
  }
};

namespace {

using Entries = std::vector<Tensors::Entry>;

Entries without_repeats(Entries entries) {
  std::unordered_set<const TensorImpl*> seen;
  std::erase_if(entries, [&](const Tensors::Entry& entry) { return !seen.insert(entry.second.impl()).second; });
  return entries;
}

Tensors as_tensors(const Entries& entries) {
  Tensors out;
  for (const auto& [name, tensor] : entries) out.set(name, tensor);
  return out;
}

void convert(const Tensor& tensor, DType dtype) {
  TensorImpl& impl = *tensor.impl();
  impl.grad = nullptr;
  if (!is_floating(impl.dtype) || impl.dtype == dtype) return;
  const Tensor converted = detail::cast(tensor, dtype);
  impl.dtype = dtype;
  tensor.update(converted);
}

// What doesn't fit between what a module has and what came, for one message.
class Differences {
 public:
  void add(ErrorCode code, const std::string& text) {
    if (text_.empty()) code_ = code;
    text_ += (text_.empty() ? "" : "; ") + text;
  }
  void throw_if_any() const {
    if (!text_.empty()) throw Error(code_, "load_state: " + text_);
  }

 private:
  ErrorCode code_ = ErrorCode::kInvalidArgument;
  std::string text_;
};

void compare(const std::string& name, const Tensor& own, const Tensor& given, Differences& differences) {
  const auto quoted = "\"" + name + "\"";
  if (own.shape() != given.shape())
    differences.add(ErrorCode::kShapeMismatch,
                    quoted + " must have shape " + own.shape().to_string() + ", got " + given.shape().to_string());
  else if (is_floating(own.dtype()) != is_floating(given.dtype()))
    differences.add(ErrorCode::kDTypeMismatch, quoted + " must be " + std::string(name_of(own.dtype())) + ", got " +
                                                   std::string(name_of(given.dtype())));
}

}  // namespace

Module::Module() : state_(std::make_shared<State>()) {}

Tensors Module::named_parameters() const {
  return as_tensors(without_repeats(State::collect(state_, &State::parameters)));
}

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> out;
  for (const auto& entry : without_repeats(State::collect(state_, &State::parameters))) out.push_back(entry.second);
  return out;
}

Tensors Module::named_buffers() const { return as_tensors(without_repeats(State::collect(state_, &State::buffers))); }

std::vector<std::pair<std::string, Module>> Module::named_modules() const {
  std::vector<std::pair<std::string, Module>> out;
  auto visit = [&](const std::string& prefix, const std::shared_ptr<State>& state) {
    Module module = *this;
    module.state_ = state;
    out.emplace_back(prefix.substr(0, prefix.size() - !prefix.empty()), std::move(module));
  };
  State::walk(state_, "", visit);
  return out;
}

Tensors Module::state() const {
  Entries all = State::collect(state_, &State::parameters);
  for (auto& entry : State::collect(state_, &State::buffers)) all.push_back(std::move(entry));
  return as_tensors(all);
}

void Module::load_state(const Tensors& given) const {
  const Tensors own = state();
  Differences differences;
  for (const auto& [name, tensor] : own) {
    if (const Tensor* value = given.find(name))
      compare(name, tensor, *value, differences);
    else
      differences.add(ErrorCode::kNotFound, "\"" + name + "\" is missing");
  }
  for (const auto& [name, tensor] : given)
    if (!own.contains(name)) differences.add(ErrorCode::kInvalidArgument, "\"" + name + "\" isn't part of the module");
  differences.throw_if_any();
  for (const auto& [name, tensor] : own) tensor.update(given[name].detach());
}

void Module::save(const std::string& path) const {
  if (state_->description.empty()) return sm::save(path, state());
  const codec::Metadata metadata = {{std::string(kDescriptionKey), state_->description}};
  codec::atomic_write(path, codec::encode_safetensors(state(), metadata));
}

void Module::set_description(std::string description) { state_->description = std::move(description); }

void Module::load(const std::string& path) const {
  const Tensors found = sm::load(path);
  try {
    load_state(found);
  } catch (const Error& error) {
    throw Error(error.code(), "load: \"" + path + "\": " + error.what());
  }
}

void Module::train(bool on) const {
  auto visit = [on](const std::string&, const std::shared_ptr<State>& state) { state->training = on; };
  State::walk(state_, "", visit);
}

bool Module::training() const { return state_->training; }

void Module::to(DType dtype) const {
  if (!is_floating(dtype))
    throw Error(ErrorCode::kDTypeMismatch, "to: expects a floating-point dtype, got " + std::string(name_of(dtype)));
  for (const auto group : {&State::parameters, &State::buffers})
    for (const auto& entry : State::collect(state_, group)) convert(entry.second, dtype);
}

void Module::requires_grad(bool required) const {
  for (const Tensor& tensor : parameters()) tensor.requires_grad(required);
}

Tensor Module::parameter(std::string_view name, const Tensor& initial) {
  state_->check_name(name);
  if (!initial.defined()) return {};
  if (initial.impl()->node)
    throw Error(ErrorCode::kInvalidArgument,
                "parameter: \"" + std::string(name) + "\" must be a tensor without a graph, use detach()");
  state_->parameters.emplace_back(name, initial.requires_grad(true));
  return initial;
}

Tensor Module::buffer(std::string_view name, const Tensor& initial) {
  state_->check_name(name);
  if (!initial.defined()) return {};
  if (initial.requires_grad())
    throw Error(ErrorCode::kInvalidArgument,
                "buffer: \"" + std::string(name) + "\" must be a tensor without gradients, use detach()");
  state_->buffers.emplace_back(name, initial);
  return initial;
}

void Module::add(std::string_view name, const Module& module) {
  state_->check_name(name);
  for (const auto& [path, within] : module.named_modules())
    if (within.same_as(*this))
      throw Error(ErrorCode::kInvalidArgument, "submodule: \"" + std::string(name) + "\" contains this module itself");
  state_->children.push_back({std::string(name), module.state_});
}

namespace {

bool is_relu(const std::function<Tensor(const Tensor&)>& step) {
  using Function = Tensor (*)(const Tensor&);
  const auto* function = step.target<Function>();
  return function && *function == static_cast<Function>(relu);
}

}  // namespace

Tensor Sequential::operator()(const Tensor& x) const {
  Tensor out = x;
  for (auto step = steps_->begin(); step != steps_->end(); ++step) {
    const auto next = step + 1;
    // The largest of each window first: the same, gradients included, and relu has fewer elements.
    if (next != steps_->end() && next->target<MaxPool2d>() && is_relu(*step)) {
      out = relu((*next)(out));
      ++step;
    } else {
      out = (*step)(out);
    }
  }
  return out;
}

}  // namespace sm::nn
