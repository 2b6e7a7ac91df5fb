#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "e2e/training.hpp"

// Several trainers of one model at once, all in this process, where sanitizers see both sides.
namespace sm::e2e {
namespace {

// y = x w w, whose gradient 2 x w depends on the weight that the forward saw. With x a power of two no
// operation of the pass but one rounds, so the gradient is exactly what the closed form gives.
struct Audited {
  io::Routes routes() {
    return {{"forward",
             [this](User& user, Tensor x) {
               const double seen = weight.item<double>();
               const Tensor y = x * weight * weight;
               user.set("opt", [this, x = x.item<double>(), y, seen](Tensor jacobian) { step(x, y, seen, jacobian); });
               return y;
             }},
            {"optimize", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }}};
  }

  void step(double x, const Tensor& y, double seen, const Tensor& jacobian) {
    const Gradients found = y.backward(jacobian);
    const double gradient = found.of(weight).item<double>(), expected = 2 * x * (seen * jacobian.item<double>());
    ++steps;
    overtaken += seen != weight.item<double>();
    if (gradient != expected && wrong++ < 5)
      ADD_FAILURE() << "step " << steps << ": the gradient is " << gradient << ", the weight that was seen gives "
                    << expected << ", today's " << 2 * x * (weight.item<double>() * jacobian.item<double>());
    optim::sgd(found, 0.01);
  }

  Tensor weight = scalar(0.5).requires_grad(true);
  int steps = 0, overtaken = 0, wrong = 0;
};

Task<> train(std::string url, uint32_t seed, int steps) {
  std::mt19937 random(seed);
  const io::RemoteModel model = io::remote_model(url);
  for (int i = 0; i < steps; ++i) {
    const double x = std::ldexp(1.0, between(random, -2, 0));
    const Tensor input = scalar(x), wanted = scalar(x * 2.25);
    const Tensor loss = loss::mse(co_await model(input), wanted);
    co_await loss.backward_async();
  }
}

TEST(Trainers, FourOfOneModelEachGetTheGradientOfTheWeightsThatTheySaw) {
  const Seed seed;
  const int each = amount(10'000) / 4;
  Audited model;
  io::Server server = io::serve(model.routes(), {.port = 0});
  const int64_t bytes = server.statistics()["tensor_bytes"].as_int64();
  {
    std::vector<std::unique_ptr<Clients>> trainers;
    for (uint32_t i = 0; i < 4; ++i)
      trainers.push_back(std::make_unique<Clients>([&, i] { return train(server.url(), seed.value() + i, each); }));
    for (const auto& trainer : trainers) EXPECT_EQ(trainer->join(), "") << "a trainer saw an error";
  }
  const Json told = server.statistics();
  server.stop();
  std::printf("%d steps, %d of them on weights that had moved since their forward\n", model.steps, model.overtaken);
  EXPECT_EQ(model.steps, 4 * each);
  EXPECT_GT(model.overtaken, 0) << "the trainers never overlapped";
  EXPECT_EQ(model.wrong, 0);
  EXPECT_NEAR(model.weight.item<double>(), 1.5, 1e-6) << "y = 2.25 x";
  EXPECT_EQ(told["tickets"]["live"].as_int64(), 0);
  EXPECT_EQ(told["tickets"]["bytes"].as_int64(), 0);
  // What the network reads into next, at most.
  EXPECT_LE(told["tensor_bytes"].as_int64(), bytes + 4096) << "before: " << bytes;
}

}  // namespace
}  // namespace sm::e2e
