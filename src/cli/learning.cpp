#include "cli/learning.hpp"

#include <utility>

#include "cli/usage.hpp"
#include "shumai/loss.hpp"
#include "shumai/ops.hpp"

namespace sm::cli {
namespace {

// Lines of text and NumPy's default give labels as floats.
Tensor as_labels(const Tensor& output, const Tensor& reference) {
  const bool fits = reference.ndim() < output.ndim() && is_floating(reference.dtype());
  return fits ? reference.astype(DType::i64) : reference;
}

const std::vector<std::pair<std::string, Loss>>& losses() {
  static const std::vector<std::pair<std::string, Loss>> table = {
      {"mse", [](const Tensor& a, const Tensor& b) { return loss::mse(a, b); }},
      {"mae", [](const Tensor& a, const Tensor& b) { return loss::mae(a, b); }},
      {"huber", [](const Tensor& a, const Tensor& b) { return loss::huber(a, b); }},
      {"smooth_l1", [](const Tensor& a, const Tensor& b) { return loss::smooth_l1(a, b); }},
      {"cross_entropy", [](const Tensor& a, const Tensor& b) { return loss::cross_entropy(a, as_labels(a, b)); }},
      {"nll", [](const Tensor& a, const Tensor& b) { return loss::nll(a, as_labels(a, b)); }},
      {"binary_cross_entropy", [](const Tensor& a, const Tensor& b) { return loss::binary_cross_entropy(a, b); }},
      {"binary_cross_entropy_with_logits",
       [](const Tensor& a, const Tensor& b) { return loss::binary_cross_entropy_with_logits(a, b); }},
      {"kl_div", [](const Tensor& a, const Tensor& b) { return loss::kl_div(a, b); }},
  };
  return table;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

std::vector<std::string> optimizer_names() { return {"sgd", "adam", "adamw", "rmsprop"}; }

std::vector<std::string> loss_names() {
  std::vector<std::string> out;
  for (const auto& [name, function] : losses()) out.push_back(name);
  return out;
}

optim::Optimizer optimizer_of(const OptimizerChoice& choice) {
  const auto& [name, rate, momentum, decay] = choice;
  if (momentum != 0 && name != "sgd" && name != "rmsprop")
    throw UsageError("--momentum is for sgd and rmsprop, not for " + name);
  if (name == "sgd") return optim::SGD({.learning_rate = rate, .momentum = momentum, .weight_decay = decay});
  if (name == "adam") return optim::Adam({.learning_rate = rate, .weight_decay = decay});
  if (name == "adamw") return optim::AdamW({.learning_rate = rate, .weight_decay = decay});
  if (name == "rmsprop") return optim::RMSprop({.learning_rate = rate, .weight_decay = decay, .momentum = momentum});
  throw UsageError("--optimizer must be one of " + joined(optimizer_names()) + ", got \"" + name + "\"");
}

Loss loss_of(const std::string& name) {
  for (const auto& [known, function] : losses())
    if (known == name) return function;
  throw UsageError("--loss must be one of " + joined(loss_names()) + ", got \"" + name + "\"");
}

}  // namespace sm::cli
