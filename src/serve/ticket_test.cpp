#include "serve/store.hpp"
#include "serve/testing.hpp"

namespace sm::io {
namespace {

using testing::any_port;
using testing::detail_of;
using testing::error_of;
using testing::post;
using testing::text;

constexpr double kRate = 0.01;

// y = x w^2: the weight's gradient depends on the weight that forward saw.
struct Square {
  explicit Square(ServeOptions options = any_port())
      : server(serve({{"forward",
                       [this](User& user, Tensor x) {
                         const Tensor y = x * weight * weight;
                         user.set("opt", [this, y](Tensor jacobian) {
                           if (fail) throw std::runtime_error("not now");
                           ++updates;
                           optim::sgd(y.backward(jacobian), kRate);
                         });
                         return y;
                       }},
                      {"optimize", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }}},
                     options)) {}

  std::string forward() const { return server.url() + "/forward"; }
  std::string optimize() const { return server.url() + "/optimize"; }
  double value() const { return weight.item<double>(); }

  Tensor weight = scalar(1.5).requires_grad(true);
  int updates = 0;
  bool fail = false;
  Server server;
};

TEST(Ticket, IsKnownByItsOwnTextOnly) {
  const std::string text = random_id();
  ASSERT_EQ(text.size(), 32u);
  const std::optional<TicketId> id = TicketId::parse(text);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->text(), text);
  EXPECT_EQ(TicketId::parse("00112233445566778899aabbccddeeff")->text(), "00112233445566778899aabbccddeeff");
  for (const std::string_view other : {"", "00112233445566778899aabbccddeef", "00112233445566778899AABBCCDDEEFF",
                                       "00112233445566778899aabbccddeef ", "0x112233445566778899aabbccddeeff"})
    EXPECT_FALSE(TicketId::parse(other)) << other;
}

TEST(Ticket, EachOfEightForwardsInFlightFindsItsOwnGraphInAnyOrder) {
  Square model;
  run([](const Square& m) -> Task<> {
    std::vector<Tensor> losses;
    for (int i = 0; i < 8; ++i) {
      const std::string url = m.optimize();
      auto back = [url](GradContext grad) { return tfetch(url, grad.grad_in); };
      Tensor y = co_await tfetch(m.forward(), scalar(1.0 + i), {.grad_fn = back});
      losses.push_back(loss::mse(y, scalar(0.25 * i)));
    }
    for (int i = 7; i >= 0; --i) co_await losses[i].backward_async();
  }(model));
  // Every forward saw w0, so with y_i = x_i w0^2 each step is rate * 2 (y_i - r_i) * 2 x_i w0, in any order.
  const double w0 = 1.5;
  double expected = w0;
  for (int i = 7; i >= 0; --i) expected -= kRate * 2 * ((1.0 + i) * w0 * w0 - 0.25 * i) * 2 * (1.0 + i) * w0;
  EXPECT_EQ(model.updates, 8);
  EXPECT_NEAR(model.value(), expected, 1e-12 * std::abs(expected));
}

TEST(Ticket, AGradientCarriesItByItself) {
  Square model;
  run([](const Square& m) -> Task<> {
    Tensor first = co_await tfetch(m.forward(), scalar(1.0));
    Tensor second = co_await tfetch(m.forward(), scalar(10.0));
    first.requires_grad(true);
    second.requires_grad(true);
    loss::mse(first, scalar(0.0)).backward();
    loss::mse(second, scalar(0.0)).backward();
    co_await tfetch(m.optimize(), first.grad());
  }(model));
  // Only the first forward's step, though the second was later: 2 y * 2 x w with x = 1.
  EXPECT_NEAR(model.value(), 1.5 - kRate * 2 * 2.25 * 2 * 1.5, 1e-12);
}

TEST(Ticket, APlainClientGetsTheLatestForwardOfItsSession) {
  Square model;
  const http::Response first = post(model.forward(), "1");
  const std::string session(first.headers.get("Shumai-Session"));
  EXPECT_EQ(post(model.forward(), "10", {{"Shumai-Session", session}}).headers.get("Shumai-Session"), session);
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Session", session}}).status, 204);
  EXPECT_NEAR(model.value(), 1.5 - kRate * 1 * 2 * 10 * 1.5, 1e-12);
  EXPECT_EQ(post(model.optimize(), "1").status, 404) << "a session of its own has had no forward";
}

