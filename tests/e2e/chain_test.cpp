#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// A model over five servers, each of which awaits the next.
namespace sm::e2e {
namespace {

constexpr int kServers = 5;

Task<> train(std::string url, uint32_t seed, std::atomic<int>& steps, std::atomic<bool>& enough) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const io::RemoteModel model = io::remote_model(url);
  while (!enough) {
    std::vector<double> values(16);
    for (double& value : values) value = uniform(random);
    const Tensor x = tensor(values);
    const Tensor loss = loss::mse(co_await model(x), x * 2);
    co_await loss.backward_async();
    ++steps;
  }
}

TEST(Chain, OneInTheMiddleIsKilledAndTrainingGoesOn) {
  const Seed seed;
  std::mt19937 random = seed.engine();
  const io::testing::Directory directory(fast_place());
  std::vector<std::unique_ptr<TrainingServer>> servers;
  std::string next;
  for (int i = 0; i < kServers; ++i) {
    std::vector<std::string> options{"--model",      "link",        "--durability",
                                     "every-update", "--directory", directory.path() + "/" + std::to_string(i)};
    if (!next.empty()) options.insert(options.end(), {"--upstream", next});
    servers.push_back(std::make_unique<TrainingServer>(options));
    next = servers.back()->url();
  }
  TrainingServer &middle = *servers[kServers / 2], &first = *servers.back();
  std::atomic<int> steps{0};
  std::atomic<bool> enough{false};
  Clients client([&] { return train(first.url(), seed.value(), steps, enough); });
  for (int kill = 0; kill < 5; ++kill) {
    const int before = steps;
    ASSERT_TRUE(poll_until([&] { return steps > before + 5 || client.ended(); })) << "training stands still";
    std::this_thread::sleep_for(std::chrono::microseconds(between(random, 0, 20'000)));
    middle.kill();
    middle.restart();
  }
  EXPECT_TRUE(poll_until([&] { return steps > 400 || client.ended(); })) << "training stands still";
  enough = true;
  EXPECT_EQ(client.join(), "") << "the client saw an error";
  double product = 1;
  for (const auto& server : servers) {
    const double weight = weights_of(server->url()).at(0);
    EXPECT_GT(weight, 1.05) << "one of the servers didn't learn";
    product *= weight;
  }
  EXPECT_NEAR(product, 2, 0.02) << "y = 2 x after " << steps << " steps";
}

}  // namespace
}  // namespace sm::e2e
