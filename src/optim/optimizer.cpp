#include <fmt/core.h>

#include <algorithm>

#include "kernels/elementwise.hpp"
#include "optim/guard.hpp"
#include "optim/rule.hpp"
#include "shumai/error.hpp"

namespace sm::optim {
namespace {

DType dtype_of_memory(const Tensor& weight) { return weight.dtype() == DType::f64 ? DType::f64 : DType::f32; }

// Writable and nobody else's: a snapshot keeps what it saw.
void make_own(Tensor& slot, const Tensor& weight) {
  if (!slot.defined()) {
    slot = make_tensor(weight.shape(), dtype_of_memory(weight));
    kernels::fill(slot, 0);
  } else if (TensorImpl& impl = *slot.impl();
             !impl.is_contiguous || !impl.storage()->unique() || !impl.storage()->writable()) {
    slot = slot.copy();
  }
}

[[noreturn]] void refuse(std::string_view optimizer, const std::string& why,
                         ErrorCode code = ErrorCode::kInvalidArgument) {
  throw Error(code, std::string(optimizer) + ": " + why);
}

}  // namespace

void check_not_negative(std::string_view optimizer, const char* name, double value) {
  if (!(value >= 0)) refuse(optimizer, std::string(name) + " must be 0 or more, got " + fmt::format("{}", value));
}

void check_below_one(std::string_view optimizer, const char* name, double value) {
  if (!(value >= 0 && value < 1))
    refuse(optimizer, std::string(name) + " must be 0 or more and below 1, got " + fmt::format("{}", value));
}

void check_gradients(std::string_view optimizer, const Gradients& gradients) {
  for (const auto& [weight, gradient] : gradients) {
    if (!weight.defined() || !gradient.defined()) refuse(optimizer, "a weight or its gradient is undefined");
    if (weight.shape() != gradient.shape())
      refuse(optimizer,
             "the weight has shape " + weight.shape().to_string() + ", its gradient has shape " +
                 gradient.shape().to_string(),
             ErrorCode::kShapeMismatch);
    if (!is_floating(weight.dtype()))
      refuse(optimizer, "expects floating-point weights, got " + std::string(name_of(weight.dtype())),
             ErrorCode::kDTypeMismatch);
    if (weight.impl()->node) refuse(optimizer, "expects weights, got the result of an operation");
  }
  check_guarded(gradients);
}

Optimizer::Rule::Rule(std::string_view name, double learning_rate, Names names)
    : name_(name), names_(names), learning_rate_(learning_rate) {
  check_not_negative(name, "learning_rate", learning_rate);
}

void Optimizer::Rule::set_learning_rate(double learning_rate) {
  check_not_negative(name_, "learning_rate", learning_rate);
  learning_rate_ = learning_rate;
}

void Optimizer::Rule::update(const Gradients& gradients, double learning_rate) {
  check_not_negative(name_, "learning_rate", learning_rate);
  check_gradients(name_, gradients);
  const NoGrad guard;
  for (const auto& [weight, gradient] : gradients) {
    if (!remembers()) {
      move_weight(weight, gradient, [&](const kernels::Descent& descent) { step(descent, {}, 1, learning_rate); });
      continue;
    }
    Memory& its = memory_of(weight);
    for (int i = 0; i < kSlots; ++i)
      if (!names_[i].empty()) make_own(its.slots[i], weight);
    ++its.steps;
    move_weight(weight, gradient,
                [&](const kernels::Descent& descent) { step(descent, its.slots, its.steps, learning_rate); });
  }
  ++steps_;
}

Optimizer::Rule::Memory& Optimizer::Rule::memory_of(const Tensor& weight) {
  if (memories_.size() >= sweep_at_) forget_abandoned();
  return memories_.try_emplace(weight.impl(), Memory{weight, 0, {}}).first->second;
}

// Inputs that ask for their gradients come and go; nobody can update a weight that only we still hold.
void Optimizer::Rule::forget_abandoned() {
  std::erase_if(memories_, [](const auto& entry) { return entry.first->unique(); });
  sweep_at_ = std::max<size_t>(64, 2 * memories_.size());
}

Tensors Optimizer::Rule::state(const Tensors& weights) const {
  Tensors out{{"learning_rate", scalar(learning_rate_)}, {"steps", scalar(steps_)}};
  for (const auto& [name, weight] : weights) {
    const auto found = memories_.find(weight.impl());
    if (found == memories_.end()) continue;
    out.set("step/" + name, scalar(found->second.steps));
    for (int i = 0; i < kSlots; ++i)
      if (!names_[i].empty()) out.set(std::string(names_[i]) + "/" + name, found->second.slots[i].detach());
  }
  return out;
}

// Reads a state, and touches the optimizer only once all of it was found good.
struct Optimizer::Rule::Loading {
  Loading(Rule& rule, const Tensors& named) : rule(rule) {
    for (const auto& [name, weight] : named) {
      if (!weight.defined()) fail("weight \"" + name + "\" is undefined");
      if (!weights.emplace(name, weight).second) fail("two weights are named \"" + name + "\"");
    }
  }