TEST(Ticket, TheSameRequestAgainGetsTheStoredAnswerAndRunsOnce) {
  Square model;
  const std::string ticket(post(model.forward(), "1").headers.get("Shumai-Ticket"));
  ASSERT_EQ(ticket.size(), 32u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", ticket}}).status, 204);
  EXPECT_EQ(model.updates, 1);
  const double after = model.value();
  const http::Response other = post(model.optimize(), "2", {{"Shumai-Ticket", ticket}});
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(detail_of(other), "the ticket was already used for /optimize with another body");
  EXPECT_EQ(model.value(), after);
  EXPECT_EQ(model.server.statistics()["tickets"]["live"].as_int64(), 0);
}

TEST(Ticket, ARetryWhileTheFirstIsRunningWaitsForItsAnswer) {
  int runs = 0;
  bool release = false;
  const Server server = serve({{"forward",
                                [](User& user, Tensor x) {
                                  user.set("x", x);
                                  return x;
                                }},
                               {"slow",
                                [&](User&, Tensor x) -> Task<Tensor> {
                                  ++runs;
                                  while (!release) co_await util::sleep(std::chrono::milliseconds(1));
                                  co_return x* runs;
                                }},
                               {"release", [&](User&) { release = true; }}},
                              any_port());
  const std::string url = server.url();
  run([](std::string base) -> Task<> {
    Tensor x = co_await tfetch(base + "/forward", scalar(3.f));
    x.requires_grad(true);
    (x * 1).backward();
    const Tensor gradient = x.grad();
    const auto release_soon = [](std::string to) -> Task<Tensor> {
      co_await util::sleep(std::chrono::milliseconds(20));
      co_return co_await tfetch(to);
    };
    auto [a, b, c] = co_await util::all(tfetch(base + "/slow", gradient), tfetch(base + "/slow", gradient),
                                        release_soon(base + "/release"));
    EXPECT_EQ(a.item<float>(), 1);
    EXPECT_EQ(b.item<float>(), 1);
  }(url));
  EXPECT_EQ(runs, 1);
}

TEST(Ticket, AFailedStepLeavesTheTicketUsable) {
  Square model;
  const std::string ticket(post(model.forward(), "1").headers.get("Shumai-Ticket"));
  model.fail = true;
  EXPECT_EQ(detail_of(post(model.optimize(), "1", {{"Shumai-Ticket", ticket}})), "not now");
  model.fail = false;
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", ticket}}).status, 204);
  EXPECT_EQ(model.updates, 1);
}

TEST(Ticket, AStepMayBeSplitOverSeveralRoutes) {
  const Tensor weight = scalar(1.0).requires_grad(true);
  const Server server = serve(
      {{"forward",
        [&](User& user, Tensor x) {
          const Tensor y = x * weight;
          user.set("back", [y](Tensor jacobian) { return y.backward(jacobian).begin()->gradient; });
          return y;
        }},
       {"gradients", [](User& user, Tensor jacobian) { user.set("gradient", user.call("back", jacobian).tensor()); }},
       {"apply", [&](User& user) { weight.update((weight - user.get<Tensor>("gradient")).detach()); }}},
      any_port());
  const std::string ticket(post(server.url() + "/forward", "5").headers.get("Shumai-Ticket"));
  const testing::HeaderList with{{"Shumai-Ticket", ticket}};
  EXPECT_EQ(post(server.url() + "/gradients", "2", with).status, 204);
  EXPECT_EQ(server.statistics()["tickets"]["live"].as_int64(), 1);
  EXPECT_EQ(testing::send(server.url() + "/apply", "POST", "", with).status, 204);
  EXPECT_EQ(testing::send(server.url() + "/apply", "POST", "", with).status, 204);
  EXPECT_EQ(weight.item<double>(), 1 - 2 * 5);
  EXPECT_EQ(server.statistics()["tickets"]["live"].as_int64(), 0);
  EXPECT_EQ(post(server.url() + "/forward", "1", with).status, 409) << "nothing more can be done with it";
}

TEST(Ticket, AnUnknownOneIsGoneAndAnothersIsForbidden) {
  Square model;
  const http::Response mine = post(model.forward(), "1");
  const std::string ticket(mine.headers.get("Shumai-Ticket"));
  const std::string other(post(model.forward(), "1").headers.get("Shumai-Session"));
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", std::string(32, '0')}}).status, 410);
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", ticket}, {"Shumai-Session", other}}).status, 403);
  EXPECT_EQ(model.updates, 0);
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", ticket}}).status, 204);
}

TEST(Ticket, ASessionsOldestExpiresWhenItHasTooMany) {
  ServeOptions options = any_port();
  options.limits.max_tickets_per_session = 3;
  Square model(options);
  const http::Response first = post(model.forward(), "1");
  const testing::HeaderList session{{"Shumai-Session", std::string(first.headers.get("Shumai-Session"))}};
  std::string last;
  for (int i = 0; i < 50; ++i) last = post(model.forward(), "1", session).headers.get("Shumai-Ticket");
  EXPECT_EQ(model.server.statistics()["tickets"]["live"].as_int64(), 3);
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", std::string(first.headers.get("Shumai-Ticket"))}}).status,
            410);
  EXPECT_EQ(post(model.optimize(), "1", {{"Shumai-Ticket", last}}).status, 204);
}

