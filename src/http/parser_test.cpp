#include "http/parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

// Presents `bytes` in pieces of `step`, as a socket would, and takes every
// complete message.
template <class Parser, class Message>
std::vector<Message> parse(std::string_view bytes, size_t step, const Limits& limits = {}) {
  Parser parser(limits);
  std::vector<Message> messages;
  std::string pending;
  while (!bytes.empty()) {
    const size_t next = std::min(step, bytes.size());
    pending += bytes.substr(0, next);
    bytes.remove_prefix(next);
    for (;;) {
      pending.erase(0, parser.feed(pending));
      if (!parser.done()) break;
      messages.push_back(parser.take());
    }
  }
  return messages;
}

std::vector<Request> requests(std::string_view bytes, size_t step = SIZE_MAX, const Limits& limits = {}) {
  return parse<RequestParser, Request>(bytes, step, limits);
}

std::optional<ErrorCode> refusal(std::string_view bytes, size_t step = SIZE_MAX, const Limits& limits = {}) {
  try {
    requests(bytes, step, limits);
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

const std::string kPost =
    "POST /forward?a=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type:  text/plain \r\nContent-Length: 11\r\n\r\nhello "
    "world";
const std::string kChunked =
    "POST /c HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;name=\"v\"\r\nhello\r\n006\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n";

TEST(RequestParser, SameResultHoweverTheBytesAreSplit) {
  const std::string bytes = kPost + kChunked + "GET / HTTP/1.1\r\nHost: y\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    const auto got = requests(bytes, step);
    ASSERT_EQ(got.size(), 3u) << step;
    EXPECT_EQ(got[0].method, "POST");
    EXPECT_EQ(got[0].target, "/forward?a=1");
    EXPECT_EQ(got[0].headers.get("content-type"), "text/plain");
    EXPECT_EQ(body_text(got[0].body), "hello world");
    EXPECT_EQ(body_text(got[1].body), "hello world") << step;
    EXPECT_EQ(got[1].headers.count("Trailer"), 0u);
    EXPECT_EQ(got[2].headers.get("Host"), "y");
    EXPECT_TRUE(got[2].body.empty());
  }
}

TEST(RequestParser, EverySplitInTwoGivesTheSame) {
  for (const std::string& bytes : {kPost, kChunked}) {
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      RequestParser parser{Limits{}};
      std::string pending = bytes.substr(0, cut);
      pending.erase(0, parser.feed(pending));
      EXPECT_FALSE(parser.done());
      pending += bytes.substr(cut);
      EXPECT_EQ(parser.feed(pending), pending.size());
      ASSERT_TRUE(parser.done()) << cut;
      EXPECT_EQ(body_text(parser.take().body), "hello world");
    }
  }
}

