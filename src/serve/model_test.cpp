#include <chrono>
#include <thread>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

using testing::any_port;
using testing::error_of;

void step_down(const Gradients& gradients) { optim::sgd(gradients, 0.05); }

TEST(ServedModel, LearnsFromALossItNeverSees) {
  manual_seed(1);
  const Tensor weight = (randn({4, 1}) * 0.1).detach().requires_grad(true);
  const Tensor target = tensor<float>({1, -2, 3, 0.5}, {4, 1});
  const Server server = serve_model([&](Tensor x) { return matmul(x, weight); }, step_down, any_port());
  const double last = run([](std::string url, Tensor wanted) -> Task<double> {
    const RemoteModel model = remote_model(url);
    double value = 0;
    for (int step = 0; step < 300; ++step) {
      const Tensor x = randn({16, 4});
      const Tensor loss = loss::mse(co_await model(x), matmul(x, wanted));
      co_await loss.backward_async();
      value = loss.item<double>();
    }
    co_return value;
  }(server.url(), target));
  EXPECT_LT(last, 1e-4);
  EXPECT_NEAR(weight.to_vector<float>()[1], -2, 0.01);
}

TEST(ServedModel, GivesTheGradientOfItsInputOnlyToThoseWhoWantIt) {
  const Tensor weight = scalar(3.0).requires_grad(true);
  const Server server = serve_model([&](Tensor x) { return x * weight; }, step_down, any_port());
  const Tensor x = scalar(2.0).requires_grad(true);
  run([](std::string url, Tensor input) -> Task<> {
    const RemoteModel model = remote_model(url);
    co_await (co_await model(input) * 5).backward_async();
  }(server.url(), x));
  EXPECT_EQ(x.grad().item<double>(), 15);
  EXPECT_NEAR(weight.item<double>(), 3 - 0.05 * 10, 1e-12);
}

TEST(ServedModel, MayBeMadeOfOtherServedModels) {
  const Tensor m = scalar(0.5).requires_grad(true), b = scalar(0.0).requires_grad(true);
  const Server slope = serve_model([&](Tensor x) { return x * m; }, step_down, any_port());
  const Server offset = serve_model([&](Tensor x) { return x * 0 + b; }, step_down, any_port());
  const RemoteModel first = remote_model(slope.url()), second = remote_model(offset.url());
  const Server composed = serve_model(
      [&](Tensor x) -> Task<Tensor> {
        auto [mx, bias] = co_await util::all(first(x), second(x));
        co_return mx + bias;
      },
      step_down, any_port());
  run([](std::string url) -> Task<> {
    const RemoteModel model = remote_model(url);
    for (int step = 0; step < 300; ++step) {
      const Tensor x = randn(32);
      const Tensor loss = loss::mse(co_await model(x), x * 4 - 7);
      co_await loss.backward_async();
    }
  }(composed.url()));
  EXPECT_NEAR(m.item<double>(), 4, 0.04);
  EXPECT_NEAR(b.item<double>(), -7, 0.07);
}

TEST(ServedModel, SaysWhenItReturnsNothing) {
  const Server server = serve_model([](Tensor) { return Tensor(); }, step_down, any_port());
  EXPECT_EQ(error_of([&] { run(remote_model(server.url())(ones(1))); }, ErrorCode::kInternal),
            "the model returned no tensor");
}

TEST(ServedModel, UpdateKeepsItsOwnState) {
  auto weight = scalar(0.f).requires_grad(true);
  // Steps of 1, 2, 3.
  auto update = [step = 0](const Gradients& found) mutable { optim::sgd(found, ++step); };
  auto server = serve_model([&](Tensor x) { return x * weight; }, update, any_port());
  const auto train = [](std::string url) -> Task<> {
    const RemoteModel model = remote_model(url);
    for (int step = 0; step < 3; ++step) {
      const Tensor output = co_await model(scalar(1.f));
      co_await output.backward_async();
    }
  };
  run(train(server.url()));
  EXPECT_FLOAT_EQ(weight.item<float>(), -6);
}

// Neither request has a session to name yet, so the server makes two.
TEST(RemoteModel, FirstCallsMadeTogetherEachFindTheirTicketAgain) {
  auto weight = scalar(1.f).requires_grad(true);
  auto update = [](const Gradients& found) { optim::sgd(found, 0.5); };
  auto server = serve_model([&](Tensor x) { return x * weight; }, update, any_port());
  const auto train = [](std::string url) -> Task<> {
    const RemoteModel model = remote_model(url);
    const auto [first, second] = co_await util::all(model(scalar(1.f)), model(scalar(2.f)));
    co_await first.backward_async();
    co_await second.backward_async();
  };
  run(train(server.url()));
  EXPECT_FLOAT_EQ(weight.item<float>(), 1 - 0.5f * 1 - 0.5f * 2);
}

