#include "http/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <future>
#include <vector>

#include "http/testing.hpp"
#include "shumai/error.hpp"

namespace sm::http {
namespace {

using ::testing::AllOf;
using testing::await_on;
using testing::eventually;
using testing::fetch;
using ::testing::HasSubstr;
using testing::milliseconds;
using testing::TestServer;

// A server that follows a script: for each connection that comes, what to do
// with it.
class ScriptedServer {
 public:
  using Script = std::function<void(int fd, int connection)>;

  explicit ScriptedServer(Script script) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 16) != 0)
      throw std::runtime_error("listen");
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, script = std::move(script)] {
      for (int connection = 0;; ++connection) {
        const int fd = ::accept(fd_, nullptr, nullptr);
        if (fd < 0) return;
        ++connections;
        script(fd, connection);
        ::close(fd);
      }
    });
  }
  ~ScriptedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

  static void read_request(int fd) {
    std::string bytes;
    char byte;
    while (bytes.find("\r\n\r\n") == std::string::npos && ::recv(fd, &byte, 1, 0) == 1) bytes += byte;
  }
  static void send(int fd, std::string_view bytes) { (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // Waits until the client is gone.
  static void read_to_end(int fd) {
    char bytes[4096];
    while (::recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
  }

  std::string url() const { return "127.0.0.1:" + std::to_string(port) + "/"; }

  uint16_t port = 0;
  std::atomic<int> connections{0};

 private:
  int fd_;
  std::thread thread_;
};

Error failure(io::EventLoop& loop, const std::string& url, const std::string& body = {}, SendOptions options = {},
              const Client& client = Client()) {
  try {
    fetch(loop, url, body, options, client);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kInternal, "nothing failed");
}

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(Client, SendsAndReceives) {
  TestServer server;
  const Response response = fetch(server.loop, server.url("/forward?x=1"), "hello");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("X-Target"), "POST /forward?x=1");
  EXPECT_EQ(body_text(response.body), "hello");
}

TEST(Client, LargeBodyOfManySlicesComesBackInOnePiece) {
  TestServer server;
  Request request;
  request.method = "POST";
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    const std::string piece(i * 50, static_cast<char>('a' + i % 26));
    expected += piece;
    for (const util::Slice& slice : copy_body(piece)) request.body.push_back(slice);
  }
  const Client client;
  const Response response = await_on(server.loop, client.send(Url::parse(server.url()), std::move(request)));
  ASSERT_EQ(response.body.size(), 1u);
  EXPECT_TRUE(body_text(response.body) == expected);
}

TEST(Client, ReusesConnections) {
  TestServer server;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(body_text(fetch(server.loop, server.url(), std::to_string(i)).body), std::to_string(i));
  EXPECT_EQ(server.server.statistics().connections_total, 1u);
}

TEST(Client, ClosesWhatTheRequestWontKeep) {
  TestServer server;
  for (int i = 0; i < 3; ++i) {
    Request request;
    request.keep_alive = false;
    const Client client;
    EXPECT_EQ(await_on(server.loop, client.send(Url::parse(server.url()), std::move(request))).status, 200);
  }
  EXPECT_EQ(server.server.statistics().connections_total, 3u);
}

TEST(Client, ManyRequestsAtOnceKeepABoundedPool) {
  TestServer server;
  io::EventLoop loop(2);
  ClientOptions options;
  options.max_idle_per_origin = 4;
  const Client client(options);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::future<Response>> answers;
    for (int i = 0; i < 64; ++i) {
      Request request;
      request.method = "POST";
      request.body = copy_body(std::to_string(i));
      answers.push_back(boost::asio::co_spawn(loop.context(), client.send(Url::parse(server.url()), std::move(request)),
                                              boost::asio::use_future));
    }
    for (int i = 0; i < 64; ++i) EXPECT_EQ(body_text(answers[i].get().body), std::to_string(i));
  }
  EXPECT_TRUE(eventually([&] { return server.server.statistics().connections_open <= 4; }));
}

TEST(Client, ExpiredIdleConnectionIsNotUsed) {
  TestServer server;
  ClientOptions options;
  options.idle_timeout = milliseconds(0);
  const Client client(options);
  fetch(server.loop, server.url(), {}, {}, client);
  fetch(server.loop, server.url(), {}, {}, client);
  EXPECT_EQ(server.server.statistics().connections_total, 2u);
}

TEST(Client, ConnectionThatTheServerClosedIsDiscarded) {
  std::promise<void> closed;
  ScriptedServer server([&](int fd, int connection) {
    ScriptedServer::read_request(fd);
    ScriptedServer::send(fd, kOk);
    if (connection == 0) {
      ::shutdown(fd, SHUT_RDWR);
      closed.set_value();
    } else {
      ScriptedServer::read_to_end(fd);
    }
  });
  io::EventLoop loop;
  EXPECT_EQ(fetch(loop, server.url()).status, 200);
  closed.get_future().wait();
  EXPECT_EQ(fetch(loop, server.url()).status, 200);
  EXPECT_EQ(server.connections, 2);
}

