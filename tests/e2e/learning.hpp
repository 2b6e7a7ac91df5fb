#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// A linear regression that ends the same, bit by bit, whenever its steps are taken once and in order.
namespace sm::e2e {

// Loss after `steps` steps of a linear regression whose data depends on the seed and the step alone. Step i waits
// until `allowed` is above i, so that it can't be over before what is to disturb it.
inline Task<double> learn(std::string url, uint32_t seed, int steps, const std::atomic<int>& allowed) {
  constexpr int kSize = 4;
  const io::RemoteModel model = io::remote_model(url);
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  const std::vector<double> truth{1, -2, 3, 0.5};
  double last = 0;
  for (int step = 0; step < steps; ++step) {
    while (allowed <= step) co_await util::sleep(std::chrono::microseconds(200));
    std::vector<double> x(16 * kSize), y(16);
    for (double& value : x) value = normal(random);
    for (size_t i = 0; i < y.size(); ++i) {
      y[i] = normal(random) * 0.1;
      for (size_t j = 0; j < kSize; ++j) y[i] += x[i * kSize + j] * truth[j];
    }
    const Tensor input = tensor(x, Shape{16, kSize}), wanted = tensor(y, Shape{16, 1});
    const Tensor loss = loss::mse(co_await model(input), wanted);
    co_await loss.backward_async();
    last = loss.item<double>();
  }
  co_return last;
}

struct Learned {
  double loss = 0;
  std::vector<double> weights;
};

inline Learned learn_on(const std::string& url, const TrainingServer& server, uint32_t seed, int steps,
                        const std::function<void(std::atomic<int>& allowed)>& disturb) {
  Learned out;
  std::atomic<int> allowed{0};
  Clients client([&]() -> Task<> { out.loss = co_await learn(url, seed, steps, allowed); });
  disturb(allowed);
  allowed = steps;
  EXPECT_EQ(client.join(), "") << "the client saw an error";
  out.weights = weights_of(server.url());
  return out;
}

}  // namespace sm::e2e
