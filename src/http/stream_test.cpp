#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "http/server.hpp"
#include "http/testing.hpp"
#include "shumai/error.hpp"

// Answers whose bodies come piece by piece.
namespace sm::http {
namespace {

using ::testing::AllOf;
using testing::eventually;
using ::testing::HasSubstr;
using testing::milliseconds;
using ::testing::Not;
using testing::RawClient;
using testing::TestServer;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

// Pieces that a test gives, one by one.
class Pieces final : public BodyStream {
 public:
  Task<std::string> next() override {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (given == taken_) {
      timer.expires_after(milliseconds(1));
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    ++taken_;
    if (fails) throw Error(ErrorCode::kInternal, "no more");
    co_return ends ? "" : "piece " + std::to_string(taken_);
  }

  std::atomic<int> given{0};
  std::atomic<bool> ends{false}, fails{false};

 private:
  int taken_ = 0;
};

struct StreamServer {
  StreamServer()
      : server([this](const Request& request) -> Answer {
          if (request.target == "/plain") return Response::text(200, "plain");
          Response response;
          response.stream = pieces;
          return response;
        }) {}
  std::shared_ptr<Pieces> pieces = std::make_shared<Pieces>();
  TestServer server;
};

TEST(Stream, ABodyThatComesPieceByPieceIsSentInChunks) {
  StreamServer stream;
  RawClient client(stream.server.port);
  client.send(kGet);
  EXPECT_THAT(client.read_until("\r\n\r\n"),
              AllOf(HasSubstr("200 OK"), HasSubstr("Transfer-Encoding: chunked"), Not(HasSubstr("Content-Length"))));
  stream.pieces->given = 1;
  EXPECT_EQ(client.read_until("piece 1\r\n"), "7\r\npiece 1\r\n");
  // It isn't one of the requests that run.
  EXPECT_EQ(stream.server.server.statistics().requests_in_flight, 0u);
  stream.pieces->given = 2;
  EXPECT_EQ(client.read_until("piece 2\r\n"), "7\r\npiece 2\r\n");
  stream.pieces->ends = true;
  stream.pieces->given = 3;
  EXPECT_EQ(client.read_until("\r\n\r\n"), "0\r\n\r\n");
  client.send("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "plain");
}

TEST(Stream, AnOlderClientSeesTheEndOfAStreamByTheConnections) {
  StreamServer stream;
  RawClient client(stream.server.port);
  client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  stream.pieces->given = 1;
  EXPECT_THAT(client.read_until("\r\n\r\n"), AllOf(HasSubstr("Connection: close"), Not(HasSubstr("chunked"))));
  EXPECT_EQ(client.read_until("piece 1"), "piece 1");
  stream.pieces->ends = true;
  stream.pieces->given = 2;
  EXPECT_TRUE(client.closed());
}

TEST(Stream, AStreamThatFailsIsCutOffAndNotEnded) {
  StreamServer stream;
  RawClient client(stream.server.port);
  client.send(kGet);
  stream.pieces->given = 1;
  client.read_until("piece 1\r\n");
  stream.pieces->fails = true;
  stream.pieces->given = 2;
  EXPECT_TRUE(client.closed());
}

TEST(Stream, AStreamEndsWhenItsReaderHasGone) {
  StreamServer stream;
  {
    RawClient client(stream.server.port);
    client.send(kGet);
    client.read_until("\r\n\r\n");
  }
  // The watch sees it within a second, and the next piece is the last.
  EXPECT_TRUE(eventually([&] {
    ++stream.pieces->given;
    return stream.server.server.statistics().connections_open == 0;
  }));
}

TEST(Stream, AHeadRequestGetsNoStream) {
  StreamServer stream;
  RawClient client(stream.server.port);
  client.send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer(true).status, 200);
  client.send("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "plain");
}

}  // namespace
}  // namespace sm::http
