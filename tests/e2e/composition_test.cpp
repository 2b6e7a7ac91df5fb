#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "e2e/proxy.hpp"
#include "e2e/training.hpp"

// Servers that call servers, and clients that don't wait for their turn.
namespace sm::e2e {
namespace {

using io::testing::post;
using testing::HasSubstr;

// Passes its input on to `next`/forward, when that isn't empty.
struct Relay {
  explicit Relay(io::ServeOptions options = {.port = 0})
      : server(io::serve({{"forward",
                           [this](User&, Tensor x) -> Task<Tensor> {
                             if (next.empty()) co_return x;
                             co_return co_await io::tfetch(next + "/forward", x);
                           }}},
                         std::move(options))) {}
  std::string next;
  io::Server server;
};

void expect_loop(const http::Response& answer, const std::string& message) {
  EXPECT_EQ(answer.status, 508) << io::testing::text(answer);
  const Json problem = Json::parse(io::testing::text(answer));
  EXPECT_EQ(problem["code"].as_string(), "loop");
  EXPECT_THAT(problem["detail"].as_string(), HasSubstr(message));
}

TEST(Composed, ServersThatCallEachOtherInACircleAreToldSo) {
  Relay alone, a, b, c;
  alone.next = alone.server.url();
  expect_loop(post(alone.server.url() + "/forward", "1"), "in a circle");
  a.next = b.server.url();
  b.next = c.server.url();
  c.next = a.server.url();
  for (const Relay* any : {&a, &b, &c}) expect_loop(post(any->server.url() + "/forward", "1"), "in a circle");
  c.next.clear();
  EXPECT_EQ(io::testing::text(post(a.server.url() + "/forward", "1")), "1") << "once the circle is broken";
}

TEST(Composed, MoreServersThanAllowedInARowAreToldSo) {
  io::ServeOptions options{.port = 0};
  options.limits.max_hops = 3;
  std::vector<std::unique_ptr<Relay>> chain;
  for (int i = 0; i < 4; ++i) {
    chain.push_back(std::make_unique<Relay>(options));
    if (i > 0) chain[static_cast<size_t>(i)]->next = chain[static_cast<size_t>(i - 1)]->server.url();
  }
  EXPECT_EQ(post(chain[2]->server.url() + "/forward", "1").status, 200) << "three are allowed";
  expect_loop(post(chain[3]->server.url() + "/forward", "1"), "max_hops");
}

// What each request of a step said of its trace.
using Traces = std::vector<std::string>;

io::Routes traced(Traces& traces, const std::function<Task<Tensor>(Tensor)>& model) {
  return {{"forward",
           [&traces, model](User& user, Tensor x) -> Task<Tensor> {
             traces.emplace_back(user.header("traceparent"));
             x.requires_grad(true);
             Tensor y = co_await model(x);
             user.set("back", [x, y](Tensor jacobian) -> Task<Tensor> {
               co_await y.backward_async(jacobian);
               co_return x.grad();
             });
             co_return y;
           }},
          {"optimize", [&traces](User& user, Tensor jacobian) {
             traces.emplace_back(user.header("traceparent"));
             return user.call_async("back", jacobian);
           }}};
}

TEST(Composed, OneTraceGoesForwardAndBackwardThroughAllServers) {
  Traces traces;
  const io::Server inner = io::serve(traced(traces, [](Tensor x) -> Task<Tensor> { co_return x * 3; }), {.port = 0});
  const io::RemoteModel next = io::remote_model(inner.url());
  const io::Server outer = io::serve(traced(traces, [next](Tensor x) { return next(x); }), {.port = 0});
  std::set<std::string> steps;
  for (int step = 0; step < 2; ++step) {
    traces.clear();
    const Tensor x = scalar(2.0).requires_grad(true);
    run([](std::string url, Tensor input) -> Task<> {
      const Tensor y = co_await io::remote_model(url)(input);
      co_await y.backward_async();
    }(outer.url(), x));
    EXPECT_EQ(x.grad().item<double>(), 3);
    ASSERT_EQ(traces.size(), 4u) << "a forward and a backward on each of two servers";
    std::set<std::string> spans;
    for (const std::string& trace : traces) {
      ASSERT_EQ(trace.size(), 55u) << trace;
      EXPECT_EQ(trace.substr(0, 35), traces[0].substr(0, 35)) << "of one trace";
      spans.insert(trace.substr(36, 16));
    }
    EXPECT_EQ(spans.size(), 4u) << "each request is a span of its own";
    steps.insert(traces[0].substr(0, 35));
  }
  EXPECT_EQ(steps.size(), 2u) << "each step is a trace of its own";
}

// Occupies a server for a while, so that others queue up behind.
class Occupied {
 public:
  explicit Occupied(TrainingServer& server)
      : client_([url = server.url()]() -> Task<> {
          const Tensor time = scalar(int64_t{1500});
          co_await io::tfetch(url + "/work", time);
        }) {
    // Statistics count requests that are on their way to the handler.
    server.process().wait_for_line("^working");
  }
  bool still() const { return !client_.ended(); }
  void wait() { EXPECT_EQ(client_.join(), ""); }

