#include <cmath>

#include "optim/rule.hpp"

namespace sm::optim {
namespace {

class AdamRule final : public Optimizer::Rule {
 public:
  AdamRule(std::string_view name, const AdamOptions& options, bool decoupled)
      : Rule(name, options.learning_rate, {"exp_avg", "exp_avg_sq", options.amsgrad ? "max_exp_avg_sq" : ""}),
        options_(options),
        decoupled_(decoupled) {
    check_below_one(name, "betas[0]", options.betas[0]);
    check_below_one(name, "betas[1]", options.betas[1]);
    check_not_negative(name, "eps", options.eps);
    check_not_negative(name, "weight_decay", options.weight_decay);
  }

 private:
  void step(const kernels::Descent& descent, const Slots& slots, int64_t t, double learning_rate) const override {
    const auto [beta1, beta2] = options_.betas;
    const auto updates = static_cast<double>(t);
    kernels::adam_step(descent,
                       {.shrink = decoupled_ ? 1 - learning_rate * options_.weight_decay : 1,
                        .weight_decay = decoupled_ ? 0 : options_.weight_decay,
                        .beta1 = beta1,
                        .beta2 = beta2,
                        .rate = learning_rate / (1 - std::pow(beta1, updates)),
                        .scale = std::sqrt(1 - std::pow(beta2, updates)),
                        .eps = options_.eps},
                       slots[0], slots[1], slots[2]);
  }

  const AdamOptions options_;
  const bool decoupled_;
};

AdamOptions as_adam(const AdamWOptions& options) {
  return {options.learning_rate, options.betas, options.eps, options.weight_decay, options.amsgrad};
}

}  // namespace

Adam::Adam(AdamOptions options) : Optimizer(std::make_shared<AdamRule>("Adam", options, false)) {}

AdamW::AdamW(AdamWOptions options) : Optimizer(std::make_shared<AdamRule>("AdamW", as_adam(options), true)) {}

}  // namespace sm::optim