TEST(RequestParser, EmptyChunkedBodyOneByteAtATime) {
  const auto got = requests("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(got[0].body.empty());
}

TEST(RequestParser, BodyIsContiguousAndAligned) {
  std::string body(3 << 20, 'b');
  body.back() = 'e';
  const auto got = requests(
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body, 65'537);
  ASSERT_EQ(got.size(), 1u);
  ASSERT_EQ(got[0].body.size(), 1u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(got[0].body[0].data) % util::Buffer::kAlignment, 0u);
  EXPECT_TRUE(got[0].body[0].owner->unique());
  EXPECT_EQ(body_text(got[0].body), body);
}

TEST(RequestParser, LyingLengthCostsNoMemory) {
  const size_t before = util::Buffer::bytes_in_use();
  RequestParser parser{Limits{}};
  parser.feed("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx");
  EXPECT_LE(parser.space().size(), size_t{1} << 20);
  EXPECT_LE(util::Buffer::bytes_in_use() - before, size_t{1} << 20);
}

TEST(RequestParser, ALargeBodyIsMovedOnceAtMost) {
  RequestParser parser{Limits{}};
  parser.feed("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
  parser.commit(parser.space().size());
  EXPECT_EQ(parser.space().size(), size_t{10'000'000} - (1 << 20));
}

TEST(RequestParser, SpaceTakesTheBodyStraight) {
  RequestParser parser{Limits{}};
  EXPECT_TRUE(parser.space().empty());
  parser.feed("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  const std::span<char> space = parser.space();
  ASSERT_EQ(space.size(), 3u);
  std::copy_n("cde", 3, space.data());
  parser.commit(3);
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(body_text(parser.take().body), "abcde");
}

TEST(RequestParser, KeepAliveFollowsVersionAndConnection) {
  const std::pair<const char*, bool> rows[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Foo, Close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
  };
  for (const auto& [bytes, keep_alive] : rows) {
    const auto got = requests(bytes);
    ASSERT_EQ(got.size(), 1u) << bytes;
    EXPECT_EQ(got[0].keep_alive, keep_alive) << bytes;
  }
}

TEST(RequestParser, TakesWhatIsUnusualButProper) {
  for (const char* bytes : {
           "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET http://x/abs?q HTTP/1.1\r\nHost: x\r\n\r\n",
           "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost:\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
           "GET / HTTP/1.1\r\nHost: x\r\nEmpty:\r\nObs: \xff\r\n\r\n",
       })
    for (const size_t step : {SIZE_MAX, size_t{1}}) EXPECT_EQ(requests(bytes, step).size(), 1u) << bytes;
}

TEST(RequestParser, PathAndQuery) {
  Request request;
  request.target = "/a/b?c=d?e";
  EXPECT_EQ(request.path(), "/a/b");
  EXPECT_EQ(request.query(), "c=d?e");
  request.target = "http://host:1/x?y";
  EXPECT_EQ(request.path(), "/x");
  EXPECT_EQ(request.query(), "y");
  request.target = "http://host";
  EXPECT_EQ(request.path(), "/");
}

TEST(RequestParser, RefusesMalformedRequests) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string rows[] = {
      "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
      " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
      "GET / http/1.1\r\nHost: x\r\n\r\n",
      "GET /\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\nHost: x\n\n",
      "GET / HTTP/1.1\r\nHost: x\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
      head + "Fold: a\r\n b\r\n\r\n",
      head + "Fold:\r\n b\r\n\r\n",
      head + "Fold: a\r\n \r\n\r\n",
      head + " Lead: a\r\n\r\n",
      head + "Sp ace: a\r\n\r\n",
      head + "Blank : a\r\n\r\n",
      head + ": a\r\n\r\n",
      head + "NoColon\r\n\r\n",
      head + "Ctl: a\x01z\r\n\r\n",
      head + std::string("Nul: a\0z\r\n\r\n", 12),
      head + "Cr: a\rz\r\n\r\n",
      head + "Content-Length: x\r\n\r\n",
      head + "Content-Length: -1\r\n\r\n",
      head + "Content-Length: +1\r\n\r\n",
      head + "Content-Length: 0x1\r\n\r\n",
      head + "Content-Length:\r\n\r\n",
      head + "Content-Length: 1,\r\n\r\n",
      head + "Content-Length: 18446744073709551616\r\n\r\n",
      head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
      head + "Content-Length: 1, 2\r\n\r\n",
      head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
      head + "Transfer-Encoding: gzip\r\n\r\n",
      head + "Transfer-Encoding: gzip, chunked\r\n\r\n",
      head + "Transfer-Encoding: chunked, gzip\r\n\r\n",
      head + "Transfer-Encoding: xchunked\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      chunked + "g\r\nhello\r\n",
      chunked + "-5\r\nhello\r\n",
      chunked + "5 5\r\nhello\r\n",
      chunked + "\r\nhello\r\n",
      chunked + "5\nhello\n0\r\n\r\n",
      chunked + "5\r\nhelloXX0\r\n\r\n",
      chunked + "10000000000000000\r\nhello\r\n",
      chunked + "0\r\nContent-Length: 3\r\n\r\n",
      chunked + "0\r\nbad trailer\r\n\r\n",
      chunked + "0\r\nFold: a\r\n b\r\n\r\n",
  };
  for (const std::string& bytes : rows) {
    EXPECT_EQ(refusal(bytes), ErrorCode::kProtocol) << bytes;
    // In pieces a few of them only become hopeless, and never a request.
    for (const size_t step : {1, 7}) try {
        EXPECT_TRUE(requests(bytes, step).empty()) << bytes << " in steps of " << step;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kProtocol) << bytes;
      }
  }
}

TEST(RequestParser, HeaderLimitsHoldForWholeAndForTricklingBytes) {
  Limits limits;
  limits.max_header_bytes = 200;
  limits.max_headers = 5;
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n";
  std::string many = head;
  for (int i = 0; i < 40; ++i) many += "a: b\r\n";
  for (const size_t step : {SIZE_MAX, size_t{1}, size_t{50}}) {
    EXPECT_EQ(refusal(head + "Long: " + std::string(200, 'x') + "\r\n\r\n", step, limits), ErrorCode::kHeadersTooLarge);
    EXPECT_EQ(refusal("GET /" + std::string(300, 'x'), step, limits), ErrorCode::kHeadersTooLarge);
    EXPECT_EQ(refusal(std::string(300, 'X'), step, limits), ErrorCode::kHeadersTooLarge);
    EXPECT_EQ(refusal(many, step, limits), ErrorCode::kHeadersTooLarge);
    // Each line is short; together they are too long.
    EXPECT_EQ(
        refusal(head + "a: " + std::string(90, 'x') + "\r\nb: " + std::string(90, 'x') + "\r\n\r\n", step, limits),
        ErrorCode::kHeadersTooLarge);
    EXPECT_EQ(refusal(head + "a: b\r\nc: d\r\n\r\n", step, limits), std::nullopt);
  }
}

TEST(RequestParser, BodyLimitHoldsForBothFramings) {
  Limits limits;
  limits.max_body_bytes = 10;
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (const size_t step : {SIZE_MAX, size_t{1}}) {
    EXPECT_EQ(refusal(head + "Content-Length: 11\r\n\r\n", step, limits), ErrorCode::kTooLarge);
    EXPECT_EQ(refusal(head + "Content-Length: 10\r\n\r\n0123456789", step, limits), std::nullopt);
    EXPECT_EQ(refusal(chunked + "6\r\n012345\r\n5\r\n01234\r\n0\r\n\r\n", step, limits), ErrorCode::kTooLarge);
    EXPECT_EQ(refusal(chunked + "6\r\n012345\r\n4\r\n0123\r\n0\r\n\r\n", step, limits), std::nullopt);
    EXPECT_EQ(refusal(chunked + "ffffffffffffffff\r\n", step, limits), ErrorCode::kTooLarge);
  }
}

TEST(RequestParser, AQuoteInAChunksExtensionEndsInItsLine) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  Limits limits;
  limits.max_body_bytes = 100;
  for (const size_t step : {size_t{1}, size_t{2}, SIZE_MAX}) {
    EXPECT_EQ(requests(head + "4;a=\"b\"\r\nbody\r\n0;c=\"d\"\r\n\r\n", step, limits).size(), 1u);
    EXPECT_EQ(refusal(head + "32;a=\"b\r\n0\r\nX: y\r\n", step, limits), ErrorCode::kProtocol) << step;
    EXPECT_EQ(refusal(head + "1\r\nb\r\n32;a=\"b\r\n0\r\nX: y\r\n", step, limits), ErrorCode::kProtocol) << step;
  }
}

TEST(RequestParser, ChunkHeadersAndTrailersAreLimited) {
  Limits limits;
  limits.max_header_bytes = 200;
  const std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const size_t step : {SIZE_MAX, size_t{1}}) {
    EXPECT_EQ(refusal(chunked + "5;x=" + std::string(300, 'y'), step, limits), ErrorCode::kHeadersTooLarge);
    EXPECT_EQ(refusal(chunked + "0\r\nT: " + std::string(300, 'y'), step, limits), ErrorCode::kHeadersTooLarge);
  }
}

