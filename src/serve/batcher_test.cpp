#include "serve/batcher.hpp"

#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::eventually;

// Long enough that clients of a test find each other.
constexpr auto kLong = 10s;

ServeOptions batched(size_t max, std::chrono::microseconds delay = kLong) {
  return {.port = 0, .batch = {.max = max, .delay = delay}};
}

// A server whose logical thread is held until all clients of a test wait for it.
class Crowd {
 public:
  template <class Function, class Update>
  Crowd(Function model, Update update, ServeOptions options)
      : server(serve_model(std::move(model), std::move(update), std::move(options),
                           {{"hold", [this](User&) {
                               holding_ = true;
                               EXPECT_TRUE(eventually([this] { return all_wait(); }));
                             }}})) {}

  void run_all(std::vector<Task<>> clients) {
    awaited_ = static_cast<int64_t>(clients.size());
    holding_ = false;
    std::thread holder([this] { (void)run(tfetch(server.url() + "/hold")); });
    EXPECT_TRUE(eventually([this] { return holding_.load(); }));
    run(util::all(std::move(clients)));
    holder.join();
  }
  Json batches() const { return server.statistics()["batches"]; }

  Server server;

 private:
  bool all_wait() const { return server.statistics()["compute_queue"].as_int64() >= awaited_; }

  std::atomic<int64_t> awaited_{0};
  std::atomic<bool> holding_{false};
};

Task<> forward_only(std::string url, Tensor x) { (void)co_await tfetch(url + "/forward", x); }

// What a client does: forward, loss, and the gradient back.
Task<> train(std::string url, Tensor input, Tensor target, int steps) {
  const RemoteModel model = remote_model(url);
  for (int i = 0; i < steps; ++i) {
    const Tensor output = co_await model(input);
    const Tensor loss = loss::mse(output, target);
    co_await loss.backward_async();
  }
}

struct Problem {
  Tensor weight, bias;
  std::vector<Tensor> inputs, targets;

  explicit Problem(int clients) {
    manual_seed(3);
    weight = (randn({6, 4}) * 0.3).detach().requires_grad(true);
    bias = zeros({4}).requires_grad(true);
    for (int i = 0; i < clients; ++i) {
      inputs.push_back(randn({1 + i % 3, 6}));
      targets.push_back(randn({1 + i % 3, 4}));
    }
  }
  auto model() {
    return [this](Tensor x) { return tanh(matmul(x, weight) + bias); };
  }
  int64_t rows() const {
    int64_t sum = 0;
    for (const Tensor& x : inputs) sum += x.size(0);
    return sum;
  }
  std::vector<Task<>> clients_of(const Server& server, int steps) const {
    std::vector<Task<>> clients;
    for (size_t i = 0; i < inputs.size(); ++i) clients.push_back(train(server.url(), inputs[i], targets[i], steps));
    return clients;
  }
};

void expect_near(const Tensor& a, const Tensor& b, double tolerance = 1e-6) {
  ASSERT_EQ(a.shape(), b.shape());
  const auto left = a.to_vector<float>(), right = b.to_vector<float>();
  for (size_t i = 0; i < left.size(); ++i) EXPECT_NEAR(left[i], right[i], tolerance) << i;
}

// All rows are in one batch, so every client sees the first weights: as one after another would do that forward first.
template <class Optimizer>
void expect_as_unbatched(const Optimizer& make, BatchOptions::Updates updates, int64_t backward_batches) {
  constexpr int kClients = 6;
  Problem together(kClients), apart(kClients);
  ServeOptions options = batched(static_cast<size_t>(together.rows()));
  options.batch.updates = updates;
  {
    Crowd crowd(together.model(), make(), options);
    crowd.run_all(together.clients_of(crowd.server, 1));
    EXPECT_EQ(crowd.batches()["forward"]["batches"].as_int64(), 1);
    EXPECT_EQ(crowd.batches()["forward"]["mean_size"].as_double(), kClients);
    EXPECT_EQ(crowd.batches()["backward"]["batches"].as_int64(), backward_batches);
    const Json statistics = crowd.server.statistics();
    EXPECT_EQ(statistics["weights"]["updates"].as_int64(), kClients);
    EXPECT_EQ(statistics["tickets"]["done"].as_int64(), kClients);
    EXPECT_EQ(statistics["tickets"]["bytes"].as_int64(), 0);
  }
  std::vector<Tensor> outputs;
  for (const Tensor& x : apart.inputs) outputs.push_back(apart.model()(x));
  const auto update = make();
  for (int i = 0; i < kClients; ++i) {
    const Tensor loss = loss::mse(outputs[static_cast<size_t>(i)], apart.targets[static_cast<size_t>(i)]);
    update(loss.backward());
  }
  // Whose gradient arrives first is chance, so only what doesn't depend on the order is compared.
  expect_near(together.weight, apart.weight);
  expect_near(together.bias, apart.bias);
}