TEST(Ticket, WhatWasCapturedIsFreedWhenTheTicketIsDoneOrExpires) {
  std::weak_ptr<int> captured;
  ServeOptions options = any_port();
  options.limits.ticket_lifetime = std::chrono::seconds(0);
  const auto routes = [&] {
    return Routes{{"forward",
                   [&](User& user, Tensor x) {
                     auto held = std::make_shared<int>(1);
                     captured = held;
                     user.set("opt", [held](Tensor) {});
                     return x;
                   }},
                  {"optimize", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }}};
  };
  const Server patient = serve(routes(), any_port());
  const std::string ticket(post(patient.url() + "/forward", "1").headers.get("Shumai-Ticket"));
  EXPECT_FALSE(captured.expired());
  EXPECT_EQ(post(patient.url() + "/optimize", "1", {{"Shumai-Ticket", ticket}}).status, 204);
  EXPECT_TRUE(captured.expired());

  const Server hasty = serve(routes(), options);
  post(hasty.url() + "/forward", "1");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!captured.expired() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(captured.expired());
}

TEST(User, CountersCountAcrossTheSession) {
  const Server server = serve({{"count",
                                [](User& user) {
                                  user.set("n", user.get<int>("n", 0) + 1);
                                  return Json(user.get<int>("n"));
                                }}},
                              any_port());
  const http::Response first = testing::send(server.url() + "/count");
  const testing::HeaderList session{{"Shumai-Session", std::string(first.headers.get("Shumai-Session"))}};
  for (int i = 2; i <= 5; ++i)
    EXPECT_EQ(text(testing::send(server.url() + "/count", "GET", "", session)), std::to_string(i));
  EXPECT_EQ(text(testing::send(server.url() + "/count")), "1");
}

TEST(User, AsyncFunctionsAreAwaitedAndSayWhenTheyArent) {
  const Server server = serve({{"forward",
                                [](User& user, Tensor x) {
                                  user.set("opt", [](Tensor jacobian) -> Task<Tensor> {
                                    co_await util::sleep(std::chrono::milliseconds(1));
                                    co_return jacobian * 10;
                                  });
                                  return x;
                                }},
                               {"good", [](User& user, Tensor jacobian) { return user.call_async("opt", jacobian); }},
                               {"bad", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }}},
                              any_port());
  const testing::HeaderList ticket{
      {"Shumai-Ticket", std::string(post(server.url() + "/forward", "1").headers.get("Shumai-Ticket"))}};
  EXPECT_EQ(detail_of(post(server.url() + "/bad", "2", ticket)),
            "user: \"opt\" is async, await call_async instead of call");
  EXPECT_EQ(text(post(server.url() + "/good", "2", ticket)), "20");
}

}  // namespace
}  // namespace sm::io