TEST(RequestParser, ExpectsContinueOnlyBeforeTheBody) {
  RequestParser parser{Limits{}};
  parser.feed("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(parser.expects_continue());
  parser.feed("a");
  EXPECT_FALSE(parser.expects_continue());
}

std::vector<Response> responses(std::string_view bytes, size_t step = SIZE_MAX, const Limits& limits = {}) {
  return parse<ResponseParser, Response>(bytes, step, limits);
}

TEST(ResponseParser, SameResultHoweverTheBytesAreSplit) {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"
      "HTTP/1.1 204 \r\n\r\n"
      "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    const auto got = responses(bytes, step);
    ASSERT_EQ(got.size(), 4u) << step;
    EXPECT_EQ(got[0].status, 100);
    EXPECT_EQ(body_text(got[1].body), "hello");
    EXPECT_EQ(got[1].headers.get("a"), "b");
    EXPECT_EQ(got[2].status, 204);
    EXPECT_EQ(body_text(got[3].body), "abc");
  }
}

TEST(ResponseParser, BodyMayEndWithTheConnection) {
  ResponseParser parser{Limits{}};
  parser.feed("HTTP/1.1 200 OK\r\n\r\nsome");
  parser.feed(" bytes");
  EXPECT_FALSE(parser.done());
  parser.feed_end();
  ASSERT_TRUE(parser.done());
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_EQ(body_text(parser.take().body), "some bytes");
}

TEST(ResponseParser, CutShortIsAnError) {
  for (const char* bytes : {"", "HTT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    ResponseParser parser{Limits{}};
    parser.feed(bytes);
    EXPECT_THROW(parser.feed_end(), Error) << bytes;
  }
}

TEST(ResponseParser, NoBodyAfterHead) {
  ResponseParser parser{Limits{}};
  parser.expect_no_body();
  parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.take().headers.get("Content-Length"), "500");
}

TEST(ResponseParser, RefusesMalformedAndTooLarge) {
  Limits limits;
  limits.max_body_bytes = 4;
  EXPECT_THROW(responses("SSH-2.0-OpenSSH\r\n"), Error);
  EXPECT_THROW(responses("HTTP/1.1 2x0 OK\r\n\r\n"), Error);
  EXPECT_THROW(responses("HTTP/1.1 200 OK\r\nFold: a\r\n b\r\n\r\n"), Error);
  EXPECT_THROW(responses("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", SIZE_MAX, limits), Error);
  EXPECT_THROW(responses("HTTP/1.1 200 OK\r\n\r\nhello", 1, limits), Error);
}

}  // namespace
}  // namespace sm::http
