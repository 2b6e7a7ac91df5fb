// The dataset team: knows that y = 4 x - 7, trains the model behind a URL with
// that, and reads off what was learned. Start several at once: they train the
// same model together, and each may leave at any time.
#include <fmt/core.h>

#include <cstdint>
#include <exception>
#include <string>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"

namespace {

sm::Task<> train(sm::io::RemoteModel model, int steps) {
  for ([[maybe_unused]] int step : sm::util::viter(steps)) {
    auto x = sm::randn({64});
    auto y = x * 4 - 7;
    auto output = co_await model(x);
    auto loss = sm::loss::mse(output, y);
    co_await loss.backward_async();
  }
}

// The model at 0 is b, and at 1 it is m + b.
sm::Task<> report(sm::io::RemoteModel model) {
  const auto points = sm::tensor({0.f, 1.f});
  const auto values = (co_await model(points)).to_vector<double>();
  fmt::print("learned m {:.4f}, b {:.4f}\n", values[1] - values[0], values[0]);
}

sm::Task<> run(std::string url, int steps) {
  const auto model = sm::io::remote_model(url, {.report_loss = true});
  co_await train(model, steps);
  co_await report(model);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "distributed_data URL [--steps N]", 1);
  try {
    sm::run(run(arguments.positional(0), static_cast<int>(arguments.number("--steps", 300, 1, 1'000'000'000))));
  } catch (const std::exception& error) {
    fmt::print(stderr, "distributed_data: {}\n", error.what());
    return 1;
  }
}
