#include "http/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <memory>

#include "http/testing.hpp"
#include "shumai/error.hpp"

namespace sm::http {
namespace {

using ::testing::AllOf;
using testing::await_on;
using testing::eventually;
using ::testing::HasSubstr;
using testing::milliseconds;
using testing::RawClient;
using testing::TestServer;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(const std::string& body, const std::string& fields = {}) {
  return "POST /p HTTP/1.1\r\nHost: x\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// Handlers that wait until the test lets them go.
class Gate {
 public:
  Task<Response> hold(Request request) {
    ++waiting;
    auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(executor);
    while (!open) {
      if (request.client_gone()) gone = true;
      timer.expires_after(milliseconds(1));
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    co_return Response::text(200, "held");
  }
  Handler handler() {
    return [this](Request request) { return hold(std::move(request)); };
  }

  std::atomic<int> waiting{0};
  std::atomic<bool> open{false};
  std::atomic<bool> gone{false};
};

TEST(Server, AnswersAndKeepsTheConnection) {
  TestServer server;
  RawClient client(server.port);
  for (const std::string body : {"hello", "", "again"}) {
    client.send(post(body, "Content-Type: text/x\r\n"));
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.head, AllOf(HasSubstr("Content-Type: text/x\r\n"), HasSubstr("X-Target: POST /p\r\n")));
    EXPECT_EQ(answer.body, body);
  }
  EXPECT_EQ(server.server.statistics().connections_total, 1u);
  EXPECT_EQ(server.server.statistics().requests_total, 3u);
  EXPECT_EQ(server.server.statistics().responses[2], 3u);
}

TEST(Server, AnAnswerAtOnceSeesNothingOfTheRequestBefore) {
  TestServer server([](Request&& request) -> Answer {
    if (request.target == "/throws") throw Error(ErrorCode::kInvalidArgument, "not this");
    Response response = Response::text(200, body_text(request.body));
    response.headers.add("X-Seen",
                         request.method + " " + request.target + " " + std::to_string(request.headers.size()));
    return response;
  });
  RawClient client(server.port);
  client.send("POST /a/long/target HTTP/1.1\r\nHost: x\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\nhi" + kGet +
              "GET /throws HTTP/1.1\r\nHost: x\r\n\r\n" + kGet);
  const auto first = client.read_answer();
  EXPECT_THAT(first.head, HasSubstr("X-Seen: POST /a/long/target 3\r\n"));
  EXPECT_EQ(first.body, "hi");
  const auto second = client.read_answer();
  EXPECT_THAT(second.head, HasSubstr("X-Seen: GET /x 1\r\n"));
  EXPECT_EQ(second.body, "");
  EXPECT_EQ(client.read_answer().status, 400);
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(server.server.statistics().requests_in_flight, 0u);
}

TEST(Server, RequestOneByteAtATime) {
  TestServer server;
  RawClient client(server.port);
  for (const char byte : post("hello")) client.send({&byte, 1});
  EXPECT_EQ(client.read_answer().body, "hello");
}

TEST(Server, RequestSplitAnywhere) {
  TestServer server;
  RawClient client(server.port);
  const std::string bytes = post("hello");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    const uint64_t before = server.server.statistics().bytes_in;
    client.send(bytes.substr(0, cut));
    ASSERT_TRUE(eventually([&] { return server.server.statistics().bytes_in == before + cut; }));
    client.send(bytes.substr(cut));
    ASSERT_EQ(client.read_answer().body, "hello") << cut;
  }
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  RawClient client(server.port);
  std::string bytes;
  for (int i = 0; i < 200; ++i) bytes += post(std::string(i, 'x') + std::to_string(i));
  client.send(bytes);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(client.read_answer().body, std::string(i, 'x') + std::to_string(i));
}

TEST(Server, ChunkedRequest) {
  TestServer server;
  RawClient client(server.port);
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  std::string large(100'000, 'y');
  client.send("186a0\r\n" + large + "\r\n0\r\n\r\n" + kGet);
  EXPECT_EQ(client.read_answer().body, "abc" + large);
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Server, LargeBodiesBothWays) {
  TestServer server;
  RawClient client(server.port);
  std::string body(20 << 20, 'z');
  for (size_t i = 0; i < body.size(); i += 4096) body[i] = static_cast<char>(i >> 12);
  std::thread sender([&] { client.send(post(body)); });
  const auto answer = client.read_answer();
  sender.join();
  EXPECT_TRUE(answer.body == body);
}

TEST(Server, ManySlicesGoOutInOrder) {
  TestServer server([](Request) -> Task<Response> {
    Response response;
    for (int i = 0; i < 3000; ++i) {
      const Body piece = copy_body(std::to_string(i) + std::string(i % 7 * 100, '.'));
      response.body.push_back(piece[0]);
      response.body.emplace_back();
    }
    co_return response;
  });
  std::string expected;
  for (int i = 0; i < 3000; ++i) expected += std::to_string(i) + std::string(i % 7 * 100, '.');
  RawClient client(server.port);
  client.send(kGet);
  EXPECT_TRUE(client.read_answer().body == expected);
}

TEST(Server, HeadGetsTheLengthWithoutTheBody) {
  TestServer server([](Request) -> Task<Response> { co_return Response::text(200, "four"); });
  RawClient client(server.port);
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + kGet);
  EXPECT_THAT(client.read_answer(true).head, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_EQ(client.read_answer().body, "four");
}

TEST(Server, NoContentHasNoLength) {
  TestServer server([](Request) -> Task<Response> { co_return Response::empty(); });
  RawClient client(server.port);
  client.send(kGet + kGet);
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.head.find("Content-Length"), std::string::npos);
  EXPECT_EQ(client.read_answer().status, 204);
}

TEST(Server, ClosesWhenAskedTo) {
  TestServer server;
  for (const char* request : {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawClient client(server.port);
    client.send(request);
    EXPECT_THAT(client.read_answer().head, HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(client.closed());
  }
}

TEST(Server, Http10KeepsTheConnectionWhenAskedTo) {
  TestServer server;
  RawClient client(server.port);
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_THAT(client.read_answer().head, HasSubstr("Connection: keep-alive\r\n"));
  }
}

TEST(Server, AnswerIsReadableEvenWhenMoreBytesFollowTheLastRequest) {
  TestServer server;
  RawClient client(server.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + std::string(200'000, 'g'));
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Server, SaysContinueBeforeABody) {
  TestServer server;
  RawClient client(server.port);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 100);
  client.send("abc");
  EXPECT_EQ(client.read_answer().body, "abc");
  // Not when the body is there already.
  client.send(post("abc", "Expect: 100-continue\r\n"));
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Server, UpgradeIsIgnored) {
  TestServer server;
  RawClient client(server.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + kGet);
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Server, UnknownMethodReachesTheHandler) {
  TestServer server([](Request request) -> Task<Response> {
    throw Error(ErrorCode::kMethodNotAllowed, request.method + " isn't taken");
    co_return Response();
  });
  RawClient client(server.port);
  client.send("BREW / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.status, 405);
  EXPECT_THAT(answer.body, HasSubstr("BREW isn't taken"));
}

TEST(Server, ThrownErrorsBecomeProblems) {
  TestServer server([](Request request) -> Task<Response> {
    if (request.target == "/shape") throw Error(ErrorCode::kShapeMismatch, "matmul: got \"[3]\"\n");
    if (request.target == "/std") throw std::runtime_error("boom");
    if (request.target == "/int") throw 7;
    if (request.target == "/status") co_return Response::empty(99);
    co_return Response::text(200, "fine");
  });
  RawClient client(server.port);
  const auto get = [&](const std::string& target) {
    client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.read_answer();
  };
  const auto shape = get("/shape");
  EXPECT_EQ(shape.status, 400);
  EXPECT_THAT(shape.head, HasSubstr("Content-Type: application/problem+json\r\n"));
  EXPECT_EQ(shape.body,
            R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"matmul: got \"[3]\"\u000a",)"
            R"("code":"shape_mismatch"})");
  const auto boom = get("/std");
  EXPECT_EQ(boom.status, 500);
  EXPECT_THAT(boom.body, AllOf(HasSubstr("boom"), HasSubstr("\"code\":\"internal\"")));
  EXPECT_EQ(get("/int").status, 500);
  EXPECT_EQ(get("/status").status, 500);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(server.server.statistics().responses[5], 3u);
}

TEST(Server, MalformedRequestGetsAProblemAndTheConnectionCloses) {
  TestServer server;
  const std::pair<std::string, int> rows[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(40'000, 'a') + "\r\n\r\n", 431},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + std::string(300'000, 'a'), 413},
  };
  for (const auto& [bytes, status] : rows) {
    RawClient client(server.port);
    client.send(bytes);
    client.shutdown_send();
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, status);
    EXPECT_THAT(answer.head, AllOf(HasSubstr("problem+json"), HasSubstr("Connection: close\r\n")));
    EXPECT_TRUE(client.closed());
  }
}

TEST(Server, GoodRequestBeforeABadOneIsAnswered) {
  TestServer server;
  RawClient client(server.port);
  client.send(kGet + "bad\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_answer().status, 400);
  EXPECT_TRUE(client.closed());
}

TEST(Server, ManyConnectionsAtOnce) {
  TestServer server;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<RawClient>(server.port));
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) clients[i]->send(post(std::to_string(i)));
    for (size_t i = 0; i < clients.size(); ++i) ASSERT_EQ(clients[i]->read_answer().body, std::to_string(i));
  }
  EXPECT_EQ(server.server.statistics().connections_open, 300u);
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server.server.statistics().connections_open == 0; }));
}

