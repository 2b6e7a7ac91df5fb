#include <future>

#include "serve/testing.hpp"
#include "shumai/stats.hpp"

namespace sm::io {
namespace {

using testing::any_port;
using testing::detail_of;
using testing::error_of;
using testing::post;
using testing::send;
using testing::text;

Server echo_server(ServeOptions options = any_port()) {
  return serve({{"forward", [](User&, Tensor x) { return x * 2; }}}, options);
}

TEST(Server, AnswersJsonToCurl) {
  const Server server = echo_server();
  const http::Response answer = post(server.url() + "/forward", "[[1,2],[3,4]]", {{"Accept", "*/*"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(text(answer), "[[2,4],[6,8]]");
}

TEST(Server, AnswersTheTypeThatAcceptAsksFor) {
  const Server server = echo_server();
  const auto type_for = [&](const std::string& accept) {
    return std::string(post(server.url() + "/forward", "[1]", {{"Accept", accept}}).headers.get("Content-Type"));
  };
  EXPECT_EQ(type_for("application/x-safetensors"), "application/x-safetensors");
  EXPECT_EQ(type_for("application/json;q=0.1, application/x-safetensors;q=0.9"), "application/x-safetensors");
  EXPECT_EQ(type_for("application/*"), "application/json");
  const http::Response refused = post(server.url() + "/forward", "[1]", {{"Accept", "text/html"}});
  EXPECT_EQ(refused.status, 406);
  EXPECT_NE(detail_of(refused).find("text/html"), std::string::npos);
}

TEST(Server, CarriesEveryDTypeAndNamedTensors) {
  const Server server = serve({{"swap",
                                [](User&, Tensors in) {
                                  return Tensors{{"a", in["b"]}, {"b", in["a"]}};
                                }}},
                              any_port());
  const Tensors sent{{"a", tensor<int64_t>({1, 2, 3})}, {"b", tensor<double>({0.5})}};
  const Tensors got = run(tfetch(server.url() + "/swap", sent));
  EXPECT_EQ(got["b"].dtype(), DType::i64);
  EXPECT_EQ(got["b"].to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(got["a"].dtype(), DType::f64);
}

TEST(Server, AHandlerOfContentGetsWhateverWasSent) {
  const Server server = serve({{"what", [](User&, Content content) { return Json(content.describe()); }}}, any_port());
  EXPECT_EQ(run(fetch(server.url() + "/what")).json().as_string(), "nothing");
  EXPECT_EQ(run(fetch(server.url() + "/what", ones(2))).json().as_string(), "a tensor of shape [2]");
  const Tensors both{{"a", ones(1)}, {"b", ones(1)}};
  EXPECT_EQ(run(fetch(server.url() + "/what", both)).json().as_string(), "the tensors \"a\", \"b\"");
}

TEST(Server, HandlersMayReturnJsonOrNothing) {
  int calls = 0;
  const Server server = serve({{"info",
                                [](User&) {
                                  return Json::object({{"classes", 10}});
                                }},
                               {"poke", [&](User&) { ++calls; }}},
                              any_port());
  EXPECT_EQ(run(fetch(server.url() + "/info")).json()["classes"].as_int64(), 10);
  EXPECT_FALSE(run(tfetch(server.url() + "/poke")).defined());
  EXPECT_EQ(send(server.url() + "/poke").status, 204);
  EXPECT_EQ(calls, 2);
}

TEST(Server, AThrowingHandlerIsA500WithItsMessageAndTheServerLives) {
  const Server server = serve({{"forward",
                                [](User&, Tensor x) -> Tensor {
                                  if (x.elements() > 2) throw std::runtime_error("too wide for this model");
                                  return x;
                                }},
                               {"later",
                                [](User&, Tensor) -> Task<Tensor> {
                                  co_await util::sleep(std::chrono::milliseconds(1));
                                  throw std::runtime_error("failed after an await");
                                }}},
                              any_port());
  const http::Response answer = post(server.url() + "/forward", "[1,2,3]");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(detail_of(answer), "too wide for this model");
  EXPECT_EQ(error_of([&] { run(tfetch(server.url() + "/forward", zeros(3))); }, ErrorCode::kInternal),
            "too wide for this model");
  EXPECT_EQ(error_of([&] { run(tfetch(server.url() + "/later", zeros(3))); }, ErrorCode::kInternal),
            "failed after an await");
  EXPECT_EQ(run(tfetch(server.url() + "/forward", ones(2))).to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(Server, AUsersMistakeKeepsItsCodeAcrossTheWire) {
  const Server server = serve({{"forward", [](User&, Tensor x) { return matmul(x, zeros({5, 6})); }}}, any_port());
  const std::string message = error_of(
      [&] {
        run(tfetch(server.url() + "/forward", zeros({3, 4})));
      },
      ErrorCode::kShapeMismatch);
  EXPECT_EQ(message, "matmul: inner sizes differ, got [3, 4] and [5, 6]");
}

TEST(Server, RefusesWhatItCantServeAndSaysWhy) {
  const Server server = echo_server();
  const std::string url = server.url();
  EXPECT_EQ(detail_of(send(url + "/nowhere")), "no route \"/nowhere\" here; there is /forward");
  EXPECT_EQ(send(url + "/forward", "DELETE").status, 405);
  EXPECT_EQ(send(url + "/forward", "DELETE").headers.get("Allow"), "GET, POST");
  EXPECT_EQ(post(url + "/forward", "a=1", {{"Content-Type", "application/x-www-form-urlencoded"}}).status, 415);
  EXPECT_EQ(post(url + "/forward", "[[1],[2,3]]").status, 400);
  EXPECT_EQ(post(url + "/forward", "junk", {{"Content-Type", "application/x-safetensors"}}).status, 400);
  EXPECT_EQ(detail_of(send(url + "/forward")), "this route takes a tensor, the request has no body");
  EXPECT_EQ(post(url + "/forward", "[1]").status, 200);
}

TEST(Server, RefusesRoutesAndAddressesAtTheStart) {
  const auto handler = [](User&) {};
  error_of([&] { (void)serve({{"health/live", handler}}, any_port()); }, ErrorCode::kInvalidArgument);
  error_of([&] { (void)serve({{"a", handler}, {"/a", handler}}, any_port()); }, ErrorCode::kInvalidArgument);
  const std::string message = error_of(
      [&] {
        (void)serve({{"a", handler}}, {.port = 0, .hostname = "0.0.0.0"});
      },
      ErrorCode::kInvalidArgument);
  EXPECT_NE(message.find("insecure"), std::string::npos);
  const Server open = serve({{"a", handler}}, {.port = 0, .hostname = "0.0.0.0", .insecure = true});
  EXPECT_EQ(send("127.0.0.1:" + std::to_string(open.port()) + "/a").status, 204);
  error_of([&] { (void)serve({{"a", handler}}, {.port = open.port()}); }, ErrorCode::kConnection);
}

TEST(Server, HandlersRunOneAtATimeExceptAcrossAnAwait) {
  int inside = 0, most_inside = 0, waiting = 0, most_waiting = 0;
  const Server server = serve({{"step",
                                [&](User&) -> Task<> {
                                  most_inside = std::max(most_inside, ++inside);
                                  --inside;
                                  most_waiting = std::max(most_waiting, ++waiting);
                                  while (most_waiting < 4) co_await util::sleep(std::chrono::milliseconds(1));
                                  --waiting;
                                }}},
                              {.port = 0, .threads = 4});
  run([](std::string url) -> Task<> {
    std::vector<Task<Tensor>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(tfetch(url));
    co_await util::all(std::move(calls));
  }(server.url() + "/step"));
  EXPECT_EQ(most_inside, 1);
  EXPECT_EQ(most_waiting, 4);
}

TEST(Server, HealthAndStatisticsAnswerWhileAHandlerComputes) {
  std::promise<void> entered, release;
  const Server server = serve({{"compute",
                                [&](User&) {
                                  entered.set_value();
                                  release.get_future().wait();
                                }}},
                              any_port());
  auto call = std::async(std::launch::async, [&] { return send(server.url() + "/compute").status; });
  entered.get_future().wait();
  EXPECT_EQ(send(server.url() + "/health/live").status, 200);
  EXPECT_EQ(send(server.url() + "/health/ready").status, 200);
  EXPECT_EQ(Json::parse(text(send(server.url() + "/statistics")))["requests_in_flight"].as_int64(), 2);
  release.set_value();
  EXPECT_EQ(call.get(), 204);
}

TEST(Server, LimitsOfHttpAreItsOwn) {
  ServeOptions options = any_port();
  options.limits.max_headers = 8;
  options.limits.max_body_bytes = 10;
  const Server server = echo_server(options);
  EXPECT_EQ(post(server.url() + "/forward", "[1]").status, 200);
  EXPECT_EQ(post(server.url() + "/forward", "[1, 2, 3, 4]").status, 413);
  testing::HeaderList many;
  for (int i = 0; i < 10; ++i) many.emplace_back("X-" + std::to_string(i), "1");
  EXPECT_EQ(post(server.url() + "/forward", "[1]", many).status, 431);
}

TEST(Server, ASessionMayHaveOnlySoManyRequestsRunning) {
  ServeOptions options = any_port();
  options.limits.max_requests_in_flight_per_session = 2;
  bool release = false;
  int entered = 0;
  const Server server = serve({{"session", [](User&) { return Json(1); }},
                               {"wait",
                                [&](User&) -> Task<> {
                                  ++entered;
                                  while (!release) co_await util::sleep(std::chrono::milliseconds(1));
                                }},
                               {"entered", [&](User&) { return Json(entered); }},
                               {"release", [&](User&) { release = true; }}},
                              options);
  const http::Response first = send(server.url() + "/session");
  const testing::HeaderList session{{"Shumai-Session", std::string(first.headers.get("Shumai-Session"))}};
  const auto wait = [&] { return send(server.url() + "/wait", "GET", "", session).status; };
  auto one = std::async(std::launch::async, wait), two = std::async(std::launch::async, wait);
  EXPECT_TRUE(testing::eventually([&] { return text(send(server.url() + "/entered")) == "2"; }));
  const http::Response third = send(server.url() + "/wait", "GET", "", session);
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(third.headers.get("Retry-After"), "1");
  send(server.url() + "/release");
  EXPECT_EQ(one.get(), 204);
  EXPECT_EQ(two.get(), 204);
  EXPECT_EQ(wait(), 204);
}

TEST(Server, MetricsAreInPrometheusFormat) {
  ServeOptions options = any_port();
  const Server server =
      serve({{"forward", [](User&, Tensor x) { return x; }}, {"a\"b\\c\nd", [](User&) { return "hi"; }}}, options);
  post(server.url() + "/forward", "[1]");
  post(server.url() + "/forward", "[2]");
  post(server.url() + "/forward", "nonsense");
  const http::Response answer = send(server.url() + "/metrics");
  EXPECT_EQ(answer.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  const std::string metrics = text(answer);
  for (const char* line :
       {"# TYPE shumai_requests_total counter\n", "\nshumai_requests_total{route=\"forward\",code=\"200\"} 2\n",
        "\nshumai_requests_total{route=\"forward\",code=\"400\"} 1\n",
        "\nshumai_request_duration_seconds_bucket{route=\"forward\",le=\"+Inf\"} 3\n",
        "\nshumai_request_duration_seconds_count{route=\"forward\"} 3\n",
        "\nshumai_request_duration_seconds_count{route=\"a\\\"b\\\\c\\nd\"} 0\n"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  // The connections of the requests before close when the server gets to it.
  EXPECT_TRUE(testing::eventually(
      [&] { return text(send(server.url() + "/metrics")).find("\nshumai_connections 1\n") != std::string::npos; }));
}

TEST(Server, StatisticsCountAndMergeTheCallersOwn) {
  ServeOptions options = any_port();
  options.statistics = [] { return Json::object({{"epoch", 7}}); };
  const Server server = echo_server(options);
  post(server.url() + "/forward", "[1]");
  post(server.url() + "/forward", "nonsense");
  const Json told = Json::parse(text(send(server.url() + "/statistics")));
  EXPECT_EQ(told["routes"]["forward"]["requests"].as_int64(), 2);
  EXPECT_EQ(told["routes"]["forward"]["errors"].as_int64(), 1);
  EXPECT_LE(told["routes"]["forward"]["p50_seconds"].as_double(), told["routes"]["forward"]["p99_seconds"].as_double());
  EXPECT_GT(told["routes"]["forward"]["p50_seconds"].as_double(), 0);
  EXPECT_EQ(told["epoch"].as_int64(), 7);
}

TEST(Server, StatisticsShowOperationsWhileAllThreadsCollect) {
  const Server server = echo_server();
  {
    const Stats stats;
    const Stats::Scope everywhere(stats, Stats::Threads::kAll);
    post(server.url() + "/forward", "[1]");
    const Json told = Json::parse(text(send(server.url() + "/statistics")));
    EXPECT_EQ(told["operations"]["mul"]["count"].as_int64(), 1) << told.dump();
  }
  EXPECT_FALSE(server.statistics().contains("operations"));
}

TEST(Server, StopLetsARunningRequestFinishAndRefusesLaterOnes) {
  std::promise<void> entered, release;
  Server server = serve({{"compute",
                          [&](User&, Tensor x) {
                            entered.set_value();
                            release.get_future().wait();
                            return x;
                          }}},
                        any_port());
  const std::string url = server.url();
  auto call = std::async(std::launch::async, [&] { return post(url + "/compute", "[1]").status; });
  entered.get_future().wait();
  auto stopping = std::async(std::launch::async, [&] { server.stop(); });
  release.set_value();
  EXPECT_EQ(call.get(), 200);
  stopping.get();
  EXPECT_NE(error_of([&] { post(url + "/compute", "[1]"); }, ErrorCode::kConnection).find("refused"),
            std::string::npos);
}

}  // namespace
}  // namespace sm::io
