#include <gtest/gtest.h>

#include "e2e/hostile.hpp"

// Requests that two readers could take apart differently. Whatever follows in
// the same bytes must not be run as a request of its own.
namespace sm::e2e {
namespace {

struct Attack {
  const char* what;
  std::string bytes;
  std::string statuses;
};

const std::string kInner =
    "POST /nap HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";
const std::string kStart = "POST /runs HTTP/1.1\r\nHost: localhost\r\n";
const std::string kChunked = kStart + "Transfer-Encoding: chunked\r\n\r\n";

// `field` in a header that is otherwise right.
std::string with(const std::string& field) { return kStart + field + "\r\n\r\n" + kInner; }
std::string length(const std::string& value) { return with("Content-Length: " + value); }

std::vector<Attack> attacks() {
  const std::string zero = "0\r\n\r\n" + kInner;
  return {
      {"a length, then chunks", with("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"), "400"},
      {"chunks, then a length", with("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n"), "400"},
      {"two lengths", with("Content-Length: 0\r\nContent-Length: " + std::to_string(kInner.size())), "400"},
      {"a list of two lengths", length("0, " + std::to_string(kInner.size())), "400"},
      {"a length with a sign", length("+0"), "400"},
      {"a negative length", length("-1"), "400"},
      {"a length in hexadecimal", length("0x0"), "400"},
      {"a length with an exponent", length("0e1"), "400"},
      {"a length and more", length("0 0"), "400"},
      {"an empty length", length(""), "400"},
      {"a length of 2^64", length("18446744073709551616"), "400"},
      {"a length above 2^64", length("18446744073709551617"), "400"},
      {"a blank before the colon of a length", with("Content-Length : 0"), "400"},
      {"a blank before the colon of an encoding", kStart + "Transfer-Encoding : chunked\r\n\r\n" + zero, "400"},
      {"another encoding", kStart + "Transfer-Encoding: xchunked\r\n\r\n" + zero, "400"},
      {"two encodings", kStart + "Transfer-Encoding: gzip, chunked\r\n\r\n" + zero, "400"},
      {"chunks twice", kStart + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + zero, "400"},
      {"chunks that aren't last", kStart + "Transfer-Encoding: chunked, identity\r\n\r\n" + zero, "400"},
      {"no encoding by name", kStart + "Transfer-Encoding: identity\r\n\r\n" + zero, "400"},
      {"an encoding behind a control character",
       kStart +
           "Transfer-Encoding: \x0b"
           "chunked\r\n\r\n" +
           zero,
       "400"},
      {"chunks in HTTP/1.0", "POST /runs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + zero, "400"},
      {"a folded encoding", kStart + "Transfer-Encoding:\r\n chunked\r\n\r\n" + zero, "400"},
      {"a folded line", with("Fold: a\r\n Content-Length: 10"), "400"},
      {"a line that begins with a blank", with(" Lead: a"), "400"},
      {"lines that end in a bare line feed", "GET /runs HTTP/1.1\nHost: localhost\n\n" + kInner, "400"},
      {"one line that does", with("A: b\nTransfer-Encoding: chunked"), "400"},
      {"an end of bare line feeds", kStart + "\n\n" + kInner, "400"},
      {"a bare carriage return", with("A: b\rTransfer-Encoding: chunked"), "400"},
      {"a null in a value", with(std::string("A: b\0c", 6)), "400"},
      {"a null in a name", with(std::string("A\0: b", 5)), "400"},
      {"no host", "GET /runs HTTP/1.1\r\n\r\n" + kInner, "400"},
      {"two hosts", with("Host: localhost"), "400"},
      {"a target with a blank", "GET /runs x HTTP/1.1\r\nHost: localhost\r\n\r\n" + kInner, "400"},
      {"a version that isn't", "GET /runs HTTP/1.2\r\nHost: localhost\r\n\r\n" + kInner, "400"},
      {"a chunk with a sign", kChunked + "+0\r\n\r\n" + kInner, "400"},
      {"a chunk with 0x", kChunked + "0x0\r\n\r\n" + kInner, "400"},
      {"a chunk behind a blank", kChunked + " 0\r\n\r\n" + kInner, "400"},
      {"a chunk of 2^64 bytes", kChunked + "10000000000000000\r\n" + kInner, "400"},
      {"a chunk of 2^64 - 1 bytes", kChunked + "ffffffffffffffff\r\n" + kInner, "413"},
      {"a chunk that ends in a bare line feed", kChunked + "0\n\n" + kInner, "400"},
      {"a chunk that is longer than it says", kChunked + "1\r\n12\r\n" + zero, "400"},
      {"a chunk that is shorter than it says", kChunked + "8\r\n1\r\n" + zero, "400"},
      {"an encoding among the trailers", kChunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n" + zero, "400"},
      {"a length among the trailers", kChunked + "0\r\nContent-Length: 5\r\n\r\n" + kInner, "400"},
  };
}

TEST(Hostile, SmuggledRequestsArentRun) {
  Besieged server;
  const std::vector<Attack> all = attacks();
  server.withstand(4, [&] {
    for (const Attack& attack : all)
      EXPECT_EQ(statuses(answers_to(server.port(), attack.bytes)), attack.statuses) << attack.what;
    EXPECT_EQ(server.statistics()["routes"]["nap"]["requests"].as_int64(), 0);
  });
}

TEST(Hostile, ASmuggledRequestWouldHaveBeenSeen) {
  TrainingServer server({"--model", "line", "--size", "4"});
  EXPECT_EQ(statuses(answers_to(server.port(), "GET /runs HTTP/1.1\r\nHost: localhost\r\n\r\n" + kInner)), "200 200");
  EXPECT_EQ(statuses(answers_to(server.port(), kChunked + "0\r\n\r\n" + kInner)), "200 200");
}

}  // namespace
}  // namespace sm::e2e