TEST(Server, PeerIsNamed) {
  TestServer server([](Request request) -> Task<Response> { co_return Response::text(200, request.peer->address); });
  RawClient client(server.port);
  client.send(kGet);
  EXPECT_THAT(client.read_answer().body, ::testing::StartsWith("127.0.0.1:"));
}

TEST(Server, HandlerLearnsThatTheClientHungUp) {
  Gate gate;
  TestServer server(gate.handler());
  {
    RawClient client(server.port);
    client.send(kGet);
    ASSERT_TRUE(eventually([&] { return gate.waiting == 1; }));
    EXPECT_FALSE(gate.gone);
  }
  EXPECT_TRUE(eventually([&] { return gate.gone.load(); }));
  gate.open = true;
}

TEST(Server, UnixSocketWithStaleFileAndCleanUp) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("sm_http_" + std::to_string(::getpid()))).string();
  io::EventLoop loop;
  for (int round = 0; round < 2; ++round) {
    Server server(loop.context(), testing::echo);
    EXPECT_EQ(server.listen("unix:" + path, 0), 0);
    RawClient client(path);
    client.send(post("over unix"));
    EXPECT_EQ(client.read_answer().body, "over unix");
    Server second(loop.context(), testing::echo);
    EXPECT_THROW(second.listen("unix:" + path, 0), Error);
    server.stop();
    EXPECT_FALSE(std::filesystem::exists(path));
    // What a killed server leaves behind: a file that no one listens on.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
    server.close_all();
    ASSERT_TRUE(eventually([&] { return server.statistics().connections_open == 0; }));
  }
  ::unlink(path.c_str());
}

