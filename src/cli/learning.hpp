#pragma once

#include <functional>
#include <string>
#include <vector>

#include "shumai/optim.hpp"
#include "shumai/tensor.hpp"

// Optimizers and losses by name.
namespace sm::cli {

std::vector<std::string> optimizer_names();
std::vector<std::string> loss_names();

struct OptimizerChoice {
  std::string name;
  double learning_rate = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
};

// Throws UsageError for an unknown name, and for momentum where there is none.
optim::Optimizer optimizer_of(const OptimizerChoice& choice);

using Loss = std::function<Tensor(const Tensor& output, const Tensor& reference)>;

// Losses of labels take labels in any dtype. Throws UsageError.
Loss loss_of(const std::string& name);

}  // namespace sm::cli
