// The dataset team's side of the demo: draws digits, owns the labels and the
// loss, and trains the model behind a URL. Two batches are in flight, so that
// one is drawn and judged here while the other is computed there.
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "digits/draw.hpp"
#include "shumai/shumai.hpp"

namespace {

constexpr int kHeldOut = 4000;

// What the batches in flight share.
struct Training {
  sm::io::RemoteModel model;
  digits::Renderer renderer;
  int64_t batch;
  int64_t steps;
  int64_t started = 0;
  double loss = std::log(digits::kClasses);  // smoothed
};

sm::Task<> train(Training& training, std::function<void()> advance) {
  while (training.started < training.steps) {
    ++training.started;
    const auto [images, labels] = digits::draw(training.renderer, training.batch);
    const auto output = co_await training.model(images);
    const auto loss = sm::loss::cross_entropy(output, labels);
    co_await loss.backward_async();
    training.loss += 0.02 * (loss.item<double>() - training.loss);
    advance();
  }
}

// Trains with `in_flight` batches on their way at any time, behind one bar.
sm::Task<> train(Training& training, int64_t in_flight) {
  auto bar = sm::util::viter(training.steps, [&] { return fmt::format("loss {:.3f}", training.loss); });
  auto done = bar.begin();
  const std::function<void()> advance = [&] { ++done; };
  std::vector<sm::Task<>> trainers;
  for (int64_t i = 0; i < in_flight; ++i) trainers.push_back(train(training, advance));
  co_await sm::util::all(std::move(trainers));
}

// The part of held-out pictures, from fonts that training never drew, that the model reads right.
sm::Task<double> accuracy(const sm::io::RemoteModel& model, uint64_t seed) {
  constexpr int64_t kBatch = 250;
  digits::Renderer renderer(digits::Split::kHeldOut, seed);
  int64_t right = 0;
  for (int64_t seen = 0; seen < kHeldOut; seen += kBatch) {
    const auto [images, labels] = digits::draw(renderer, kBatch);
    const auto output = co_await model(images);
    right += sm::sum(sm::argmax(output, {1}) == labels).item<int64_t>();
  }
  co_return static_cast<double>(right) / kHeldOut;
}

sm::Task<> run(std::string url, int64_t steps, int64_t batch, int64_t in_flight, uint64_t seed) {
  using Clock = std::chrono::steady_clock;
  Training training{sm::io::remote_model(url, {.report_loss = true}), digits::Renderer(digits::Split::kTrain, seed),
                    batch, steps};
  const auto start = Clock::now();
  co_await train(training, in_flight);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double part = co_await accuracy(training.model, seed);
  // Rounded down: 0.9699 isn't 0.97.
  fmt::print("demo: accuracy {:.3f} after {} steps, {:.0f} steps/s\n", std::floor(part * 1000) / 1000, steps,
             static_cast<double>(steps) / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "digits_client URL [--steps N] [--batch N] [--in-flight N] [--seed N]", 1);
  try {
    sm::run(run(arguments.positional(0), arguments.number("--steps", 5000, 1, INT64_MAX),
                arguments.number("--batch", 64, 1, 4096), arguments.number("--in-flight", 2, 1, 64),
                static_cast<uint64_t>(arguments.number("--seed", 1, 0, INT64_MAX))));
  } catch (const std::exception& error) {
    fmt::print(stderr, "digits_client: {}\n", error.what());
    return 1;
  }
}
