#include <string>
#include <unordered_map>

#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {
namespace {

void descend(const Tensor& weight, double learning_rate, const Tensor& direction) {
  TensorImpl& impl = *weight.impl();
  impl.grad = nullptr;
  const Tensor step = kernels::contiguous(kernels::cast(direction, impl.dtype));
  if (impl.is_contiguous && impl.storage->unique() && impl.storage->writable()) {
    kernels::add_scaled(weight, -learning_rate, step);
    ++impl.version;
  } else {
    const Tensor fresh = make_tensor(impl.shape, impl.dtype);
    kernels::add_scaled(kernels::contiguous(weight), -learning_rate, step, fresh);
    weight.update(fresh);
  }
}

// Written so that NaN doesn't pass either.
void check_not_negative(const char* name, double value) {
  if (!(value >= 0))
    throw Error(ErrorCode::kInvalidArgument,
                "SGD: " + std::string(name) + " must be 0 or more, got " + std::to_string(value));
}

}  // namespace

void sgd(const Gradients& gradients, double learning_rate) {
  for (const auto& [weight, gradient] : gradients) descend(weight, learning_rate, gradient);
}

struct SGD::State {
  struct Moving {
    Tensor weight;  // held, so that its address stays its own
    Tensor velocity;
  };

  SGDOptions options;
  std::unordered_map<const TensorImpl*, Moving> moving;

  Tensor direction(const Tensor& weight, const Tensor& gradient) {
    Tensor step = kernels::cast(gradient, weight.dtype());
    if (options.weight_decay != 0) step = step + weight * options.weight_decay;
    if (options.momentum == 0) return step;
    Moving& its = moving.try_emplace(weight.impl(), Moving{weight, {}}).first->second;
    its.velocity = its.velocity.defined() ? its.velocity * options.momentum + step : step;
    return options.nesterov ? step + its.velocity * options.momentum : its.velocity;
  }
};

SGD::SGD(SGDOptions options) : state_(std::make_shared<State>()) {
  check_not_negative("learning_rate", options.learning_rate);
  check_not_negative("momentum", options.momentum);
  check_not_negative("weight_decay", options.weight_decay);
  if (options.nesterov && options.momentum == 0)
    throw Error(ErrorCode::kInvalidArgument, "SGD: nesterov needs a momentum above 0, got 0");
  state_->options = options;
}

void SGD::operator()(const Gradients& gradients) const {
  const NoGrad guard;
  for (const auto& [weight, gradient] : gradients)
    descend(weight, state_->options.learning_rate, state_->direction(weight, gradient));
}

double SGD::learning_rate() const { return state_->options.learning_rate; }

void SGD::set_learning_rate(double learning_rate) const {
  check_not_negative("learning_rate", learning_rate);
  state_->options.learning_rate = learning_rate;
}

}  // namespace sm::optim
