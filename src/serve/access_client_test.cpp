#include "serve/testing.hpp"
#include "util/log.hpp"

// Tokens as clients send them, and where secrets must not show up.
namespace sm::io {
namespace {

using testing::any_port;
using testing::error_of;
using testing::HeaderList;
using testing::post;
using testing::send;
using testing::text;

const std::string kFirst = "first-secret-0123456789abc", kSecond = "second-secret-0123456789ab";

ServeOptions with_tokens() {
  ServeOptions options = any_port();
  options.tokens = {{"ann", kFirst}, {"bob", kSecond}};
  return options;
}

Server model(ServeOptions options, Tensor weight) {
  return serve_model([weight](Tensor x) { return x * weight; }, [](const Gradients& found) { optim::sgd(found, 0.1f); },
                     std::move(options),
                     {{"who", [](User& user) { return Json(user.id()); }},
                      {"seen", [](User& user) { return Json(std::string(user.header("Authorization"))); }}});
}

TEST(AccessClient, AnAwaitedTfetchSendsItsToken) {
  const Server server = model(with_tokens(), scalar(2.0f).requires_grad(true));
  const auto call = [](std::string url) -> Task<float> {
    Tensor y = co_await tfetch(url + "/forward", scalar(3.0f), {.token = kFirst});
    co_return y.item<float>();
  };
  EXPECT_EQ(run(call(server.url())), 6);
  FetchOptions none;
  none.retry_for = std::chrono::milliseconds(0);
  const std::string message =
      error_of([&] { run(tfetch(server.url() + "/forward", scalar(3.0f), none)); }, ErrorCode::kUnauthorized);
  EXPECT_NE(message.find("Authorization: Bearer"), std::string::npos);
  FetchOptions blank;
  blank.token = kFirst + "\n";
  const std::string refused =
      error_of([&] { run(tfetch(server.url() + "/forward", scalar(3.0f), blank)); }, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.find(kFirst), std::string::npos);
}

TEST(AccessClient, ARemoteModelSendsItsTokenBothWays) {
  const Tensor weight = scalar(2.0f).requires_grad(true);
  const Server server = model(with_tokens(), weight);
  RemoteModelOptions options;
  options.token = kFirst;
  const RemoteModel remote(server.url(), options);
  Tensor x = scalar(3.0f).requires_grad(true);
  run([](RemoteModel model_, Tensor input) -> Task<> {
    const Tensor y = co_await model_(input);
    co_await y.backward_async();
  }(remote, x));
  EXPECT_EQ(x.grad().item<float>(), 2);
}

TEST(AccessClient, ATokenStaysWithItsServer) {
  const Server other = model(with_tokens(), scalar(1.0f).requires_grad(true));
  const Server plain = model(any_port(), scalar(1.0f));
  const Server chain = serve({{"forward",
                               [url = plain.url()](User&) -> Task<Json> {
                                 Content seen = co_await fetch(url + "/seen");
                                 co_return seen.json();
                               }}},
                             with_tokens());
  FetchOptions options;
  options.token = kFirst;
  EXPECT_EQ(run(fetch(chain.url() + "/forward", {}, options)).json().as_string(), "");

  RemoteModelOptions split;
  split.token = kFirst;
  split.retry_for = std::chrono::milliseconds(0);
  const auto step = [&](const RemoteModelOptions& with) {
    const RemoteModel remote(other.url(), with);
    Tensor x = scalar(3.0f).requires_grad(true);
    run([](RemoteModel model_, Tensor input) -> Task<> {
      const Tensor y = co_await model_(input);
      co_await y.backward_async();
    }(remote, x));
  };
  std::string seen;
  const Server back = serve({{"back",
                              [&seen](User& user, Tensor jacobian) {
                                seen = user.header("Authorization");
                                return jacobian;
                              }}},
                            any_port());
  split.backward_url = back.url() + "/back";
  step(split);
  EXPECT_EQ(seen, "");
  split.backward_token = kSecond;
  step(split);
  EXPECT_EQ(seen, "Bearer " + kSecond);
}

TEST(AccessClient, EachTokenOfAProcessHasASessionOfItsOwn) {
  const Server server = model(with_tokens(), scalar(1.0f));
  const auto session = [&](const std::string& secret) {
    FetchOptions options;
    options.token = secret;
    return run(fetch(server.url() + "/who", {}, options)).json().as_string();
  };
  const std::string ann = session(kFirst), bob = session(kSecond);
  EXPECT_EQ(ann.size(), 32u);
  EXPECT_NE(ann, bob);
  EXPECT_EQ(session(kFirst), ann);
  EXPECT_EQ(session(kSecond), bob);
}

TEST(AccessClient, SecretsShowUpNowhere) {
  const std::string wrong = "wrong-secret-0123456789abc";
  ::testing::internal::CaptureStderr();
  util::set_log_level("trace");
  std::string told;
  {
    const Server server = model(with_tokens(), scalar(1.0f));
    for (const std::string& secret : {kFirst, kSecond, wrong})
      for (const char* route : {"who", "nowhere", "statistics", "metrics", "forward"}) {
        const HeaderList headers{{"Authorization", "Bearer " + secret}};
        const http::Response answer = send(server.url() + "/" + route, "GET", "", headers);
        told += text(answer);
        for (const http::Headers::Field field : answer.headers)
          told.append(field.name).append(field.value).append("\n");
      }
    told += server.statistics().dump();
    FetchOptions options;
    options.token = wrong;
    options.timeout = options.retry_for = std::chrono::milliseconds(50);
    for (const char* url : {"http://192.0.2.1:1/x", "http://192.0.2.1:1/y", "127.0.0.1:1/x", "nonsense://"}) {
      try {
        run(fetch(url, {}, options));
      } catch (const Error& error) {
        told += error.what();
      }
    }
  }
  util::set_log_level("warn");
  const std::string log = ::testing::internal::GetCapturedStderr();
  const size_t warned = log.find("http://192.0.2.1:1 unencrypted");
  EXPECT_NE(warned, std::string::npos) << log;
  EXPECT_EQ(log.find("unencrypted", warned + 40), std::string::npos) << log;
  for (const std::string& secret : {kFirst, kSecond, wrong}) {
    EXPECT_EQ(told.find(secret), std::string::npos) << told;
    EXPECT_EQ(log.find(secret), std::string::npos) << log;
  }
}

}  // namespace
}  // namespace sm::io
