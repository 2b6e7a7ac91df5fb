#include "optim/rule.hpp"
#include "shumai/error.hpp"

namespace sm::optim {
namespace {

class RmspropRule final : public Optimizer::Rule {
 public:
  explicit RmspropRule(const RMSpropOptions& options)
      : Rule("RMSprop", options.learning_rate,
             {"square_avg", options.centered ? "grad_avg" : "", options.momentum != 0 ? "momentum_buffer" : ""}),
        options_(options) {
    check_not_negative("RMSprop", "alpha", options.alpha);
    if (options.alpha > 1)
      throw Error(ErrorCode::kInvalidArgument,
                  "RMSprop: alpha must be 1 or less, got " + std::to_string(options.alpha));
    check_not_negative("RMSprop", "eps", options.eps);
    check_not_negative("RMSprop", "weight_decay", options.weight_decay);
    check_not_negative("RMSprop", "momentum", options.momentum);
  }

 private:
  void step(const kernels::Descent& descent, const Slots& slots, int64_t, double learning_rate) const override {
    kernels::rmsprop_step(descent,
                          {.learning_rate = learning_rate,
                           .weight_decay = options_.weight_decay,
                           .alpha = options_.alpha,
                           .eps = options_.eps,
                           .momentum = options_.momentum},
                          slots[0], slots[1], slots[2]);
  }

  const RMSpropOptions options_;
};

}  // namespace

RMSprop::RMSprop(RMSpropOptions options) : Optimizer(std::make_shared<RmspropRule>(options)) {}

}  // namespace sm::optim