TEST(Batches, PlainDescentMovesWeightsAsWithoutThem) {
  expect_as_unbatched([] { return optim::SGD({.learning_rate = 0.1}); }, BatchOptions::Updates::kAuto, 1);
}

TEST(Batches, FunctionsGetTheSumOnlyWhenTold) {
  const auto make = [] { return [](const Gradients& found) { optim::sgd(found, 0.1); }; };
  expect_as_unbatched(make, BatchOptions::Updates::kSummed, 1);
  expect_as_unbatched(make, BatchOptions::Updates::kAuto, 6);
}

TEST(Batches, AnOptimizerThatRemembersTakesAStepForEachClient) {
  // All clients send the same, so that their order doesn't matter.
  constexpr int kClients = 4;
  const Tensor x = ones({1, 3}), target = zeros({1, 2});
  const auto fresh = [] { return (ones({3, 2}) * 0.5).detach().requires_grad(true); };
  const Tensor together = fresh(), apart = fresh();
  const optim::Adam adam({.learning_rate = 0.1}), reference({.learning_rate = 0.1});
  Crowd crowd([&](Tensor in) { return matmul(in, together); }, adam, batched(kClients));
  std::vector<Task<>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(train(crowd.server.url(), x, target, 1));
  crowd.run_all(std::move(clients));
  std::vector<Tensor> losses;
  for (int i = 0; i < kClients; ++i) losses.push_back(loss::mse(matmul(x, apart), target));
  for (const Tensor& loss : losses) reference(loss.backward());
  EXPECT_EQ(adam.steps(), kClients);
  EXPECT_EQ(crowd.batches()["forward"]["batches"].as_int64(), 1);
  expect_near(together, apart);
}

TEST(Batches, EachClientGetsItsRowsAndTheGradientOfItsInput) {
  const Tensor weight = scalar(3.f).requires_grad(true);
  Crowd crowd([&](Tensor x) { return x * weight; }, optim::SGD(), batched(3));
  const auto check = [](std::string url, float value) -> Task<> {
    const Tensor x = full({1, 2}, value).requires_grad(true);
    const RemoteModel model = remote_model(url);
    const Tensor y = co_await model(x);
    EXPECT_EQ(y.to_vector<float>(), std::vector<float>(2, 3 * value));
    const Tensor loss = sum(y * value);
    co_await loss.backward_async();
    EXPECT_EQ(x.grad().to_vector<float>(), std::vector<float>(2, 3 * value));
  };
  std::vector<Task<>> clients;
  for (const float value : {1.f, 2.f, 3.f}) clients.push_back(check(crowd.server.url(), value));
  crowd.run_all(std::move(clients));
  EXPECT_EQ(crowd.batches()["forward"]["batches"].as_int64(), 1);
}

TEST(Batches, OneClientWaitsForNobody) {
  Problem problem(1);
  const Server server = serve_model(problem.model(), optim::SGD(), batched(64, std::chrono::hours(1)));
  run(util::all(problem.clients_of(server, 5)));
  EXPECT_EQ(server.statistics()["batches"]["forward"]["batches"].as_int64(), 5);
  EXPECT_EQ(server.statistics()["batches"]["backward"]["mean_size"].as_double(), 1);
}

