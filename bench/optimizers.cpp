// What one update of one weight costs.
#include "workloads.hpp"

namespace bench {
namespace {

sm::optim::Optimizer optimizer_of(const std::string& name) {
  using namespace sm::optim;
  if (name == "adam") return Adam();
  if (name == "rmsprop") return RMSprop();
  if (name == "momentum") return SGD({.momentum = 0.9});
  return SGD();
}

Workload update(const sm::Json& arguments) {
  const int64_t size = arguments["size"].as_int64();
  const auto weight = noise({size}, 1).requires_grad(true);
  const auto optimizer = optimizer_of(arguments["optimizer"].as_string());
  const sm::Gradients gradients({{weight, noise({size}, 2)}});
  return repeat([=] { optimizer(gradients); },
                [=] {
                  weight.update(noise({size}, 1));
                  optimizer(gradients);
                  return std::vector<double>{mean_square(weight)};
                });
}

}  // namespace

Workloads optimizer_workloads() { return {{"update", update}}; }

}  // namespace bench
