#include <filesystem>
#include <fstream>

#include "serve/testing.hpp"

// Servers that end and begin again.
namespace sm::io {
namespace {

namespace fs = std::filesystem;
using testing::any_port;
using testing::detail_of;
using testing::Directory;
using testing::error_of;
using testing::eventually;
using testing::HeaderList;
using testing::post;

// y = x w; each step adds the gradient, so that the weight counts them.
struct Counter {
  Counter(const std::string& directory, Durability durability, uint16_t port = 0, ServeLimits limits = {})
      : server(serve(routes(), options(directory, durability, port, limits))) {}

  Routes routes() {
    return {{"forward",
             [this](User& user, Tensor x) {
               const Tensor y = x * weight;
               user.set("opt", [this](Tensor jacobian) { weight.update((weight + jacobian).detach()); });
               return y;
             }},
            {"optimize", [](User& user, Tensor jacobian) {
               user.call("opt", jacobian);
               return jacobian * 3;
             }}};
  }
  ServeOptions options(const std::string& directory, Durability durability, uint16_t port, const ServeLimits& limits) {
    ServeOptions out;
    out.port = port;
    out.limits = limits;
    out.checkpoint.directory = directory;
    out.checkpoint.weights = {{"w", weight}};
    out.checkpoint.durability = durability;
    out.checkpoint.keep = 2;
    return out;
  }
  HeaderList ticket() const {
    return {{"Shumai-Ticket", std::string(post(server.url() + "/forward", "1").headers.get("Shumai-Ticket"))}};
  }
  http::Response optimize(const HeaderList& ticket) const { return post(server.url() + "/optimize", "1", ticket); }
  double value() const { return weight.item<double>(); }

  Tensor weight = scalar(0.0).requires_grad(true);
  Server server;
};

// What a crash would leave: the files of now, without what the server writes when it stops.
std::string frozen(const std::string& directory) {
  const std::string copy = directory + "-frozen";
  fs::remove_all(copy);
  fs::copy(directory, copy, fs::copy_options::recursive);
  return copy;
}

TEST(Resume, AStoppedServerGoesOnWhereItWas) {
  const Directory directory;
  manual_seed(5);
  {
    Counter first(directory.path(), Durability::kInterval);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(first.optimize(first.ticket()).status, 200);
    rand({10});
  }
  const RandomState then = random_state();
  manual_seed(99);
  Counter second(directory.path(), Durability::kInterval);
  EXPECT_EQ(second.value(), 3);
  EXPECT_EQ(random_state().seed, then.seed);
  EXPECT_EQ(random_state().position, then.position);
  EXPECT_EQ(second.server.statistics()["weights"]["version"].as_int64(), 3);
  EXPECT_TRUE(second.server.statistics()["checkpoint"]["resumed"].as_bool());
}

TEST(Resume, WithEveryUpdateWhatWasAnsweredIsOnTheDisk) {
  const Directory directory;
  Counter first(directory.path(), Durability::kEveryUpdate);
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(first.optimize(first.ticket()).status, 200);
    const std::string copy = frozen(directory.path());
    Counter second(copy, Durability::kEveryUpdate);
    EXPECT_EQ(second.value(), i);
    fs::remove_all(copy);
  }
}

TEST(Resume, ARetryAfterACrashGetsTheAnswerAndNoSecondStep) {
  const Directory directory;
  Counter first(directory.path(), Durability::kEveryUpdate);
  const HeaderList ticket = first.ticket(), unused = first.ticket();
  EXPECT_EQ(testing::text(first.optimize(ticket)), "3");
  const std::string copy = frozen(directory.path());
  Counter second(copy, Durability::kEveryUpdate);
  EXPECT_EQ(testing::text(second.optimize(ticket)), "3");
  EXPECT_EQ(second.value(), 1);
  EXPECT_EQ(post(second.server.url() + "/optimize", "2", ticket).status, 422);
  EXPECT_EQ(second.optimize(unused).status, 410) << "its step was never taken";
  EXPECT_EQ(second.value(), 1);
  fs::remove_all(copy);
}

TEST(Resume, FromTheLastGoodOneWhenTheNewestIsTorn) {
  const Directory directory;
  {
    Counter first(directory.path(), Durability::kEveryUpdate);
    for (int i = 0; i < 4; ++i) first.optimize(first.ticket());
  }
  std::string newest;
  for (const auto& entry : fs::directory_iterator(directory.path())) newest = std::max(newest, entry.path().string());
  fs::resize_file(newest, fs::file_size(newest) / 2);
  Counter second(directory.path(), Durability::kEveryUpdate);
  EXPECT_EQ(second.value(), 3);
  EXPECT_NE(second.server.statistics()["checkpoint"]["skipped"].dump().find(newest), std::string::npos);
}

TEST(Resume, AnotherModelsCheckpointIsRefused) {
  const Directory directory;
  {
    Counter first(directory.path(), Durability::kEveryUpdate);
    first.optimize(first.ticket());
  }
  ServeOptions options = any_port();
  options.checkpoint.directory = directory.path();
  options.checkpoint.weights = {{"w", ones({2})}};
  const std::string message = error_of(
      [&] {
        serve({{"a", [](User&) {}}}, options).stop();
      },
      ErrorCode::kInvalidArgument);
  EXPECT_NE(message.find("float32 [2] here and float64 [] there"), std::string::npos) << message;
}

TEST(Resume, ADiskThatTakesNothingIsSaidAndTheServerGoesOn) {
  const Directory directory;
  const std::string own = directory.path() + "/own";
  Counter model(own, Durability::kEveryUpdate);
  EXPECT_EQ(model.optimize(model.ticket()).status, 200);
  const HeaderList ticket = model.ticket();
  fs::remove_all(own);
  std::ofstream(own) << "in the way";
  const http::Response refused = model.optimize(ticket);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.get("Retry-After"), "1");
  EXPECT_NE(detail_of(refused).find("can't be saved yet"), std::string::npos);
  EXPECT_EQ(post(model.server.url() + "/forward", "1").status, 200);
  EXPECT_TRUE(model.server.statistics()["checkpoint"].contains("error"));
  fs::remove(own);
  fs::create_directory(own);
  EXPECT_TRUE(eventually([&] { return model.optimize(ticket).status == 200; }));
  EXPECT_EQ(model.value(), 2) << "the step was taken once";
}