  [[noreturn]] void fail(const std::string& why, ErrorCode code = ErrorCode::kInvalidArgument) const {
    refuse(rule.name_, "load_state: " + why, code);
  }

  void read(const std::string& key, const Tensor& value) {
    if (key == "learning_rate") {
      learning_rate = value.item<double>();
      if (!(learning_rate >= 0)) fail("learning_rate must be 0 or more, got " + fmt::format("{}", learning_rate));
    } else if (key == "steps") {
      steps = value.item<int64_t>();
    } else {
      read_memory(key, value);
    }
  }

  void read_memory(const std::string& key, const Tensor& value) {
    const size_t slash = key.find('/');
    const std::string kind = key.substr(0, slash), name = slash == key.npos ? "" : key.substr(slash + 1);
    const auto slot = std::find(rule.names_.begin(), rule.names_.end(), kind);
    const bool counts = kind == "step" && rule.remembers();
    if (slash == key.npos || slash == 0 || (!counts && slot == rule.names_.end()))
      fail("\"" + key + "\" is nothing that this optimizer keeps with these options");
    const auto weight = weights.find(name);
    if (weight == weights.end()) fail("\"" + key + "\" belongs to none of the weights", ErrorCode::kNotFound);
    Memory& its = memories.try_emplace(name, Memory{weight->second, 0, {}}).first->second;
    if (counts) {
      its.steps = value.item<int64_t>();
      if (its.steps < 1) fail("\"" + key + "\" must be 1 or more, got " + std::to_string(its.steps));
      return;
    }
    if (value.shape() != its.weight.shape())
      fail("\"" + key + "\" must have the weight's shape " + its.weight.shape().to_string() + ", got " +
               value.shape().to_string(),
           ErrorCode::kShapeMismatch);
    if (value.dtype() != dtype_of_memory(its.weight))
      fail("\"" + key + "\" must be " + std::string(name_of(dtype_of_memory(its.weight))) + ", got " +
               std::string(name_of(value.dtype())),
           ErrorCode::kDTypeMismatch);
    its.slots[slot - rule.names_.begin()] = value.detach();
  }

  void finish() {
    if (learning_rate < 0) fail("\"learning_rate\" is missing");
    if (steps < 0) fail("\"steps\" is missing");
    for (const auto& [name, its] : memories) {
      if (its.steps == 0) fail("\"step/" + name + "\" is missing");
      for (int i = 0; i < kSlots; ++i)
        if (!rule.names_[i].empty() && !its.slots[i].defined())
          fail("\"" + std::string(rule.names_[i]) + "/" + name + "\" is missing");
    }
    rule.memories_.clear();
    for (auto& [name, its] : memories) rule.memories_.emplace(its.weight.impl(), its);
    rule.learning_rate_ = learning_rate;
    rule.steps_ = steps;
  }

  Rule& rule;
  std::unordered_map<std::string, Tensor> weights;
  std::unordered_map<std::string, Memory> memories;
  double learning_rate = -1;
  int64_t steps = -1;
};

void Optimizer::Rule::load_state(const Tensors& state, const Tensors& weights) {
  Loading loading(*this, weights);
  for (const auto& [key, value] : state) loading.read(key, value);
  loading.finish();
}

void Optimizer::operator()(const Gradients& gradients) const { rule_->update(gradients, rule_->learning_rate()); }
void Optimizer::operator()(const Gradients& gradients, double learning_rate) const {
  rule_->update(gradients, learning_rate);
}
double Optimizer::learning_rate() const { return rule_->learning_rate(); }
void Optimizer::set_learning_rate(double learning_rate) const { rule_->set_learning_rate(learning_rate); }
void Optimizer::set_schedule(Schedule schedule) const { rule_->set_schedule(std::move(schedule)); }
int64_t Optimizer::steps() const { return rule_->steps(); }
std::string_view Optimizer::name() const { return rule_->name(); }

bool Optimizer::is_additive() const { return rule_->is_additive(); }
Tensors Optimizer::state(const Tensors& weights) const { return rule_->state(weights); }
void Optimizer::load_state(const Tensors& state, const Tensors& weights) const { rule_->load_state(state, weights); }

}  // namespace sm::optim