TEST(Batches, OtherShapesAndDtypesRunApart) {
  Crowd crowd([](Tensor x) { return x + x; }, [](const Gradients&) {}, batched(2));
  const auto call = [](std::string url, Tensor x) -> Task<> {
    const Tensor y = co_await tfetch(url + "/forward", x);
    EXPECT_EQ(y.shape(), x.shape());
    EXPECT_EQ(y.dtype(), x.dtype());
  };
  std::vector<Task<>> clients;
  for (int i = 0; i < 2; ++i)
    for (const Tensor& x : {ones({1, 3}), ones({1, 4}), ones({1, 3}, DType::f64), ones({1, 3}, DType::i64)})
      clients.push_back(call(crowd.server.url(), x));
  clients.push_back(call(crowd.server.url(), ones({7, 3})));
  clients.push_back(call(crowd.server.url(), scalar(1.f)));
  crowd.run_all(std::move(clients));
  EXPECT_GE(crowd.batches()["forward"]["batches"].as_int64(), 6);
}

TEST(Batches, OnlyTheCulpritFails) {
  const auto model = [](Tensor x) {
    if (max(x).item<float>() > 5) throw Error(ErrorCode::kInvalidArgument, "too large");
    return x * 2;
  };
  Crowd crowd(
      model, [](const Gradients&) {}, batched(3));
  std::atomic<int> failed{0}, answered{0};
  const auto call = [&](Tensor x) -> Task<> {
    try {
      const Tensor y = co_await tfetch(crowd.server.url() + "/forward", x);
      ++answered;
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "too large");
      ++failed;
    }
  };
  std::vector<Task<>> clients;
  for (const float value : {1.f, 9.f, 2.f}) clients.push_back(call(full({1, 2}, value)));
  crowd.run_all(std::move(clients));
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(crowd.batches()["fallbacks"].as_int64(), 1);
}

TEST(Batches, AnInputWithNaNDoesNotReachTheGradientsOfOthers) {
  const Tensor weight = ones({2, 1}).requires_grad(true);
  Crowd crowd([&](Tensor x) { return matmul(x, weight); }, optim::SGD({.learning_rate = 0.5}), batched(2));
  const auto client = [](std::string url, float value) -> Task<> {
    const RemoteModel model = remote_model(url);
    const Tensor x = full({1, 2}, value);
    const Tensor y = co_await model(x);
    if (value == value) {
      const Tensor loss = sum(y);
      co_await loss.backward_async();
    }
  };
  std::vector<Task<>> clients;
  clients.push_back(client(crowd.server.url(), std::numeric_limits<float>::quiet_NaN()));
  clients.push_back(client(crowd.server.url(), 1.f));
  crowd.run_all(std::move(clients));
  EXPECT_EQ(weight.to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
}

TEST(Batches, AGradientThatNeverComesHoldsOthersUpForTheDelayOnly) {
  Problem problem(3);
  Crowd crowd(problem.model(), optim::SGD(), batched(static_cast<size_t>(problem.rows()), 200ms));
  std::vector<Task<>> clients;
  clients.push_back(train(crowd.server.url(), problem.inputs[0], problem.targets[0], 1));
  clients.push_back(train(crowd.server.url(), problem.inputs[1], problem.targets[1], 1));
  clients.push_back(forward_only(crowd.server.url(), problem.inputs[2]));
  crowd.run_all(std::move(clients));
  const Json statistics = crowd.server.statistics();
  EXPECT_EQ(statistics["weights"]["updates"].as_int64(), 2);
  EXPECT_EQ(statistics["tickets"]["live"].as_int64(), 1);
  EXPECT_GT(statistics["tickets"]["bytes"].as_int64(), 0);
}

TEST(Batches, TheGraphGoesWithTheLastTicketOfIt) {
  Problem problem(2);
  ServeOptions options = batched(static_cast<size_t>(problem.rows()), 1ms);
  options.limits.ticket_lifetime = 300ms;
  Crowd crowd(problem.model(), optim::SGD(), options);
  std::vector<Task<>> clients;
  clients.push_back(train(crowd.server.url(), problem.inputs[0], problem.targets[0], 1));
  clients.push_back(forward_only(crowd.server.url(), problem.inputs[1]));
  crowd.run_all(std::move(clients));
  EXPECT_TRUE(eventually([&] { return crowd.server.statistics()["tickets"]["live"].as_int64() == 0; }));
  EXPECT_EQ(crowd.server.statistics()["tickets"]["bytes"].as_int64(), 0);
}

TEST(Batches, ARetriedGradientIsOneStep) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server =
      serve_model([&](Tensor x) { return x * weight; }, optim::SGD({.learning_rate = 1}), batched(4, 1ms));
  const http::Response forward = testing::post(server.url() + "/forward", "[[1.5]]");
  const testing::HeaderList ticket = {{"Shumai-Ticket", std::string(forward.headers.get("Shumai-Ticket"))}};
  EXPECT_EQ(testing::post(server.url() + "/optimize", "[[1]]", ticket).status, 200);
  EXPECT_EQ(testing::post(server.url() + "/optimize", "[[1]]", ticket).status, 200);
  EXPECT_EQ(testing::post(server.url() + "/optimize", "[[2]]", ticket).status, 422);
  EXPECT_EQ(weight.item<float>(), -0.5f);
}