 private:
  Clients client_;
};

int64_t runs(const TrainingServer& server) { return run(io::fetch(server.url() + "/runs")).json().as_int64(); }

TEST(Cancel, WorkOfClientsThatHungUpIsntDone) {
  TrainingServer server({});
  Occupied occupied(server);
  {
    std::vector<std::shared_ptr<Socket>> waiting;
    for (int i = 0; i < 20; ++i) {
      waiting.push_back(Socket::connect(server.port()));
      waiting.back()->send(
          "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1");
    }
    ASSERT_TRUE(poll_until([&] { return server.statistics()["routes"]["work"]["requests"].as_int64() == 21; }));
  }
  occupied.wait();
  EXPECT_EQ(runs(server), 1) << "only what somebody waited for";
}

TEST(Cancel, WorkOfClientsWhoseTimeIsOverIsntDone) {
  TrainingServer server({});
  Occupied occupied(server);
  io::FetchOptions options;
  options.timeout = std::chrono::milliseconds(100);
  const std::string message = io::testing::error_of(
      [&] { run(io::tfetch(server.url() + "/work", scalar(int64_t{1}), options)); }, ErrorCode::kTimeout);
  EXPECT_THAT(message, HasSubstr("no complete answer after"));
  EXPECT_TRUE(occupied.still()) << message << ", when the server was free";
  occupied.wait();
  EXPECT_EQ(runs(server), 1) << "only what somebody waited for";
}

TEST(Retry, WaitsAsLongAsTheServerAsks) {
  using Clock = std::chrono::steady_clock;
  for (const ErrorCode code : {ErrorCode::kTooManyRequests, ErrorCode::kUnavailable}) {
    std::vector<Clock::time_point> attempts;
    const io::Server server = io::serve({{"forward",
                                          [&](User&, Tensor x) {
                                            attempts.push_back(Clock::now());
                                            if (attempts.size() < 2) throw Error(code, "not yet");
                                            return x;
                                          }}},
                                        {.port = 0});
    Clients client([&]() -> Task<> {
      const Tensor one = scalar(1.0);
      co_await io::tfetch(server.url() + "/forward", one);
    });
    EXPECT_EQ(client.join(), "");
    ASSERT_EQ(attempts.size(), 2u);
    EXPECT_GE(attempts[1] - attempts[0], 1s) << "Retry-After: 1";
  }
}

TEST(Retry, AClientWithTooManyRequestsGetsThroughInTurn) {
  TrainingServer server({"--session-requests", "2"});
  const std::string url = server.url();
  // So that the session is known.
  run(io::fetch(url + "/runs"));
  Clients clients([url]() -> Task<> {
    std::vector<Task<Tensor>> all;
    for (int i = 0; i < 4; ++i) all.push_back(io::tfetch(url + "/nap", scalar(int64_t{50})));
    co_await util::all(std::move(all));
  });
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  const Json naps = server.statistics()["routes"]["nap"];
  EXPECT_GT(naps["errors"].as_int64(), 0) << "none was refused: " << naps.dump();
  EXPECT_EQ(runs(server), 4);
}

}  // namespace
}  // namespace sm::e2e
