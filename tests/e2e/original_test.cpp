#include <gtest/gtest.h>

#include <array>

#include "e2e/replay.hpp"
#include "http/testing.hpp"
#include "serve/testing.hpp"

// The original Shumai on either end, by the bytes of its own conversations: see recorded/README.md.
namespace sm::e2e {
namespace {

using http::testing::RawClient;
using io::testing::any_port;
using io::testing::error_of;

// What the recordings were made with: y = w x, and w after each of the three steps.
constexpr std::array<float, 4> kWeights{1.5f, 3.4921875f, 3.2999267578125f, 3.16870880126953125f};
constexpr float kRate = 0.25f;

Tensor input(int step) {
  const std::vector<std::vector<float>> rows{{1, 2, -0.5, 4}, {0.5, -1, 2, 1}, {1, 1, 1, -2}};
  return tensor(rows.at(static_cast<size_t>(step)), Shape{2, 2});
}

Tensor loss_of(const Tensor& output, const Tensor& x) {
  const Tensor error = output - x * 3;
  return (error * error).sum() / 8;
}

io::Server seed_server(const Tensor& weight) {
  return io::serve({{"forward",
                     [weight](User& user, Tensor x) {
                       const Tensor y = x * weight;
                       user.set("opt", [y](Tensor jacobian) { optim::sgd(y.backward(jacobian), kRate); });
                       return y;
                     }},
                    {"optimize", [](User& user, Tensor jacobian) { user.call("opt", jacobian); }},
                    {"data", [](User&) { return input(0); }},
                    {"nothing", [](User&) {}}},
                   any_port());
}

Tensor first_weight() { return scalar(kWeights[0]).requires_grad(true); }

std::string name_of_step(int number, const char* kind) { return "/0" + std::to_string(number) + "." + kind; }

// The six requests of three steps; each answer's body is the recorded one.
void replay_client(const io::Server& server, const std::string& folder, const Tensor& weight) {
  RawClient client(server.port());
  for (int i = 1; i <= 6; ++i) {
    ASSERT_TRUE(client.send(recorded(folder + name_of_step(i, "request"))));
    const RawClient::Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, answer.body.empty() ? 204 : 200) << answer.body;
    EXPECT_EQ(answer.body, body_of(recorded(folder + name_of_step(i, "response")))) << "answer " << i;
    EXPECT_EQ(weight.item<float>(), kWeights[static_cast<size_t>(i) / 2]) << "after request " << i;
  }
}

TEST(Original, ItsClientTrainsAServerOfHandlers) {
  const Tensor weight = first_weight();
  const io::Server server = seed_server(weight);
  replay_client(server, "seed", weight);
  EXPECT_EQ(server.statistics()["sessions"].as_int64(), 1);
}

TEST(Original, ItsClientTrainsAServedModel) {
  const Tensor weight = first_weight();
  const io::Server server = io::serve_model([weight](Tensor x) { return x * weight; },
                                            [](const Gradients& found) { optim::sgd(found, kRate); }, any_port());
  replay_client(server, "model", weight);
}

TEST(Original, TwoOfItsClientsHaveASessionEach) {
  const Tensor weight = first_weight();
  const io::Server server = seed_server(weight);
  RawClient one(server.port()), other(server.port());
  // Both forwards come before either gradient, which is the same for both.
  one.send(recorded("seed/01.request"));
  EXPECT_EQ(one.read_answer().body, body_of(recorded("seed/01.response")));
  other.send(recorded("model/03.request"));
  EXPECT_EQ(other.read_answer().status, 200);
  one.send(recorded("seed/02.request"));
  EXPECT_EQ(one.read_answer().status, 204);
  // The gradient of one's own input, not of the other's: the weight is the recorded one.
  EXPECT_EQ(weight.item<float>(), kWeights[1]);
  EXPECT_EQ(server.statistics()["sessions"].as_int64(), 2);
}

TEST(Original, ItsClientGetsDataWithoutATensor) {
  const io::Server server = seed_server(first_weight());
  RawClient client(server.port());
  client.send(recorded("other/data.request"));
  const RawClient::Answer answer = client.read_answer();
  EXPECT_NE(answer.head.find("\r\nContent-Type: application/octet-stream\r\n"), std::string::npos);
  EXPECT_EQ(answer.body, body_of(recorded("other/data.response")));
  client.send(recorded("other/nothing.request"));
  EXPECT_EQ(client.read_answer().body, "");
}

TEST(Original, ItsClientUnderANewerBunIsUnderstoodToo) {
  const io::Server server = seed_server(first_weight());
  RawClient client(server.port());
  client.send(recorded("other/forward_of_bun_1.4.5.request"));
  const RawClient::Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  // The shape and the elements; the provenance is another one's.
  EXPECT_EQ(answer.body.substr(40), body_of(recorded("seed/01.response")).substr(40));
}

std::vector<std::string> recorded_answers(const std::string& folder) {
  std::vector<std::string> out;
  for (int i = 1; i <= 6; ++i) out.push_back(recorded(folder + name_of_step(i, "response")));
  return out;
}

// By which the recorded client named itself, as its requests say it.
std::string recorded_id(const std::string& folder) {
  int64_t provenance = 0;
  std::memcpy(&provenance, body_of(recorded(folder + "/01.request")).data() + 8, sizeof provenance);
  char digits[17];
  std::snprintf(digits, sizeof digits, "%llx", static_cast<unsigned long long>(provenance));
  return digits;
}

// To the byte what the original's client sent, but for headers that it doesn't know.
void expect_recorded_requests(const ReplayServer& server, const std::string& folder) {
  const std::vector<std::string> requests = server.requests();
  ASSERT_EQ(requests.size(), 6u);
  for (int i = 1; i <= 6; ++i) {
    const std::string& sent = requests[static_cast<size_t>(i) - 1];
    const std::string expected = recorded(folder + name_of_step(i, "request"));
    EXPECT_EQ(body_of(sent), body_of(expected)) << "request " << i;
    EXPECT_EQ(sent.substr(0, sent.find('\r')), expected.substr(0, expected.find('\r')));
    EXPECT_NE(head_of(sent).find("\r\nContent-Type: application/octet-stream\r\n"), std::string::npos);
  }
}

io::FetchOptions to_original(const std::string& id) {
  io::FetchOptions options;
  options.wire = io::Wire::kShumai;
  options.id = id;
  return options;
}

TEST(Original, ItsServerIsTrainedByTfetch) {
  const ReplayServer server(recorded_answers("seed"));
  run([](std::string url, std::string id) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      const io::FetchOptions back = to_original(id);
      io::FetchOptions options = back;
      options.grad_fn =
          GradFn([url, back](GradContext grad) { return io::tfetch(url + "/optimize", grad.grad_in, back); });
      const Tensor x = input(i);
      const Tensor y = co_await io::tfetch(url + "/forward", x, options);
      EXPECT_EQ(y.to_vector<float>(), (x * kWeights[static_cast<size_t>(i)]).to_vector<float>());
      co_await loss_of(y, x).backward_async();
    }
  }(server.url(), recorded_id("seed")));
  expect_recorded_requests(server, "seed");
}

