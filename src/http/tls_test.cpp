#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "http/server.hpp"
#include "http/testing.hpp"
#include "io/testing.hpp"
#include "io/tls.hpp"
#include "util/testing.hpp"

// A server's TLS as clients that aren't ours see it.
namespace sm::http {
namespace {

using io::testing::Authority;
using io::testing::Identity;
using testing::echo;
using testing::eventually;
using ::testing::HasSubstr;
using testing::milliseconds;
using testing::RawClient;

struct TlsTestServer {
  explicit TlsTestServer(Handler handler = echo, Limits limits = {}, io::TlsOptions options = {})
      : loop(2), server(loop.context(), std::move(handler), limits) {
    const Identity identity = authority.server();
    options.cert_file = identity.cert_file;
    options.key_file = identity.key_file;
    port = server.listen("127.0.0.1", 0, 0600, std::make_shared<io::TlsServer>(options));
    trusted.tls = io::TlsClient::of({.ca_file = authority.ca_file()});
  }
  ~TlsTestServer() {
    server.close_all();
    eventually([this] { return server.statistics().connections_open == 0; });
  }

  std::string url(const std::string& target = "/") const {
    return "https://127.0.0.1:" + std::to_string(port) + target;
  }
  const ServerStatistics& statistics() const { return server.statistics(); }

  util::testing::Directory folder;
  Authority authority{folder.path()};
  io::EventLoop loop;
  Server server;
  uint16_t port = 0;
  SendOptions trusted;
};

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("connect");
  return fd;
}

// OpenSSL's own client, blocking, which takes any certificate.
class TlsPeer {
 public:
  TlsPeer(uint16_t port, int lowest, int highest, const std::string& protocol = "")
      : fd_(connect_to(port)), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_cipher_list(context_, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(context_, lowest);
    SSL_CTX_set_max_proto_version(context_, highest);
    ssl_ = SSL_new(context_);
    if (!protocol.empty()) {
      const std::string list = static_cast<char>(protocol.size()) + protocol;
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
    }
    SSL_set_fd(ssl_, fd_);
    ERR_clear_error();
    connected = SSL_connect(ssl_) == 1;
    error = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
  }
  ~TlsPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(fd_);
  }

  bool send(const std::string& text) { return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) > 0; }
  // Until the end; `clean` tells of a goodbye.
  std::string read_all() {
    std::string out;
    char bytes[4096];
    for (;;) {
      const int got = SSL_read(ssl_, bytes, sizeof bytes);
      if (got <= 0) {
        clean = SSL_get_error(ssl_, got) == SSL_ERROR_ZERO_RETURN;
        ERR_clear_error();
        return out;
      }
      out.append(bytes, static_cast<size_t>(got));
    }
  }
  void half_close() {
    SSL_shutdown(ssl_);
    ::shutdown(fd_, SHUT_WR);
  }
  SSL* ssl() const { return ssl_; }
  int fd() const { return fd_; }

  bool connected = false;
  bool clean = false;
  int error = 0;

 private:
  int fd_;
  SSL_CTX* context_;
  SSL* ssl_;
};

const std::string kGet = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST(TlsPort, OldVersionsAreRefusedAndNewOnesTaken) {
  TlsTestServer server;
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    const TlsPeer peer(server.port, version, version);
    EXPECT_FALSE(peer.connected);
    EXPECT_EQ(peer.error, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION) << version;
  }
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer peer(server.port, version, version);
    ASSERT_TRUE(peer.connected) << version;
    EXPECT_EQ(SSL_version(peer.ssl()), version);
    EXPECT_TRUE(peer.send(kGet));
    EXPECT_THAT(peer.read_all(), HasSubstr("200 OK"));
    EXPECT_TRUE(peer.clean);
  }
  EXPECT_TRUE(eventually([&] { return server.statistics().tls_failures == 2; }));
  EXPECT_EQ(server.statistics().tls_handshakes, 2u);
}