// Takes bodies of one byte. The first connection answers once and dies at the
// second request.
void die_at_second_request(int fd, int connection) {
  char byte;
  ScriptedServer::read_request(fd);
  (void)::recv(fd, &byte, 1, 0);
  ScriptedServer::send(fd, kOk);
  if (connection > 0) return ScriptedServer::read_to_end(fd);
  (void)::recv(fd, &byte, 1, 0);
}

TEST(Client, RetrySafeRequestSurvivesAConnectionThatDies) {
  ScriptedServer server(die_at_second_request);
  io::EventLoop loop;
  SendOptions options;
  options.retry_safe = true;
  EXPECT_EQ(fetch(loop, server.url(), "a", options).status, 200);
  EXPECT_EQ(fetch(loop, server.url(), "b", options).status, 200);
  EXPECT_EQ(server.connections, 2);
}

TEST(Client, OtherRequestsReportAConnectionThatDies) {
  ScriptedServer server(die_at_second_request);
  io::EventLoop loop;
  EXPECT_EQ(fetch(loop, server.url(), "a").status, 200);
  const Error error = failure(loop, server.url(), "b");
  EXPECT_EQ(error.code(), ErrorCode::kConnection);
  EXPECT_THAT(error.what(), HasSubstr("http://127.0.0.1:" + std::to_string(server.port)));
  EXPECT_EQ(server.connections, 1);
}

TEST(Client, NothingIsRetriedOnAFreshConnection) {
  ScriptedServer server([](int fd, int) { ScriptedServer::read_request(fd); });
  io::EventLoop loop;
  SendOptions options;
  options.retry_safe = true;
  EXPECT_EQ(failure(loop, server.url(), {}, options).code(), ErrorCode::kConnection);
  EXPECT_EQ(server.connections, 1);
}

TEST(Client, NothingIsRetriedAfterTheAnswerBegan) {
  ScriptedServer server([](int fd, int) {
    for (const std::string_view answer : {kOk, kOk.substr(0, 20)}) {
      ScriptedServer::read_request(fd);
      ScriptedServer::send(fd, answer);
    }
  });
  io::EventLoop loop;
  SendOptions options;
  options.retry_safe = true;
  EXPECT_EQ(fetch(loop, server.url(), {}, options).status, 200);
  EXPECT_EQ(failure(loop, server.url(), {}, options).code(), ErrorCode::kConnection);
  EXPECT_EQ(server.connections, 1);
}

TEST(Client, RefusedConnectionIsNamed) {
  uint16_t port = 0;
  {
    ScriptedServer gone([](int, int) {});
    port = gone.port;
  }
  io::EventLoop loop;
  const Error error = failure(loop, "127.0.0.1:" + std::to_string(port) + "/x");
  EXPECT_EQ(error.code(), ErrorCode::kConnection);
  EXPECT_EQ(std::string(error.what()),
            "can't connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused (is a server running there?)");
}

TEST(Client, UnknownHostIsNamed) {
  io::EventLoop loop;
  const Error error = failure(loop, "no-such-host.invalid/x");
  EXPECT_THAT(error.what(), HasSubstr("can't connect to no-such-host.invalid:80: "));
}

TEST(Client, TimeoutSaysHowLong) {
  ScriptedServer server([](int fd, int) { ScriptedServer::read_to_end(fd); });
  io::EventLoop loop;
  SendOptions options;
  options.timeout = milliseconds(50);
  const Error error = failure(loop, server.url(), {}, options);
  EXPECT_EQ(error.code(), ErrorCode::kTimeout);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("no complete answer after "), HasSubstr(" ms")));
}

