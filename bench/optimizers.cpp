// What one update of a large and of a small weight costs, and how it compares
// with what the same formula costs as separate operations: one JSON object a
// line, in nanoseconds.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shumai/shumai.hpp"

namespace {

double nanoseconds(int calls, const std::function<void()>& call) {
  constexpr int kRounds = 7;
  std::vector<double> rounds;
  for (int round = 0; round <= kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    if (round > 0) rounds.push_back(spent.count() / calls);  // the first one warms up
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[kRounds / 2];
}

// Adam as a user would write it in operations.
struct ComposedAdam {
  sm::Tensor mean = 0.0, square = 0.0;
  void operator()(const sm::Tensor& weight, const sm::Tensor& gradient) {
    const sm::NoGrad guard;
    mean = mean * 0.9 + gradient * 0.1;
    square = square * 0.999 + sm::square(gradient) * 0.001;
    weight.update(weight - mean * 1e-3 / (sm::sqrt(square) + 1e-8));
  }
};

void measure(int64_t size, int calls) {
  const auto weight = sm::randn({size}).requires_grad(true);
  const auto gradient = sm::randn({size});
  const sm::Gradients gradients({{weight, gradient}});
  const std::pair<const char*, sm::optim::Optimizer> optimizers[] = {
      {"sgd", sm::optim::SGD()},         {"sgd_momentum", sm::optim::SGD({.momentum = 0.9})},
      {"adam", sm::optim::Adam()},       {"adamw_amsgrad", sm::optim::AdamW({.amsgrad = true})},
      {"rmsprop", sm::optim::RMSprop()},
  };
  for (const auto& [name, optimizer] : optimizers)
    fmt::print("{{\"name\":\"{}_{}\",\"ns\":{}}}\n", name, size,
               nanoseconds(calls, [&update = optimizer, &gradients] { update(gradients); }));
  ComposedAdam composed;
  fmt::print("{{\"name\":\"adam_composed_{}\",\"ns\":{}}}\n", size,
             nanoseconds(calls, [&] { composed(weight, gradient); }));
}

}  // namespace

int main() {
  measure(32, 20'000);
  measure(1'000'000, 10);
}