TEST(RemoteModel, SaysWhenNobodyListens) {
  uint16_t port = 0;
  {
    port = serve({{"a", [](User&) {}}}, any_port()).port();
  }
  RemoteModelOptions options;
  options.retry_for = std::chrono::milliseconds(0);
  const RemoteModel model = remote_model("localhost:" + std::to_string(port), options);
  const std::string message = error_of([&] { run(model(ones(1))); }, ErrorCode::kConnection);
  EXPECT_NE(message.find("localhost:" + std::to_string(port)), std::string::npos);
}

TEST(RemoteModel, ErrorsGoToTheHandlerWhenThereIsOne) {
  const Server server =
      serve({{"forward", [](User&, Tensor) -> Tensor { throw std::runtime_error("no forward"); }}}, any_port());
  std::string told;
  RemoteModelOptions options;
  options.error_handler = std::function<Tensor(const Error&)>([&told](const Error& error) {
    told = error.what();
    return scalar(7.0);
  });
  const RemoteModel model = remote_model(server.url(), options);
  EXPECT_EQ(run(model(ones(1))).item<double>(), 7);
  EXPECT_EQ(told, "no forward");
}

// --- What runs at the same time. Times are compared with each other, never with a clock's face. ---

using Milliseconds = std::chrono::duration<double, std::milli>;

Milliseconds time_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::steady_clock::now() - begin;
}

// Answers once the models that share `begun` have all been asked.
Server waiting_model(std::shared_ptr<std::atomic<int>> begun, int all) {
  return serve({{"forward",
                 [begun, all](User&, Tensor x) -> Task<Tensor> {
                   ++*begun;
                   const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
                   while (*begun < all) {
                     if (std::chrono::steady_clock::now() > deadline) throw Error(ErrorCode::kTimeout, "asked alone");
                     co_await util::sleep(std::chrono::milliseconds(1));
                   }
                   co_return x;
                 }}},
               any_port());
}

TEST(Composition, SubModelsAwaitedTogetherRunAtTheSameTime) {
  const auto begun = std::make_shared<std::atomic<int>>(0);
  const Server a = waiting_model(begun, 2), b = waiting_model(begun, 2);
  const auto both = [](std::string first, std::string second) -> Task<> {
    co_await util::all(tfetch(first + "/forward", ones(1)), tfetch(second + "/forward", ones(1)));
  };
  EXPECT_NO_THROW(run(both(a.url(), b.url())));
}

// A stage that occupies its server, as a device would.
Server stage() {
  return serve({{"forward",
                 [](User&, Tensor x) {
                   std::this_thread::sleep_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
                   return x + 1;
                 }}},
               any_port());
}

Task<> feed(std::string url, int count) {
  for (int i = 0; i < count; ++i) {
    const Tensor y = co_await tfetch(url + "/forward", zeros(1));
    EXPECT_EQ(y.item<float>(), 3);
  }
}

TEST(Composition, ThreeClientsFillAPipelineOfThreeStages) {
  const Server first = stage(), second = stage(), third = stage();
  const Server pipeline = serve({{"forward",
                                  [&](User&, Tensor x) -> Task<Tensor> {
                                    x = co_await tfetch(first.url() + "/forward", x);
                                    x = co_await tfetch(second.url() + "/forward", x);
                                    co_return co_await tfetch(third.url() + "/forward", x);
                                  }}},
                                any_port());
  constexpr int kEach = 12;
  double best = 0;
  // Other programs on the machine may steal a stage's time; one undisturbed run of ten is enough.
  for (int attempt = 0; attempt < 10 && best < 2.7; ++attempt) {
    const Milliseconds alone = time_of([&] { run(feed(pipeline.url(), kEach)); });
    const Milliseconds together = time_of([&] {
      const auto three = [](std::string url) -> Task<> {
        std::vector<Task<>> feeds;
        for (int i = 0; i < 3; ++i) feeds.push_back(feed(url, kEach));
        co_await util::all(std::move(feeds));
      };
      run(three(pipeline.url()));
    });
    best = std::max(best, 3 * alone / together);
  }
  EXPECT_GE(best, 2.7);
}

}  // namespace
}  // namespace sm::io
