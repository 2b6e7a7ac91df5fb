#include <cmath>
#include <limits>

#include "serve/testing.hpp"

// What may change a served model's weights, and what may not.
namespace sm::io {
namespace {

using testing::any_port;
using testing::detail_of;
using testing::error_of;
using testing::HeaderList;
using testing::post;

constexpr double kRate = 0.01;

// y = x w, with the seed's two routes.
struct Line {
  explicit Line(ServeOptions options = any_port())
      : server(serve({{"forward",
                       [this](User& user, Tensor x) {
                         const Tensor y = x * weight;
                         user.set("opt", [y](Tensor jacobian) { optim::sgd(y.backward(jacobian), kRate); });
                         return y;
                       }},
                      {"optimize", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }}},
                     options)) {}

  HeaderList ticket(const std::string& x = "1") const {
    return {{"Shumai-Ticket", std::string(post(server.url() + "/forward", x).headers.get("Shumai-Ticket"))}};
  }
  http::Response optimize(const std::string& gradient, const HeaderList& headers) const {
    return post(server.url() + "/optimize", gradient, headers);
  }
  double value() const { return weight.item<double>(); }

  Tensor weight = scalar(1.5).requires_grad(true);
  Server server;
};

TEST(Guard, RefusesWhatIsntFiniteAndLeavesTheWeights) {
  Line model;
  for (const char* bad :
       {R"({"dtype":"float64","shape":[],"data":["NaN"]})", R"({"dtype":"float32","shape":[],"data":["Infinity"]})",
        R"({"dtype":"float16","shape":[],"data":["-Infinity"]})"}) {
    const http::Response answer = model.optimize(bad, model.ticket());
    EXPECT_EQ(answer.status, 422) << bad;
    EXPECT_NE(detail_of(answer).find("isn't finite"), std::string::npos);
    EXPECT_EQ(model.value(), 1.5);
  }
  EXPECT_EQ(model.server.statistics()["weights"]["refused"].as_int64(), 3);
  EXPECT_EQ(model.server.statistics()["weights"]["version"].as_int64(), 0);
}

TEST(Guard, RefusesAFiniteGradientThatOverflowsOnItsWay) {
  Line model;
  const HeaderList ticket = model.ticket(R"({"dtype":"float64","shape":[],"data":[1e200]})");
  const http::Response answer = model.optimize(R"({"dtype":"float64","shape":[],"data":[1e200]})", ticket);
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(model.value(), 1.5);
}

TEST(Guard, RefusesWhatIsAboveItsNorm) {
  ServeOptions options = any_port();
  options.guard.max_norm = 10;
  Line model(options);
  const HeaderList ticket = model.ticket("2");
  const http::Response answer = model.optimize("11", ticket);
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(detail_of(answer), "the gradient's norm is 11, above the limit of 10, so no weight was changed");
  EXPECT_EQ(model.optimize("6", model.ticket("2")).status, 422) << "the weight's own gradient is 12";
  EXPECT_EQ(model.value(), 1.5);
  EXPECT_EQ(model.optimize("4", ticket).status, 204) << "what was refused at the door may be sent again, smaller";
  EXPECT_NEAR(model.value(), 1.5 - kRate * 8, 1e-12);
}

TEST(Guard, TurnedOffLetsThemThrough) {
  ServeOptions options = any_port();
  options.guard.enabled = false;
  Line model(options);
  EXPECT_EQ(model.optimize(R"({"dtype":"float64","shape":[],"data":["NaN"]})", model.ticket()).status, 204);
  EXPECT_TRUE(std::isnan(model.value()));
}

TEST(Guard, OfAnEndedServerHoldsNoMore) {
  { Line model; }
  const Tensor weight = scalar(1.0).requires_grad(true);
  optim::sgd((weight * std::numeric_limits<double>::quiet_NaN()).backward(), kRate);
  EXPECT_TRUE(std::isnan(weight.item<double>()));
}

TEST(Update, WrongShapesAndDTypesChangeNothing) {
  Line model;
  EXPECT_EQ(model.optimize("[1,2]", model.ticket()).status, 400);
  EXPECT_EQ(model.optimize("nonsense", model.ticket()).status, 400);
  EXPECT_EQ(model.optimize("", model.ticket()).status, 400);
  EXPECT_EQ(model.value(), 1.5);
}

TEST(Update, OfAPlainClientCountsAndLookingDoesnt) {
  Line model;
  const HeaderList session{
      {"Shumai-Session", std::string(post(model.server.url() + "/forward", "1").headers.get("Shumai-Session"))}};
  EXPECT_EQ(post(model.server.url() + "/forward", "1", session).status, 200);
  EXPECT_EQ(model.server.statistics()["weights"]["version"].as_int64(), 0);
  EXPECT_EQ(model.optimize("1", session).status, 204);
  EXPECT_EQ(model.server.statistics()["weights"]["version"].as_int64(), 1);
}

TEST(Staleness, IsTheUpdatesSinceTheForwardAndCounted) {
  Line model;
  std::vector<HeaderList> tickets;
  for (int i = 0; i < 4; ++i) tickets.push_back(model.ticket());
  for (const HeaderList& ticket : tickets) EXPECT_EQ(model.optimize("1", ticket).status, 204);
  const Json told = model.server.statistics()["weights"];
  EXPECT_EQ(told["version"].as_int64(), 4);
  // 0; 1; 2 and 3.
  EXPECT_EQ(told["staleness"].dump(), R"([{"up_to":0,"updates":1},{"up_to":1,"updates":1},{"up_to":3,"updates":2}])");
}

TEST(Staleness, RejectAnswers409AndTheTicketIsGone) {
  ServeOptions options = any_port();
  options.staleness = {StalenessOptions::Policy::kReject, 1};
  Line model(options);
  const HeaderList old = model.ticket(), next = model.ticket();
  EXPECT_EQ(model.optimize("1", model.ticket()).status, 204);
  EXPECT_EQ(model.optimize("1", next).status, 204) << "one update later is allowed";
  const double before = model.value();
  const http::Response answer = model.optimize("1", old);
  EXPECT_EQ(answer.status, 409);
  EXPECT_NE(testing::text(answer).find("\"code\":\"stale\""), std::string::npos);
  EXPECT_EQ(model.optimize("1", old).status, 410);
  EXPECT_EQ(model.value(), before);
  EXPECT_EQ(model.server.statistics()["weights"]["stale"].as_int64(), 1);
}

TEST(Staleness, ScaleDividesTheGradient) {
  ServeOptions options = any_port();
  options.staleness.policy = StalenessOptions::Policy::kScale;
  Line model(options);
  const HeaderList old = model.ticket();
  EXPECT_EQ(model.optimize("1", model.ticket()).status, 204);
  EXPECT_EQ(model.optimize("1", model.ticket()).status, 204);
  EXPECT_EQ(model.optimize("1", old).status, 204);
  EXPECT_NEAR(model.value(), 1.5 - kRate * (1 + 1 + 1.0 / 3), 1e-8);
}

TEST(Staleness, RemoteModelForwardsAgain) {
  ServeOptions options = any_port();
  options.staleness.policy = StalenessOptions::Policy::kReject;
  const Tensor weight = scalar(1.0).requires_grad(true);
  const Server server = serve_model([&](Tensor x) { return x * weight; },
                                    [](const Gradients& found) { optim::sgd(found, 1.0); }, options);
  run([](std::string url) -> Task<> {
    const RemoteModel model = remote_model(url);
    const Tensor first = co_await model(scalar(1.0)), second = co_await model(scalar(2.0));
    co_await first.backward_async();
    co_await second.backward_async();
  }(server.url()));
  EXPECT_EQ(weight.item<double>(), 1 - 1 - 2);
  EXPECT_EQ(server.statistics()["weights"]["stale"].as_int64(), 1);
}

TEST(Bytes, OfGraphsAreCountedAndLetGo) {
  const Tensor weight = ones({1000}, DType::f64).requires_grad(true);
  const Server server =
      serve_model([&](Tensor x) { return exp(x * weight * weight); }, [](const Gradients&) {}, any_port());
  const auto bytes = [&] { return server.statistics()["tickets"]["bytes"].as_int64(); };
  run([](std::string url, std::function<int64_t()> held) -> Task<> {
    const RemoteModel model = remote_model(url);
    const Tensor first = co_await model(scalar(1.0));
    const int64_t one = held();
    EXPECT_GE(one, 2 * 8000) << "the weight and the output at least";
    const Tensor second = co_await model(scalar(1.0));
    EXPECT_LT(held(), 2 * one) << "both share the weight";
    co_await sum(first).backward_async();
    EXPECT_EQ(held(), one);
    co_await sum(second).backward_async();
    EXPECT_EQ(held(), 0);
  }(server.url(), bytes));
}

TEST(Bytes, OverTheLimitANewForwardIsPutOff) {
  ServeOptions options = any_port();
  options.limits.max_ticket_bytes = 20'000;
  const Tensor weight = scalar(1.0).requires_grad(true);
  const Server server = serve_model([&](Tensor x) { return x * weight; }, [](const Gradients&) {}, options);
  const std::string kilobytes = "{\"dtype\":\"float64\",\"shape\":[1000],\"data\":[" + [] {
    std::string list = "0";
    for (int i = 1; i < 1000; ++i) list += ",0";
    return list;
  }() + "]}";
  int accepted = 0;
  http::Response last;
  for (int i = 0; i < 10 && last.status != 429; ++i, ++accepted) last = post(server.url() + "/forward", kilobytes);
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(last.headers.get("Retry-After"), "1");
  EXPECT_LT(accepted, 5);
}

TEST(Bytes, ASessionThatHoldsTooMuchLosesItsOldest) {
  ServeOptions options = any_port();
  options.limits.max_ticket_bytes_per_session = 30'000;
  const Tensor weight = scalar(1.0).requires_grad(true);
  const Server server = serve_model([&](Tensor x) { return exp(x * weight + zeros({1000}, DType::f64)); },
                                    [](const Gradients&) {}, options);
  const http::Response first = post(server.url() + "/forward", "1");
  const HeaderList session{{"Shumai-Session", std::string(first.headers.get("Shumai-Session"))}};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(post(server.url() + "/forward", "1", session).status, 200);
  EXPECT_LE(server.statistics()["tickets"]["live"].as_int64(), 4);
  EXPECT_EQ(post(server.url() + "/optimize", "1", {{"Shumai-Ticket", std::string(first.headers.get("Shumai-Ticket"))}})
                .status,
            410);
}

}  // namespace
}  // namespace sm::io
