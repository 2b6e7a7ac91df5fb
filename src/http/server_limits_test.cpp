#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "http/server.hpp"
#include "http/testing.hpp"

namespace sm::http {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::milliseconds;
using testing::RawClient;
using testing::TestServer;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(ServerLimits, SilentConnectionIsClosed) {
  Limits limits;
  limits.header_timeout = milliseconds(30);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  EXPECT_TRUE(client.closed());
}

TEST(ServerLimits, TricklingHeaderIsCutOffWith408) {
  Limits limits;
  limits.header_timeout = milliseconds(50);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  // Each byte is progress, and yet the header's time runs out.
  std::thread trickle([&] {
    client.send("GET / HTTP/1.1\r\nHost: x\r\nSlow: ");
    while (server.server.statistics().responses[4] == 0 && client.send("s"))
      std::this_thread::sleep_for(milliseconds(5));
  });
  EXPECT_EQ(client.read_answer().status, 408);
  trickle.join();
}

TEST(ServerLimits, StalledBodyIsCutOffWith408) {
  Limits limits;
  limits.body_timeout = milliseconds(40);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.read_answer().status, 408);
  EXPECT_TRUE(client.closed());
}

TEST(ServerLimits, TricklingBodyIsCutOffWith408) {
  Limits limits;
  limits.body_timeout = milliseconds(60);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  std::thread trickle([&] {
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
    while (server.server.statistics().responses[4] == 0 && client.send("s"))
      std::this_thread::sleep_for(milliseconds(5));
  });
  EXPECT_EQ(client.read_answer().status, 408);
  trickle.join();
}

TEST(ServerLimits, IdleConnectionIsClosedAfterKeepAlive) {
  Limits limits;
  limits.keep_alive_timeout = milliseconds(40);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  client.send(kGet);
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_TRUE(client.closed());
}

TEST(ServerLimits, ClientThatDoesntReadIsDropped) {
  Limits limits;
  limits.write_timeout = milliseconds(50);
  TestServer server([](Request) -> Task<Response> { co_return Response::text(200, std::string(64 << 20, 'x')); },
                    limits);
  RawClient client(server.port);
  client.send(kGet);
  EXPECT_TRUE(eventually([&] { return server.server.statistics().requests_total == 1; }));
  EXPECT_TRUE(eventually([&] { return server.server.statistics().connections_open == 0; }));
  EXPECT_LT(client.read_all().size(), size_t{64} << 20);
}

TEST(ServerLimits, LingeringEnds) {
  Limits limits;
  limits.linger_timeout = milliseconds(40);
  TestServer server(testing::echo, limits);
  RawClient client(server.port);
  client.send("bad\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 400);
  EXPECT_TRUE(eventually([&] { return server.server.statistics().connections_open == 0; }));
}

TEST(ServerLimits, SlowHandlerIsNotCutOff) {
  Limits limits;
  limits.header_timeout = limits.body_timeout = limits.keep_alive_timeout = milliseconds(20);
  TestServer server(
      [](Request) -> Task<Response> {
        auto executor = co_await boost::asio::this_coro::executor;
        boost::asio::steady_timer timer(executor, milliseconds(150));
        co_await timer.async_wait(boost::asio::use_awaitable);
        co_return Response::text(200, "late");
      },
      limits);
  RawClient client(server.port);
  client.send(kGet);
  EXPECT_EQ(client.read_answer().body, "late");
}

TEST(ServerLimits, TooManyConnectionsAreTurnedAway) {
  Limits limits;
  limits.max_connections = 2;
  TestServer server(testing::echo, limits);
  auto first = std::make_unique<RawClient>(server.port);
  RawClient second(server.port);
  ASSERT_TRUE(eventually([&] { return server.server.statistics().connections_open == 2; }));
  RawClient third(server.port);
  const auto answer = third.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.head, HasSubstr("Retry-After: "));
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(server.server.statistics().connections_refused, 1u);

  first.reset();
  ASSERT_TRUE(eventually([&] { return server.server.statistics().connections_open == 1; }));
  RawClient fourth(server.port);
  fourth.send(kGet);
  EXPECT_EQ(fourth.read_answer().status, 200);
}

TEST(ServerLimits, TooManyRequestsInFlightAreTurnedAway) {
  Limits limits;
  limits.max_requests_in_flight = 1;
  std::atomic<bool> open{false};
  TestServer server(
      [&open](Request) -> Task<Response> {
        auto executor = co_await boost::asio::this_coro::executor;
        boost::asio::steady_timer timer(executor);
        while (!open) {
          timer.expires_after(milliseconds(1));
          co_await timer.async_wait(boost::asio::use_awaitable);
        }
        co_return Response::text(200, "done");
      },
      limits);
  RawClient first(server.port), second(server.port);
  first.send(kGet);
  ASSERT_TRUE(eventually([&] { return server.server.statistics().requests_in_flight == 1; }));
  second.send(kGet);
  const auto answer = second.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.head, HasSubstr("Retry-After: 1\r\n"));
  open = true;
  EXPECT_EQ(first.read_answer().body, "done");
  second.send(kGet);
  EXPECT_EQ(second.read_answer().body, "done");
}

}  // namespace
}  // namespace sm::http