TEST(Client, DeadlineEndsAnAnswerThatTrickles) {
  ScriptedServer server([](int fd, int) {
    ScriptedServer::read_request(fd);
    ScriptedServer::send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (::send(fd, "x", 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(milliseconds(2));
  });
  io::EventLoop loop;
  SendOptions options;
  options.deadline = std::chrono::steady_clock::now() + milliseconds(60);
  EXPECT_EQ(failure(loop, server.url(), {}, options).code(), ErrorCode::kTimeout);
}

TEST(Client, TimeoutWhileTheServerDoesntRead) {
  std::promise<void> done;
  auto finished = done.get_future().share();
  ScriptedServer server([finished](int, int) { finished.wait(); });
  io::EventLoop loop;
  SendOptions options;
  options.timeout = milliseconds(50);
  EXPECT_EQ(failure(loop, server.url(), std::string(64 << 20, 'x'), options).code(), ErrorCode::kTimeout);
  done.set_value();
}

TEST(Client, BadResponsesAreProtocolErrors) {
  for (const char* bytes : {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                            "HTTP/1.1 101 Switching Protocols\r\n\r\n"}) {
    ScriptedServer server([&](int fd, int) {
      ScriptedServer::read_request(fd);
      ScriptedServer::send(fd, bytes);
    });
    io::EventLoop loop;
    EXPECT_EQ(failure(loop, server.url()).code(), ErrorCode::kProtocol) << bytes;
  }
}

TEST(Client, ResponseBodyIsLimited) {
  TestServer server;
  ClientOptions options;
  options.limits.max_body_bytes = 100;
  const Client client(options);
  EXPECT_EQ(failure(server.loop, server.url(), std::string(101, 'x'), {}, client).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(fetch(server.loop, server.url(), std::string(100, 'x'), {}, client).status, 200);
}

TEST(Client, InterimResponsesAreSkipped) {
  ScriptedServer server([](int fd, int) {
    ScriptedServer::read_request(fd);
    ScriptedServer::send(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    ScriptedServer::send(fd, kOk);
  });
  io::EventLoop loop;
  EXPECT_EQ(body_text(fetch(loop, server.url()).body), "ok");
}

TEST(Client, BodyThatEndsWithTheConnection) {
  ScriptedServer server([](int fd, int) {
    ScriptedServer::read_request(fd);
    ScriptedServer::send(fd, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
  });
  io::EventLoop loop;
  EXPECT_EQ(body_text(fetch(loop, server.url()).body), "until the end");
}

TEST(Client, EarlyRefusalIsReadThoughTheBodyIsNotTaken) {
  Limits limits;
  limits.max_body_bytes = 1000;
  TestServer server(testing::echo, limits);
  const Response response = fetch(server.loop, server.url(), std::string(8 << 20, 'x'));
  EXPECT_EQ(response.status, 413);
}

TEST(Client, HeadHasNoBody) {
  TestServer server([](Request) -> Task<Response> { co_return Response::text(200, "four"); });
  for (int i = 0; i < 2; ++i) {
    Request request;
    request.method = "HEAD";
    const Client client;
    const Response response = await_on(server.loop, client.send(Url::parse(server.url()), std::move(request)));
    EXPECT_EQ(response.headers.get("Content-Length"), "4");
    EXPECT_TRUE(response.body.empty());
  }
  EXPECT_EQ(server.server.statistics().connections_total, 1u);
}

TEST(Client, UnixSocket) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("sm_client_" + std::to_string(::getpid()))).string();
  TestServer server;
  server.server.listen("unix:" + path, 0);
  const Response response = fetch(server.loop, "unix:" + path + ":/forward", "x");
  EXPECT_EQ(response.headers.get("X-Target"), "POST /forward");
  const Error error = failure(server.loop, "unix:" + path + ".none:/forward");
  EXPECT_EQ(std::string(error.what()), "can't connect to unix:" + path + ".none: No such file or directory");
}

TEST(Client, RefusesRequestsThatWouldSmuggle) {
  TestServer server;
  const Client client;
  Request method, target;
  method.method = "GET / HTTP/1.1\r\nEvil:";
  target.target = "/a HTTP/1.1\r\nEvil: 1";
  EXPECT_THROW(await_on(server.loop, client.send(Url::parse(server.url()), std::move(method))), Error);
  EXPECT_THROW(await_on(server.loop, client.send(Url::parse(server.url()), std::move(target))), Error);
  EXPECT_EQ(server.server.statistics().connections_total, 0u);
}

TEST(Client, CancellationEndsTheRequest) {
  ScriptedServer server([](int fd, int) { ScriptedServer::read_to_end(fd); });
  io::EventLoop loop;
  boost::asio::cancellation_signal signal;
  std::promise<ErrorCode> outcome;
  const Client client;
  const auto done = [&](std::exception_ptr failed, Response) {
    try {
      if (failed) std::rethrow_exception(failed);
      outcome.set_value(ErrorCode::kInternal);
    } catch (const Error& error) {
      outcome.set_value(error.code());
    }
  };
  boost::asio::co_spawn(loop.context(), client.send(Url::parse(server.url()), Request()),
                        boost::asio::bind_cancellation_slot(signal.slot(), done));
  ASSERT_TRUE(eventually([&] { return server.connections == 1; }));
  boost::asio::post(loop.context(), [&] { signal.emit(boost::asio::cancellation_type::terminal); });
  EXPECT_EQ(outcome.get_future().get(), ErrorCode::kCancelled);
}

TEST(Client, KeptConnectionsDontKeepTheContextRunning) {
  TestServer server;
  boost::asio::io_context context;
  const Client client;
  auto answer =
      boost::asio::co_spawn(context, client.send(Url::parse(server.url()), Request()), boost::asio::use_future);
  context.run();
  EXPECT_EQ(answer.get().status, 200);
}

}  // namespace
}  // namespace sm::http