TEST(Original, ItsServerIsTrainedByARemoteModel) {
  const ReplayServer server(recorded_answers("model"));
  run([](std::string url, std::string id) -> Task<> {
    io::RemoteModelOptions options;
    options.wire = io::Wire::kShumai;
    options.id = id;
    const io::RemoteModel model = io::remote_model(url, options);
    for (int i = 0; i < 3; ++i) {
      const Tensor x = input(i);
      co_await loss_of(co_await model(x), x).backward_async();
    }
  }(server.url(), recorded_id("model")));
  expect_recorded_requests(server, "model");
}

TEST(Original, ItsServerSendsTheGradientOfTheInputBack) {
  const ReplayServer server({recorded("model/01.response"), recorded("model/02.response")});
  const Tensor x = input(0).requires_grad(true);
  run([](std::string url, Tensor leaf) -> Task<> {
    io::RemoteModelOptions options;
    options.wire = io::Wire::kShumai;
    const io::RemoteModel model = io::remote_model(url, options);
    const Tensor y = co_await model(leaf);
    co_await (y.sum() * 2).backward_async();
  }(server.url(), x));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{-0.5625, -1.125, 0.28125, -2.25}));
  // Flags: the input requires gradients.
  EXPECT_EQ(body_of(server.requests()[0])[16], 1);
}

TEST(Original, ItsAnswersAreReadWithoutBeingToldOfIt) {
  const ReplayServer server({recorded("other/data.response"), recorded("model/01.response")});
  const Tensor data = run(io::tfetch(server.url() + "/data"));
  EXPECT_EQ(data.to_vector<float>(), input(0).to_vector<float>());
  EXPECT_FALSE(data.requires_grad());
  EXPECT_TRUE(run(io::tfetch(server.url() + "/forward", input(0))).requires_grad());
}

TEST(Original, ItsStatisticsAndNothingAreWhatTheyAre) {
  const ReplayServer server({recorded("other/statistics.response"), recorded("other/nothing.response")});
  EXPECT_EQ(run(io::fetch(server.url() + "/statistics")).json()["weight"].as_double(), 1.5);
  EXPECT_FALSE(run(io::tfetch(server.url() + "/nothing", Tensor(), to_original(""))).defined());
}

TEST(Original, ItsErrorsAreErrorsNotTensors) {
  const std::string page = "<!DOCTYPE html><html><body>" + std::string(1000, 'x') + "</body></html>";
  const std::string html =
      "Content-Type: text/html;charset=utf-8\r\nContent-Length: " + std::to_string(page.size()) + "\r\n\r\n" + page;
  const ReplayServer server({recorded("other/fails.response"), recorded("other/nowhere.response"),
                             recorded("other/number.response"), "HTTP/1.1 500 Internal Server Error\r\n" + html,
                             "HTTP/1.1 200 OK\r\n" + html});
  const auto failure = [&](ErrorCode code) {
    return error_of([&] { run(io::tfetch(server.url() + "/forward", input(0), to_original(""))); }, code);
  };
  EXPECT_NE(failure(ErrorCode::kInternal).find("500"), std::string::npos);
  EXPECT_NE(failure(ErrorCode::kProtocol).find("Welcome to Bun!"), std::string::npos);
  EXPECT_NE(failure(ErrorCode::kProtocol).find("\"5\""), std::string::npos);
  EXPECT_NE(failure(ErrorCode::kInternal).find("500"), std::string::npos);
  EXPECT_NE(failure(ErrorCode::kProtocol).find("text/html"), std::string::npos);
}

TEST(Original, WhatItCantReadIsntSent) {
  const auto refused = [](const io::Content& content, io::FetchOptions options) {
    return error_of([&] { run(io::fetch("127.0.0.1:1/forward", content, options)); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_NE(refused(Tensors{{"a", ones(1)}, {"b", ones(1)}}, to_original("")).find("one tensor"), std::string::npos);
  refused(Json(1), to_original(""));
  EXPECT_NE(refused(ones(1), to_original("not hex")).find("hexadecimal"), std::string::npos);
  refused(ones(1), to_original("8000000000000000"));
  io::FetchOptions compressed = to_original("");
  compressed.compress = io::Compression::kZstd;
  EXPECT_NE(refused(ones(1), compressed).find("compressed"), std::string::npos);
}

}  // namespace
}  // namespace sm::e2e