TEST(TlsPort, Sslv3GetsNoServerHello) {
  TlsTestServer server;
  RawClient client(server.port);
  // A ClientHello of version 3.0 with one cipher and no extensions.
  std::string hello = std::string("\x03\x00", 2) + std::string(32, 'r') + std::string("\0\0\x02\x00\x2f\x01\0", 7);
  hello = std::string("\x01\0\0", 3) + static_cast<char>(hello.size()) + hello;
  client.send(std::string("\x16\x03\x00\0", 4) + static_cast<char>(hello.size()) + hello);
  client.shutdown_send();
  const std::string answer = client.read_all();
  EXPECT_FALSE(answer.starts_with('\x16')) << "a handshake message";
}

TEST(TlsPort, CiphersHaveForwardSecrecyAndAuthentication) {
  TlsTestServer server;
  TlsPeer peer(server.port, TLS1_2_VERSION, TLS1_2_VERSION);
  ASSERT_TRUE(peer.connected);
  EXPECT_THAT(SSL_get_cipher_name(peer.ssl()), ::testing::StartsWith("ECDHE-"));
  EXPECT_TRUE(SSL_CIPHER_is_aead(SSL_get_current_cipher(peer.ssl())));
}

TEST(TlsPort, RenegotiationIsRefused) {
  TlsTestServer server;
  TlsPeer peer(server.port, TLS1_2_VERSION, TLS1_2_VERSION);
  ASSERT_TRUE(peer.connected);
  SSL_renegotiate(peer.ssl());
  EXPECT_NE(SSL_do_handshake(peer.ssl()), 1);
  ERR_clear_error();
}

TEST(TlsPort, Http11IsWhatIsAgreedOn) {
  TlsTestServer server;
  const TlsPeer peer(server.port, TLS1_2_VERSION, TLS1_3_VERSION, "http/1.1");
  ASSERT_TRUE(peer.connected);
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(peer.ssl(), &name, &size);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(name), size), "http/1.1");
  EXPECT_FALSE(TlsPeer(server.port, TLS1_2_VERSION, TLS1_3_VERSION, "h2").connected);
}

TEST(TlsPort, Version12CanBeLeftOut) {
  TlsTestServer server(echo, {}, {.min_version = io::TlsVersion::k1_3});
  EXPECT_FALSE(TlsPeer(server.port, TLS1_2_VERSION, TLS1_2_VERSION).connected);
  EXPECT_TRUE(TlsPeer(server.port, TLS1_3_VERSION, TLS1_3_VERSION).connected);
}

