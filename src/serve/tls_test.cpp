#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "io/testing.hpp"
#include "io/tls.hpp"
#include "serve/testing.hpp"

// Training and identities over TLS, as users meet them.
namespace sm::io::testing {
namespace {

using ::testing::HasSubstr;

struct Tls : ::testing::Test {
  Directory directory;
  Authority authority{directory.path()};

  ServeOptions options(const std::string& name = "server") const {
    const Identity server = authority.server(name);
    ServeOptions out = any_port();
    out.tls.cert_file = server.cert_file;
    out.tls.key_file = server.key_file;
    return out;
  }
  ClientTlsOptions trust() const { return {.ca_file = authority.ca_file()}; }
  ClientTlsOptions as_client(const std::string& name) const {
    const Identity client = authority.client(name);
    return {.ca_file = authority.ca_file(), .cert_file = client.cert_file, .key_file = client.key_file};
  }
};

// What a call throws that is to fail for good, before its time to try again is over.
std::string refusal(const std::string& url, const ClientTlsOptions& tls) {
  FetchOptions options;
  options.tls = tls;
  options.retry_for = std::chrono::minutes(10);
  options.timeout = std::chrono::minutes(10);
  options.repeatable = true;
  return error_of([&] { run(tfetch(url, scalar(1.f), options)); }, ErrorCode::kConnection);
}

Tensor ask(const std::string& url, const ClientTlsOptions& tls, Tensor input = scalar(1.f)) {
  FetchOptions options;
  options.tls = tls;
  return run(tfetch(url, input, options));
}

Routes echo() {
  return {{"echo", [](User&, Tensor x) { return x; }}};
}

Routes who() {
  return {{"who", [](User& user) { return Json(user.peer_name()); }}};
}

std::string name_at(const Server& server, const ClientTlsOptions& tls) {
  FetchOptions options;
  options.tls = tls;
  return run(fetch(server.url() + "/who", {}, options)).json().as_string();
}

TEST_F(Tls, AModelLearnsOverHttps) {
  auto weight = scalar(1.5f).requires_grad(true);
  const Server server = serve_model([weight](Tensor x) { return x * weight; },
                                    [](const Gradients& found) { optim::sgd(found, 0.1f); }, options());
  EXPECT_THAT(server.url(), HasSubstr("https://127.0.0.1:"));
  const auto train = [](std::string url, ClientTlsOptions tls) -> Task<float> {
    RemoteModelOptions remote;
    remote.tls = tls;
    const RemoteModel model = remote_model(url, remote);
    float last = 0;
    for (int step = 0; step < 100; ++step) {
      const Tensor output = co_await model(scalar(2.f));
      const Tensor loss = loss::mse(output, scalar(6.f));
      co_await loss.backward_async();
      last = loss.item<float>();
    }
    co_return last;
  };
  EXPECT_LT(run(train(server.url(), trust())), 1e-6f);
  EXPECT_NEAR(weight.item<float>(), 3, 1e-3);
  const Json statistics = server.statistics();
  // Kept connections: far fewer handshakes than requests.
  EXPECT_LE(statistics["tls"]["handshakes"].as_int64(), 2);
}

TEST_F(Tls, TheHostMayBeANameOrAnAddress) {
  ServeOptions with_names = options();
  with_names.hostname = "localhost";
  const Server server = serve(echo(), with_names);
  for (const char* host : {"localhost", "127.0.0.1"})
    EXPECT_EQ(
        ask("https://" + std::string(host) + ":" + std::to_string(server.port()) + "/echo", trust()).item<float>(),
        1.f);
}

TEST_F(Tls, OptionsMayBeWrittenWhereTheyAreAwaited) {
  const Server server = serve(echo(), options());
  const auto once = [](std::string url, std::string file) -> Task<float> {
    const Tensor got = co_await tfetch(url + "/echo", scalar(4.f), {.tls = {.ca_file = file}});
    co_return got.item<float>();
  };
  EXPECT_EQ(run(once(server.url(), authority.ca_file())), 4.f);
}

TEST_F(Tls, AnUnknownAuthorityIsRefusedAtOnceWithAdvice) {
  const Server server = serve(echo(), options());
  const Authority other(directory.path(), "other");
  EXPECT_THAT(refusal(server.url() + "/echo", {.ca_file = other.ca_file()}), HasSubstr("CA file"));
  EXPECT_THAT(refusal(server.url() + "/echo", {}), HasSubstr("isn't accepted"));
}

TEST_F(Tls, ACertificateForAnotherHostIsRefusedWithItsNames) {
  const Identity server_identity = authority.issue("elsewhere", {.common_name = "x", .names = "DNS:models.example"});
  ServeOptions elsewhere = any_port();
  elsewhere.tls = {.cert_file = server_identity.cert_file, .key_file = server_identity.key_file};
  const Server server = serve(echo(), elsewhere);
  EXPECT_THAT(refusal(server.url() + "/echo", trust()),
              ::testing::AllOf(HasSubstr("it isn't for 127.0.0.1"), HasSubstr("models.example")));
  ClientTlsOptions named = trust();
  named.server_name = "models.example";
  EXPECT_EQ(ask(server.url() + "/echo", named).item<float>(), 1.f);
}

TEST_F(Tls, ACommonNameIsNoHostName) {
  const Identity old_style = authority.issue("old", {.common_name = "localhost", .names = "DNS:other.example"});
  ServeOptions old = any_port();
  old.tls = {.cert_file = old_style.cert_file, .key_file = old_style.key_file};
  const Server server = serve(echo(), old);
  EXPECT_THAT(refusal("https://localhost:" + std::to_string(server.port()) + "/echo", trust()), HasSubstr("mismatch"));
}

TEST_F(Tls, ServersDontStartWithFilesThatCantBeUsed) {
  const auto start_error = [](TlsOptions tls) {
    ServeOptions out = any_port();
    out.tls = std::move(tls);
    return error_of([&] { (void)serve(echo(), out); }, ErrorCode::kInvalidArgument);
  };
  const Identity good = authority.server();
  const Identity other = authority.server("another");
  const Identity expired = authority.issue("expired", {.common_name = "x", .from = -7200, .until = -3600});
  const std::string missing = directory.path() + "/missing.pem";
  EXPECT_THAT(start_error({.cert_file = missing, .key_file = good.key_file}),
              ::testing::AllOf(HasSubstr(missing), HasSubstr("No such file")));
  EXPECT_THAT(start_error({.cert_file = good.cert_file, .key_file = other.key_file}),
              ::testing::AllOf(HasSubstr(other.key_file), HasSubstr("isn't the key of the certificate")));
  EXPECT_THAT(start_error({.cert_file = expired.cert_file, .key_file = expired.key_file}),
              ::testing::AllOf(HasSubstr(expired.cert_file), HasSubstr("expired at")));
  EXPECT_THAT(start_error({.cert_file = good.key_file, .key_file = good.key_file}), HasSubstr("no certificate in PEM"));
  EXPECT_THAT(start_error({.cert_file = good.cert_file, .key_file = good.cert_file}),
              HasSubstr("no private key in PEM"));
  EXPECT_THAT(start_error({.cert_file = good.cert_file}), HasSubstr("belong together"));
  EXPECT_THAT(start_error({.cert_file = good.cert_file, .key_file = good.key_file, .client_ca_file = missing}),
              HasSubstr(missing));
}

TEST_F(Tls, AKeyWithAPassphraseIsRefusedWithoutAsking) {
  const Identity good = authority.server();
  const std::string locked = directory.path() + "/locked.key";
  FILE* file = std::fopen(locked.c_str(), "w");
  ASSERT_TRUE(file);
  unsigned char passphrase[] = "secret";
  PEM_write_PrivateKey(file, good.key.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr, nullptr);
  std::fclose(file);
  ServeOptions out = any_port();
  out.tls = {.cert_file = good.cert_file, .key_file = locked};
  EXPECT_THAT(error_of([&] { (void)serve(echo(), out); }, ErrorCode::kInvalidArgument), HasSubstr("passphrase"));
}

TEST_F(Tls, AUnixSocketHasNoTls) {
  ServeOptions out = options();
  out.hostname = "unix:" + directory.path() + "/socket";
  EXPECT_THAT(error_of([&] { (void)serve(echo(), out); }, ErrorCode::kInvalidArgument), HasSubstr("Unix socket"));
}

TEST_F(Tls, AClientsFilesAndItsUrlHaveToFit) {
  const auto failure = [&](const std::string& url, const ClientTlsOptions& tls) {
    return error_of([&] { ask(url, tls); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_THAT(failure("http://127.0.0.1:1/x", trust()), HasSubstr("https://"));
  EXPECT_THAT(failure("https://127.0.0.1:1/x", {.ca_file = "/nowhere.pem"}), HasSubstr("/nowhere.pem"));
  EXPECT_THAT(failure("https://127.0.0.1:1/x", {.cert_file = authority.ca_file()}), HasSubstr("belong together"));
}

TEST_F(Tls, HandlersSeeWhoseCertificateTheClientHas) {
  ServeOptions out = options();
  out.tls.client_ca_file = authority.ca_file();
  const Server server = serve(who(), out);
  EXPECT_EQ(name_at(server, as_client("alice")), "alice");
  EXPECT_EQ(name_at(server, as_client("bob")), "bob");

  const auto tls_of = [&](const Identity& client) {
    return ClientTlsOptions{.ca_file = authority.ca_file(), .cert_file = client.cert_file, .key_file = client.key_file};
  };
  EXPECT_EQ(
      name_at(server, tls_of(authority.issue("san", {.common_name = "", .names = "DNS:a.example,URI:spiffe://x/y"}))),
      "spiffe://x/y");
}

TEST_F(Tls, OtherMachinesMayCallWithCertificatesButNotWithTlsAlone) {
  ServeOptions out = options();
  out.hostname = "0.0.0.0";
  EXPECT_THAT(error_of([&] { (void)serve(who(), out); }, ErrorCode::kInvalidArgument), HasSubstr("client_ca_file"));
  out.tls.client_ca_file = authority.ca_file();
  const Server server = serve(who(), out);
  FetchOptions call;
  call.tls = as_client("trainer");
  const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/who";
  EXPECT_EQ(run(fetch(url, {}, call)).json().as_string(), "trainer");
}

TEST_F(Tls, WithoutMutualTlsNobodyHasAName) {
  const Server server = serve(who(), options());
  EXPECT_EQ(name_at(server, as_client("alice")), "");
}

TEST_F(Tls, ClientsWithoutAGoodCertificateAreRefusedAtOnce) {
  ServeOptions out = options();
  out.tls.client_ca_file = authority.ca_file();
  for (const TlsVersion version : {TlsVersion::k1_2, TlsVersion::k1_3}) {
    out.tls.min_version = version;
    const Server server = serve(who(), out);
    EXPECT_THAT(refusal(server.url() + "/who", trust()), HasSubstr("it may want a certificate"));
    const Authority other(directory.path(), "stranger");
    const Identity stranger = other.client("mallory");
    EXPECT_THAT(
        refusal(server.url() + "/who",
                {.ca_file = authority.ca_file(), .cert_file = stranger.cert_file, .key_file = stranger.key_file}),
        HasSubstr("refuses this client"));
    EXPECT_TRUE(eventually([&] { return server.statistics()["tls"]["failed"].as_int64() == 2; }));
    EXPECT_EQ(name_at(server, as_client("alice")), "alice");
  }
}

TEST_F(Tls, APortWithoutTlsIsNamedAsSuch) {
  const Server server = serve(echo(), any_port());
  EXPECT_THAT(refusal("https" + server.url().substr(4) + "/echo", trust()), HasSubstr("doesn't speak TLS"));
}

TEST_F(Tls, ConnectionsThatAreRefusedAreTriedAgain) {
  uint16_t port = 0;
  {
    const Server server = serve(echo(), any_port());
    port = server.port();
  }
  ServeOptions late = options();
  late.port = port;
  const std::string url = "https://127.0.0.1:" + std::to_string(port) + "/echo";
  Tensor answer;
  std::thread client([&] { answer = ask(url, trust()); });
  // The first attempts meet nobody; whether one does is seen by nothing but time.
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  const Server server = serve(echo(), late);
  client.join();
  EXPECT_EQ(answer.item<float>(), 1.f);
}

TEST_F(Tls, ConnectionsOfAnotherIdentityAreNotShared) {
  ServeOptions out = options();
  out.tls.client_ca_file = authority.ca_file();
  const Server server = serve(who(), out);
  const auto ask_both = [](std::string url, ClientTlsOptions a, ClientTlsOptions b) -> Task<std::string> {
    std::string names;
    for (int i = 0; i < 4; ++i) {
      FetchOptions options;
      options.tls = i % 2 ? b : a;
      const Content answer = co_await fetch(url + "/who", {}, options);
      names += answer.json().as_string() + " ";
    }
    co_return names;
  };
  EXPECT_EQ(run(ask_both(server.url(), as_client("alice"), as_client("bob"))), "alice bob alice bob ");
  EXPECT_EQ(server.statistics()["tls"]["handshakes"].as_int64(), 2);
}

TEST_F(Tls, SessionsAreResumedWithTheirNames) {
  ServeOptions out = options();
  out.tls.client_ca_file = authority.ca_file();
  const Server server = serve(who(), out);
  const ClientTlsOptions alice = as_client("alice");
  // Each call of run() has connections of its own.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(name_at(server, alice), "alice");
  EXPECT_EQ(server.statistics()["tls"]["handshakes"].as_int64(), 3);
  EXPECT_EQ(server.statistics()["tls"]["resumed"].as_int64(), 2);
}

// Writes what `from` has into the files of `to`, as a renewal does.
void renew(const Identity& to, const Identity& from) {
  for (auto [source, target] : {std::pair(from.cert_file, to.cert_file), std::pair(from.key_file, to.key_file)}) {
    std::filesystem::copy_file(source, target + ".new", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(target + ".new", target);
  }
}

TEST_F(Tls, RenewedFilesAreUsedWhileRequestsRun) {
  const ServeOptions out = options();
  const Server server = serve(echo(), out);
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::thread busy([&] {
    const auto loop = [](std::string url, ClientTlsOptions tls, std::atomic<bool>& stop,
                         std::atomic<int>& answered) -> Task<> {
      FetchOptions options;
      options.tls = tls;
      while (!stop) {
        co_await tfetch(url, scalar(1.f), options);
        ++answered;
      }
    };
    run(loop(server.url() + "/echo", trust(), stop, answered));
  });
  const Authority other(directory.path(), "next");
  const Identity current{nullptr, nullptr, out.tls.cert_file, out.tls.key_file};
  renew(current, other.server("renewed"));
  const ClientTlsOptions new_trust{.ca_file = other.ca_file()};
  EXPECT_TRUE(eventually([&] { return server.statistics()["tls"]["reloads"].as_int64() == 1; }));
  EXPECT_EQ(ask(server.url() + "/echo", new_trust).item<float>(), 1.f);
  EXPECT_THAT(refusal(server.url() + "/echo", trust()), HasSubstr("isn't accepted"));
  const int before = answered;
  EXPECT_TRUE(eventually([&] { return answered > before + 10; }));
  stop = true;
  busy.join();
}

TEST_F(Tls, ABrokenRenewalKeepsWhatWorks) {
  const ServeOptions out = options();
  const Server server = serve(echo(), out);
  const Identity other = authority.server("mismatched");
  std::filesystem::copy_file(other.key_file, out.tls.key_file, std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(eventually([&] { return server.statistics()["tls"].find("reload_failure") != nullptr; }));
  EXPECT_THAT(server.statistics()["tls"]["reload_failure"].as_string(), HasSubstr("isn't the key of the certificate"));
  EXPECT_EQ(ask(server.url() + "/echo", trust()).item<float>(), 1.f);
  std::filesystem::copy_file(other.cert_file, out.tls.cert_file, std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(eventually([&] { return server.statistics()["tls"]["reloads"].as_int64() == 1; }));
  EXPECT_EQ(server.statistics()["tls"].find("reload_failure"), nullptr);
}

TEST_F(Tls, ClientsReadTheirFilesAgainToo) {
  ServeOptions out = options();
  out.tls.client_ca_file = authority.ca_file();
  const Server server = serve(who(), out);
  const Identity client = authority.client("before");
  const ClientTlsOptions tls{
      .ca_file = authority.ca_file(), .cert_file = client.cert_file, .key_file = client.key_file};
  EXPECT_EQ(name_at(server, tls), "before");
  renew(client, authority.client("after"));
  EXPECT_TRUE(eventually([&] { return name_at(server, tls) == "after"; }));
}

TEST_F(Tls, MetricsTellOfHandshakesAndTheCertificatesEnd) {
  const Server server = serve(echo(), options());
  ask(server.url() + "/echo", trust());
  http::SendOptions send;
  send.tls = TlsClient::of({.ca_file = authority.ca_file()});
  http::Request request;
  const http::Client client;
  const std::string text = testing::text(run(client.send(http::Url::parse(server.url() + "/metrics"), request, send)));
  EXPECT_THAT(text, HasSubstr("shumai_tls_handshakes_total 2"));
  EXPECT_THAT(text, HasSubstr("shumai_tls_handshake_failures_total 0"));
  EXPECT_THAT(text, HasSubstr("shumai_tls_certificate_expiry_timestamp_seconds "));
}

}  // namespace
}  // namespace sm::io::testing