// A client takes "already done" for an acknowledgement.
TEST(Resume, AStepWhoseAnswerIsForgottenIsDoneOnlyWhenItIsSaved) {
  const Directory directory;
  const std::string own = directory.path() + "/own";
  ServeLimits limits;
  limits.max_stored_answer_bytes = 0;
  Counter model(own, Durability::kEveryUpdate, 0, limits);
  const HeaderList ticket = model.ticket();
  fs::remove_all(own);
  std::ofstream(own) << "in the way";
  EXPECT_EQ(model.optimize(ticket).status, 503);
  const http::Response again = model.optimize(ticket), elsewhere = post(model.server.url() + "/forward", "1", ticket);
  EXPECT_EQ(again.status, 503) << testing::text(again);
  EXPECT_EQ(elsewhere.status, 503) << testing::text(elsewhere);
  fs::remove(own);
  fs::create_directory(own);
  EXPECT_TRUE(eventually([&] { return model.optimize(ticket).status == 409; }));
  EXPECT_EQ(model.value(), 1) << "the step was taken once";
}

TEST(Resume, RemoteModelTrainsThroughARestart) {
  const Directory directory;
  auto first = std::make_unique<Counter>(directory.path(), Durability::kEveryUpdate);
  const uint16_t port = first->server.port();
  std::unique_ptr<Counter> second;
  const auto restart = [&] {
    first.reset();
    second = std::make_unique<Counter>(directory.path(), Durability::kEveryUpdate, port);
  };
  run([](std::string url, std::function<void()> again) -> Task<> {
    const RemoteModel model = remote_model(url);
    const Tensor x = scalar(2.0).requires_grad(true);
    const Tensor done = co_await model(x);
    co_await done.backward_async();
    const Tensor pending = co_await model(x);
    again();
    co_await pending.backward_async();
    EXPECT_EQ(x.grad().item<double>(), 3);
  }(first->server.url(), restart));
  EXPECT_EQ(second->value(), 2);
}

// The optimizer's velocities and the buffers go on as well: the same as without a restart, bit by bit.
TEST(Resume, AModuleAndItsOptimizerGoOnExactly) {
  const auto train = [](const std::string& directory, bool restart) {
    manual_seed(11);
    const nn::Linear model(3, 2);
    const auto serve_it = [&](const nn::Linear& linear) {
      ServeOptions options = any_port();
      options.checkpoint.directory = directory;
      return serve_model(linear, optim::Adam({.learning_rate = 0.1}), options);
    };
    auto server = std::make_unique<Server>(serve_it(model));
    const auto steps = [](std::string url, int first, int last) -> Task<> {
      const RemoteModel remote = remote_model(url);
      for (int i = first; i < last; ++i) {
        const Tensor x = ones({4, 3}) * (0.1f * i), wanted = ones({4, 2});
        const Tensor y = co_await remote(x);
        const Tensor loss = loss::mse(y, wanted);
        co_await loss.backward_async();
      }
    };
    run(steps(server->url(), 0, 5));
    nn::Linear last = model;
    if (restart) {
      server.reset();
      last = nn::Linear(3, 2);
      server = std::make_unique<Server>(serve_it(last));
    }
    run(steps(server->url(), 5, 10));
    return last.weight().to_vector<float>();
  };
  const Directory one, two;
  EXPECT_EQ(train(one.path(), true), train(two.path(), false));
}

TEST(Resume, APlainFunctionNeedsNames) {
  ServeOptions options = any_port();
  options.checkpoint.directory = Directory().path();
  const std::string message =
      error_of([&] { serve_model([](Tensor x) { return x; }, [](const Gradients&) {}, options).stop(); },
               ErrorCode::kInvalidArgument);
  EXPECT_NE(message.find("Module"), std::string::npos);
}

}  // namespace
}  // namespace sm::io