TEST(TlsPort, TheProgramOpensslAgrees) {
  ASSERT_EQ(std::system("openssl version >/dev/null"), 0) << "the package openssl is among the tests' own";
  TlsTestServer server;
  const auto connects = [&](const std::string& version) {
    const std::string command = "timeout 20 openssl s_client -connect 127.0.0.1:" + std::to_string(server.port) +
                                " -cipher ALL:@SECLEVEL=0 -verify_return_error -CAfile " + server.authority.ca_file() +
                                " " + version + " </dev/null >/dev/null 2>&1";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  EXPECT_FALSE(connects("-tls1"));
  EXPECT_FALSE(connects("-tls1_1"));
  EXPECT_TRUE(connects("-tls1_2"));
  EXPECT_TRUE(connects("-tls1_3"));
}

TEST(TlsPort, PlainHttpIsToldToUseTls) {
  TlsTestServer server;
  for (const std::string method : {"GET", "POST"}) {
    RawClient client(server.port);
    client.send(method + " / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(answer.body, HasSubstr("https://"));
    EXPECT_THAT(answer.body, HasSubstr("tls_required"));
    client.shutdown_send();
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(server.statistics().tls_failures, 2u);
}

TEST(TlsPort, ATooSlowHandshakeIsCutWhileOthersNoticeNothing) {
  constexpr size_t kSilent = 1'000;
  Limits limits;
  limits.header_timeout = milliseconds(1'500);
  TlsTestServer server(echo, limits);
  io::EventLoop loop;
  std::vector<std::unique_ptr<RawClient>> silent;
  for (size_t i = 0; i < kSilent; ++i) {
    silent.push_back(std::make_unique<RawClient>(server.port));
    // Some say nothing, some begin and stop.
    if (i % 2) silent.back()->send(std::string("\x16\x03\x01\x02\x00\x01", 6));
    if (i % 100 == 0) {
      EXPECT_EQ(testing::fetch(loop, server.url(), "body", server.trusted).status, 200);
    }
  }
  size_t answered = 0;
  while (server.statistics().tls_failures < kSilent && answered < 100'000) {
    ASSERT_EQ(testing::fetch(loop, server.url(), "body", server.trusted).status, 200);
    ++answered;
  }
  EXPECT_GT(answered, 0u);
  EXPECT_EQ(server.statistics().tls_failures, kSilent);
  for (const auto& client : silent) EXPECT_TRUE(client->closed());
}

TEST(TlsPort, ClientsThatDieInTheHandshakeLeaveNothingBehind) {
  TlsTestServer server;
  io::EventLoop loop;
  for (int i = 0; i < 200; ++i) {
    const int fd = connect_to(server.port);
    const linger reset{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    const std::string part("\x16\x03\x01\x02\x00\x01\x00", static_cast<size_t>(i % 8));
    ::send(fd, part.data(), part.size(), MSG_NOSIGNAL);
    ::close(fd);
  }
  EXPECT_EQ(testing::fetch(loop, server.url(), "body", server.trusted).status, 200);
  EXPECT_TRUE(eventually([&] { return server.statistics().connections_open <= 1; }));
}

TEST(TlsPort, LargeBodiesArriveWhole) {
  TlsTestServer server;
  io::EventLoop loop;
  std::string body(64 << 20, '\0');
  uint32_t state = 1;
  for (char& c : body) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  const Response response = testing::fetch(loop, server.url(), body, server.trusted);
  ASSERT_EQ(response.status, 200);
  EXPECT_TRUE(body_text(response.body) == body);
}

TEST(TlsPort, ManySmallPiecesArriveWhole) {
  TlsTestServer server([](Request) -> Task<Response> {
    Response response;
    for (int i = 0; i < 5'000; ++i)
      for (util::Slice& slice :
           copy_body(std::string(static_cast<size_t>(i % 97 + 1), static_cast<char>('a' + i % 26))))
        response.body.push_back(std::move(slice));
    co_return response;
  });
  io::EventLoop loop;
  std::string expected;
  for (int i = 0; i < 5'000; ++i)
    expected += std::string(static_cast<size_t>(i % 97 + 1), static_cast<char>('a' + i % 26));
  EXPECT_TRUE(body_text(testing::fetch(loop, server.url(), {}, server.trusted).body) == expected);
}

TEST(TlsPort, ASlowReaderGetsAllOfALargeAnswer) {
  constexpr size_t kSize = 8 << 20;
  TlsTestServer server([](Request) -> Task<Response> { co_return Response::text(200, std::string(kSize, 'x')); });
  TlsPeer peer(server.port, TLS1_2_VERSION, TLS1_3_VERSION);
  ASSERT_TRUE(peer.connected);
  peer.send(kGet);
  // The server has to wait in the middle of a record.
  EXPECT_TRUE(eventually([&] { return server.statistics().requests_total == 1; }));
  const std::string answer = peer.read_all();
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, kSize);
  EXPECT_TRUE(peer.clean);
}

TEST(TlsPort, AClientThatOnlyStoppedSendingGetsItsAnswer) {
  TlsTestServer server;
  TlsPeer peer(server.port, TLS1_3_VERSION, TLS1_3_VERSION);
  ASSERT_TRUE(peer.connected);
  peer.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  peer.half_close();
  EXPECT_THAT(peer.read_all(), HasSubstr("abc"));
}

TEST(TlsPort, AnUnfinishedRequestIsAnsweredWithItsTimeout) {
  Limits limits;
  limits.body_timeout = milliseconds(40);
  TlsTestServer server(echo, limits);
  TlsPeer peer(server.port, TLS1_3_VERSION, TLS1_3_VERSION);
  ASSERT_TRUE(peer.connected);
  peer.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_THAT(peer.read_all(), HasSubstr("408"));
}

TEST(TlsPort, AVanishedClientIsSeenWhileAHandlerRuns) {
  std::atomic<bool> seen{false};
  TlsTestServer server([&seen](Request request) -> Task<Response> {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(executor);
    for (int i = 0; i < 10'000 && !request.client_gone(); ++i) {
      timer.expires_after(milliseconds(1));
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    seen = request.client_gone();
    co_return Response::empty();
  });
  {
    TlsPeer peer(server.port, TLS1_3_VERSION, TLS1_3_VERSION);
    ASSERT_TRUE(peer.connected);
    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return server.statistics().requests_in_flight == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return seen.load(); }));
}

TEST(TlsPort, TooManyConnectionsAreClosedWithoutAWord) {
  Limits limits;
  limits.max_connections = 1;
  TlsTestServer server(echo, limits);
  RawClient first(server.port);
  ASSERT_TRUE(eventually([&] { return server.statistics().connections_open == 1; }));
  RawClient second(server.port);
  EXPECT_TRUE(second.closed());
  EXPECT_EQ(server.statistics().connections_refused, 1u);
}

TEST(TlsPort, ConnectionsAreKeptAndEndedWithAGoodbye) {
  TlsTestServer server;
  io::EventLoop loop;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(testing::fetch(loop, server.url(), "x", server.trusted).status, 200);
  EXPECT_EQ(server.statistics().connections_total, 1u);
  EXPECT_EQ(server.statistics().tls_handshakes, 1u);
}

TEST(TlsClientSide, AnAnswerThatIsCutOffIsNoAnswer) {
  // Without Content-Length the answer ends with the connection, which anyone on the way can end.
  TlsTestServer server;
  const Identity identity = server.authority.server("cutting");
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  for (const bool goodbye : {false, true}) {
    std::thread cutter([&] {
      const int fd = ::accept(listener, nullptr, nullptr);
      SSL_CTX* context = SSL_CTX_new(TLS_server_method());
      SSL_CTX_use_certificate_file(context, identity.cert_file.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context, identity.key_file.c_str(), SSL_FILETYPE_PEM);
      SSL* ssl = SSL_new(context);
      SSL_set_fd(ssl, fd);
      char bytes[4096];
      const std::string answer = "HTTP/1.1 200 OK\r\n\r\npart";
      if (SSL_accept(ssl) == 1 && SSL_read(ssl, bytes, sizeof bytes) > 0)
        SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
      if (goodbye) SSL_shutdown(ssl);
      ::shutdown(fd, SHUT_WR);
      while (::recv(fd, bytes, sizeof bytes, 0) > 0) {
      }
      SSL_free(ssl);
      SSL_CTX_free(context);
      ::close(fd);
    });
    io::EventLoop loop;
    const std::string url = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
    if (goodbye)
      EXPECT_EQ(body_text(testing::fetch(loop, url, {}, server.trusted).body), "part");
    else
      EXPECT_THROW(testing::fetch(loop, url, {}, server.trusted), Error);
    cutter.join();
  }
  ::close(listener);
}

TEST(TlsClientSide, AServerThatSaysNothingIsLeftAfterTheTimeout) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  io::EventLoop loop;
  SendOptions options;
  options.timeout = milliseconds(1500);  // the trust store alone may take a tenth of that
  try {
    testing::fetch(loop, "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/", {}, options);
    ADD_FAILURE() << "answered";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kTimeout) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("no TLS connection"));
  }
  ::close(listener);
}

}  // namespace
}  // namespace sm::http