TEST(Server, ListenNamesThePortThatIsTaken) {
  TestServer server;
  try {
    Server second(server.loop.context(), testing::echo);
    second.listen("127.0.0.1", server.port);
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConnection);
    EXPECT_EQ(std::string(error.what()),
              "can't listen on 127.0.0.1:" + std::to_string(server.port) +
                  ": Address already in use (stop what listens there, or choose another port; 0: any free one)");
  }
}

TEST(Server, LocalhostAndIpv6) {
  TestServer server;
  const uint16_t named = server.server.listen("localhost", 0);
  RawClient client(named);
  client.send(kGet);
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Server, StopClosesIdleConnectionsAndRefusesNewOnes) {
  Gate gate;
  TestServer server(gate.handler());
  RawClient idle(server.port), running(server.port);
  running.send(kGet);
  ASSERT_TRUE(eventually([&] { return gate.waiting == 1; }));
  server.server.stop();
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(eventually([&] {
    try {
      RawClient late(server.port);
      return late.closed();
    } catch (const std::runtime_error&) {
      return true;
    }
  }));
  EXPECT_FALSE(await_on(server.loop, server.server.drain(std::chrono::steady_clock::now())));
  gate.open = true;
  const auto answer = running.read_answer();
  EXPECT_EQ(answer.body, "held");
  EXPECT_THAT(answer.head, HasSubstr("Connection: close"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  EXPECT_TRUE(await_on(server.loop, server.server.drain(deadline)));
}

TEST(Server, CloseAllEndsRunningRequests) {
  Gate gate;
  TestServer server(gate.handler());
  RawClient client(server.port);
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return gate.waiting == 1; }));
  server.server.close_all();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(eventually([&] { return gate.gone.load(); }));
  gate.open = true;
}

}  // namespace
}  // namespace sm::http
