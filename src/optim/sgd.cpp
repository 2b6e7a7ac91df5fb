#include "optim/rule.hpp"
#include "shumai/error.hpp"

namespace sm::optim {
namespace {

class SgdRule final : public Optimizer::Rule {
 public:
  explicit SgdRule(const SGDOptions& options)
      : Rule("SGD", options.learning_rate, {options.momentum != 0 ? "momentum_buffer" : ""}), options_(options) {}

 private:
  void step(const kernels::Descent& descent, const Slots& slots, int64_t t, double learning_rate) const override {
    const bool first = t == 1;
    kernels::sgd_step(descent,
                      {.learning_rate = learning_rate,
                       .weight_decay = options_.weight_decay,
                       .decay = first ? 0 : options_.momentum,
                       .gain = first ? 1 : 1 - options_.dampening,
                       .momentum = options_.momentum,
                       .nesterov = options_.nesterov},
                      slots[0]);
  }

  bool adds() const override { return options_.momentum == 0 && options_.dampening == 0 && options_.weight_decay == 0; }

  const SGDOptions options_;
};

std::shared_ptr<SgdRule> make_rule(const SGDOptions& options) {
  check_not_negative("SGD", "momentum", options.momentum);
  check_not_negative("SGD", "dampening", options.dampening);
  check_not_negative("SGD", "weight_decay", options.weight_decay);
  if (options.nesterov && options.momentum == 0)
    throw Error(ErrorCode::kInvalidArgument, "SGD: nesterov needs a momentum above 0, got 0");
  if (options.nesterov && options.dampening != 0)
    throw Error(ErrorCode::kInvalidArgument,
                "SGD: nesterov needs a dampening of 0, got " + std::to_string(options.dampening));
  return std::make_shared<SgdRule>(options);
}

}  // namespace

void sgd(const Gradients& gradients, double learning_rate) {
  check_gradients("sgd", gradients);
  for (const auto& [weight, gradient] : gradients)
    move_weight(weight, gradient, [&](const kernels::Descent& descent) {
      kernels::sgd_step(descent, {.learning_rate = learning_rate}, {});
    });
}

SGD::SGD(SGDOptions options) : Optimizer(make_rule(options)) {}

}  // namespace sm::optim
