// What a small operation costs in C++: one JSON object a line, in nanoseconds,
// for bench/run to set beside the same loops in JavaScript.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "shumai/shumai.hpp"

namespace {

// The median over rounds of the time of one call.
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

void report(const std::string& name, double value) { fmt::print("{{\"name\":\"{}\",\"ns\":{}}}\n", name, value); }

}  // namespace

int main() {
  const auto a = sm::randn({32}), b = sm::randn({32});
  report("add_32", nanoseconds(200'000, [&] { a + b; }));
  report("mul_number_32", nanoseconds(200'000, [&] { a * 2.0; }));
  report("exp_32", nanoseconds(200'000, [&] { sm::exp(a); }));
  report("sum_32", nanoseconds(200'000, [&] { sm::sum(a); }));
  const auto matrix = sm::randn({8, 8});
  report("matmul_8", nanoseconds(100'000, [&] { sm::matmul(matrix, matrix); }));

  const auto weight = sm::scalar(1.5f).requires_grad(true);
  const auto x = sm::scalar(2.0f);
  report("scalar_step", nanoseconds(20'000, [&] { sm::square(x * weight).backward(); }));
}