TEST(Batches, AJacobianOfAnotherShapeFailsAlone) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server =
      serve_model([&](Tensor x) { return x * weight; }, optim::SGD({.learning_rate = 1}), batched(4, 1ms));
  const http::Response forward = testing::post(server.url() + "/forward", "[[1.5]]");
  const testing::HeaderList ticket = {{"Shumai-Ticket", std::string(forward.headers.get("Shumai-Ticket"))}};
  EXPECT_EQ(testing::post(server.url() + "/optimize", "[[1, 2]]", ticket).status, 400);
  EXPECT_EQ(testing::post(server.url() + "/optimize", "[[1]]", ticket).status, 200);
}

TEST(Batches, ModelsThatAwaitRunTogetherToo) {
  const Tensor weight = scalar(2.f).requires_grad(true);
  const auto model = [&](Tensor x) -> Task<Tensor> {
    co_await util::sleep(1ms);
    co_return x* weight;
  };
  Crowd crowd(model, optim::SGD({.learning_rate = 0.5}), batched(2));
  std::vector<Task<>> clients;
  const auto client = [](std::string url) -> Task<> {
    const RemoteModel remote = remote_model(url);
    const Tensor x = ones({1, 1});
    const Tensor y = co_await remote(x);
    const Tensor loss = sum(y);
    co_await loss.backward_async();
  };
  for (int i = 0; i < 2; ++i) clients.push_back(client(crowd.server.url()));
  crowd.run_all(std::move(clients));
  EXPECT_EQ(weight.item<float>(), 1);
  EXPECT_EQ(crowd.batches()["forward"]["batches"].as_int64(), 1);
}

TEST(Batches, MetricsTellTheirNumber) {
  const Server server = serve_model([](Tensor x) { return x; }, [](const Gradients&) {}, batched(2, 1ms));
  (void)run(tfetch(server.url() + "/forward", ones({1, 1})));
  const std::string text = testing::text(testing::send(server.url() + "/metrics"));
  EXPECT_NE(text.find("shumai_batches_total{pass=\"forward\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("shumai_batched_requests_total{pass=\"forward\"} 1\n"), std::string::npos);
}

TEST(Batches, AServerThatStopsLetsGoOfThoseWhoStillWait) {
  Problem problem(2);
  ServeOptions options = batched(static_cast<size_t>(problem.rows()), 1h);
  options.limits.shutdown_grace = 50ms;
  std::optional<Crowd> crowd(std::in_place, problem.model(), optim::SGD(), options);
  const auto cut_off = [](std::string url, Tensor x) -> Task<> {
    RemoteModelOptions impatient;
    impatient.retry_for = 0ms;
    const RemoteModel model(url, impatient);
    const Tensor y = co_await model(x);
    const Tensor loss = sum(y);
    bool failed = false;
    try {
      co_await loss.backward_async();
    } catch (const Error&) {
      failed = true;
    }
    EXPECT_TRUE(failed);
  };
  // The first waits for the gradient of the second.
  std::thread stopper([&] {
    EXPECT_TRUE(
        eventually([&] { return crowd->server.statistics()["routes"]["optimize"]["requests"].as_int64() == 1; }));
    crowd->server.stop();
  });
  std::vector<Task<>> clients;
  clients.push_back(cut_off(crowd->server.url(), problem.inputs[0]));
  clients.push_back(forward_only(crowd->server.url(), problem.inputs[1]));
  crowd->run_all(std::move(clients));
  stopper.join();
  crowd.reset();
}

}  // namespace
}  // namespace sm::io
