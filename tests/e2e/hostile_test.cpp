#include "e2e/hostile.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>

#include "codec/safetensors.hpp"

namespace sm::e2e {
namespace {

using io::testing::HeaderList;
using io::testing::send;

std::string post(const std::string& route, const std::string& fields, const std::string& body = "") {
  return "POST " + route + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n" + body;
}

// --- Slow clients ---

// Connections that send one byte each now and then, until they are answered.
class Drip {
 public:
  // Connection i sends starts[i % starts.size()] first.
  Drip(uint16_t port, int connections, const std::vector<std::string>& starts) {
    for (int i = 0; i < connections; ++i) {
      sockets_.push_back(Socket::connect(port));
      if (!sockets_.back()) throw std::runtime_error("drip: connection " + std::to_string(i) + " was refused");
      sockets_.back()->send(starts[static_cast<size_t>(i) % starts.size()]);
    }
  }

  // The statuses of all answers, and how often each came.
  std::map<std::string, int> run() {
    std::map<std::string, int> out;
    std::vector<pollfd> open;
    for (const auto& socket : sockets_) open.push_back({socket->fd(), POLLIN, 0});
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!open.empty() && std::chrono::steady_clock::now() < deadline) {
      for (const pollfd& each : open) (void)::send(each.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      const auto next = std::chrono::steady_clock::now() + 100ms;
      std::this_thread::sleep_until(next);
      if (::poll(open.data(), open.size(), 0) <= 0) continue;
      std::erase_if(open, [&](const pollfd& each) {
        if (!each.revents) return false;
        char bytes[2048];
        const ssize_t got = ::recv(each.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        ++out[got > 0 ? statuses({bytes, static_cast<size_t>(got)}) : "none"];
        return true;
      });
    }
    if (!open.empty()) out["still open"] = static_cast<int>(open.size());
    sockets_.clear();
    return out;
  }

 private:
  std::vector<std::shared_ptr<Socket>> sockets_;
};

TEST(Hostile, AThousandConnectionsThatDripAreCutOff) {
  Besieged server;
  const int connections = amount(1000);
  const std::map<std::string, int> all_cut_off{{"408", connections}};
  // In the header, and in a body: of known length, and in chunks.
  const std::vector<std::string> starts = {
      "POST /forward HTTP/1.1\r\nHost: localhost\r\nSlow: ", post("/forward", "Content-Length: 1000000\r\n"),
      post("/forward", "Transfer-Encoding: chunked\r\n", "100000\r\n")};
  server.withstand(2, [&] { EXPECT_EQ(Drip(server.port(), connections, starts).run(), all_cut_off); });
}

TEST(Hostile, AnnouncedGigabytesCostNoMemory) {
  Besieged server;
  const int connections = amount(500);
  server.withstand(2, [&] {
    // As much as is accepted, of which a byte comes.
    Drip drip(server.port(), connections, {post("/forward", "Content-Length: 1073741824\r\n", "x")});
    EXPECT_LT(server.resident(), 500'000) << "kB";
    EXPECT_EQ(drip.run(), (std::map<std::string, int>{{"408", connections}}));
  });
}

// --- Too much ---

struct Excess {
  const char* what;
  std::string bytes;
  const char* statuses;
};

std::string deep(int levels, char open, const std::string& before = "") {
  std::string body = before;
  for (int i = 0; i < levels; ++i) body += open == '[' ? "[" : "{\"a\":";
  return body;
}

std::string json_to(const std::string& route, const std::string& body) {
  return post(
      route,
      "Content-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
      body);
}

std::vector<Excess> excesses() {
  const std::string chunked = post("/forward", "Transfer-Encoding: chunked\r\n");
  const std::string megabyte(1 << 20, 'x');
  std::string many_fields, many_chunks = chunked;
  for (int i = 0; i < 10'000; ++i) many_fields += "a: b\r\n";
  for (int i = 0; i < 10'000; ++i) many_chunks += "1;" + std::string(100, 'e') + "\r\n[\r\n";
  return {
      {"10 GB announced", post("/forward", "Content-Length: 10000000000\r\n", "x"), "413"},
      {"10 GB announced, and a question first",
       post("/forward", "Content-Length: 10000000000\r\nExpect: 100-continue\r\n"), "413"},
      {"2^63 announced", post("/forward", "Content-Length: 9223372036854775808\r\n"), "413"},
      {"a header of 1 MB", post("/forward", "Long: " + megabyte + "\r\n"), "431"},
      {"a name of 1 MB", post("/forward", megabyte + ": x\r\n"), "431"},
      {"a target of 1 MB", "GET /" + megabyte + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
      {"a first line that doesn't end", megabyte, "431"},
      {"ten thousand fields", post("/forward", many_fields), "431"},
      {"trailers without end", chunked + "0\r\n" + many_fields, "431"},
      {"one trailer without end", chunked + "0\r\nT: " + megabyte, "431"},
      {"an extension of a chunk without end", chunked + "1;" + megabyte, "431"},
      {"a chunk of 10 GB", chunked + "2540be400\r\nx", "413"},
      {"ten thousand chunks of a byte, cut", many_chunks, ""},
      {"arrays 100,000 deep", json_to("/forward", deep(100'000, '[')), "400"},
      {"objects 100,000 deep", json_to("/forward", deep(100'000, '{')), "400"},
      {"arrays 100,000 deep as an inference", json_to("/v2/models/model/infer", deep(100'000, '[')), "413"},
      {"objects 100,000 deep as an inference",
       json_to("/v2/models/model/infer", deep(100'000, '{', R"({"parameters":)")), "413"},
      {"data 100,000 deep as an inference",
       json_to("/v2/models/model/infer",
               deep(100'000, '[', R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":)")),
       "400"},
      {"a number of a million digits", json_to("/forward", std::string(1'000'000, '9')), "400"},
      {"a header of another file",
       json_to("/forward",
               "\x7f"
               "ELF"),
       "400"},
  };
}

TEST(Hostile, WhatIsTooMuchIsRefused) {
  Besieged server;
  const std::vector<Excess> all = excesses();
  server.withstand(4, [&] {
    for (const Excess& attack : all)
      EXPECT_EQ(statuses(answers_to(server.port(), attack.bytes)), attack.statuses) << attack.what;
  });
}

// --- Files that lie ---

std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}
std::string file(const std::string& header, const std::string& data = "") {
  return with_length(header.size(), header + data);
}
// A file whose only tensor has these members.
std::string tensor_file(const std::string& dtype, const std::string& shape, const std::string& offsets,
                        const std::string& data = "12345678") {
  return file(R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}", data);
}
std::string two(const std::string& first, const std::string& second, const std::string& data = "12345678") {
  const std::string start = R"({"dtype":"F32","shape":[1],"data_offsets":)";
  return file(R"({"a":)" + start + first + R"(},"b":)" + start + second + "}}", data);
}

struct Lie {
  const char* what;
  std::string body;
  int status;
};

std::vector<Lie> lengths_that_lie() {
  const std::string header = R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})";
  return {
      {"nothing but a length", with_length(8, ""), 400},
      {"less than a length", "1234567", 400},
      {"a length of 0", with_length(0, header + "12345678"), 400},
      {"a length of one less", with_length(header.size() - 1, header + "12345678"), 400},
      {"a length of one more", with_length(header.size() + 1, header + "12345678"), 400},
      {"a length up to the end", with_length(header.size() + 8, header + "12345678"), 400},
      {"a length beyond the end", with_length(header.size() + 9, header + "12345678"), 400},
      {"a length of 2^32", with_length(uint64_t{1} << 32, header + "12345678"), 413},
      {"a length of 2^63", with_length(uint64_t{1} << 63, header + "12345678"), 413},
      {"a length of 2^64 - 1", with_length(UINT64_MAX, header + "12345678"), 413},
      {"a length of 2^64 - 8", with_length(UINT64_MAX - 7, header + "12345678"), 413},
      {"data that is missing", file(header), 400},
      {"data that is cut", file(header, "1234567"), 400},
      {"data that is too long", file(header, "123456789"), 400},
  };
}

std::vector<Lie> tensors_that_lie() {
  const std::string max = "9223372036854775807", beyond = "18446744073709551616";
  return {
      {"an end before the begin", tensor_file(R"("F64")", "[1]", "[8,0]"), 400},
      {"an end beyond the data", tensor_file(R"("F64")", "[2]", "[0,16]"), 400},
      {"an end of 2^63 - 1", tensor_file(R"("F64")", "[1]", "[0," + max + "]"), 400},
      {"a begin of 2^63 - 1", tensor_file(R"("F64")", "[1]", "[" + max + "," + max + "]"), 400},
      {"an end of 2^64", tensor_file(R"("F64")", "[1]", "[0," + beyond + "]"), 400},
      {"a negative begin", tensor_file(R"("F64")", "[1]", "[-8,0]"), 400},
      {"a begin with a fraction", tensor_file(R"("F64")", "[1]", "[0.5,8]"), 400},
      {"one offset", tensor_file(R"("F64")", "[1]", "[8]"), 400},
      {"three offsets", tensor_file(R"("F64")", "[1]", "[0,8,8]"), 400},
      {"offsets as text", tensor_file(R"("F64")", "[1]", R"(["0","8"])"), 400},
      {"more elements than bytes", tensor_file(R"("F64")", "[2]", "[0,8]"), 400},
      {"fewer elements than bytes", tensor_file(R"("F32")", "[1]", "[0,8]"), 400},
      {"a shape whose product overflows", tensor_file(R"("F64")", "[4294967296,4294967296,4]", "[0,8]"), 400},
      {"a shape whose product wraps to what is there", tensor_file(R"("U8")", "[" + max + ",2,4]", "[0,8]"), 400},
      {"a shape whose bytes overflow", tensor_file(R"("F64")", "[2305843009213693953]", "[0,8]"), 400},
      {"an overflow behind a zero", tensor_file(R"("F64")", "[0," + max + "," + max + "]", "[0,0]", ""), 400},
      {"a negative size", tensor_file(R"("F64")", "[-1]", "[0,8]"), 400},
      {"two negative sizes", tensor_file(R"("F64")", "[-1,-1]", "[0,8]"), 400},
      {"a size of 2^64", tensor_file(R"("F64")", "[" + beyond + "]", "[0,8]"), 400},
      {"a size with a fraction", tensor_file(R"("F64")", "[1.5]", "[0,8]"), 400},
      {"65 dimensions",
       tensor_file(R"("F64")",
                   "[1" + deep(0, '[') +
                       [] {
                         std::string ones;
                         for (int i = 0; i < 64; ++i) ones += ",1";
                         return ones;
                       }() +
                       "]",
                   "[0,8]"),
       400},
      {"a shape that is a number", tensor_file(R"("F64")", "1", "[0,8]"), 400},
      {"a dtype that isn't", tensor_file(R"("F128")", "[1]", "[0,8]"), 400},
      {"a dtype that is a number", tensor_file("64", "[1]", "[0,8]"), 400},
      {"a bool of 2", tensor_file(R"("BOOL")", "[8]", "[0,8]", "\x01\x01\x02\x01\x01\x01\x01\x01"), 400},
      {"an overlap", two("[0,4]", "[2,6]"), 400},
      {"the same bytes twice", two("[0,4]", "[0,4]", "1234"), 400},
      {"a gap", two("[0,4]", "[5,9]", "123456789"), 400},
      {"a gap at the begin", two("[1,5]", "[5,9]", "123456789"), 400},
      {"a gap at the end", two("[0,4]", "[4,8]", "123456789"), 400},
      {"one name twice",
       file(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
            R"("x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})",
            "12345678"),
       400},
      {"metadata that is no text", file(R"({"__metadata__":{"a":1}})"), 400},
      {"a header that is a list", file("[]"), 400},
      {"a header that isn't JSON", file("{\"x\""), 400},
      {"a header that isn't UTF-8", file("{\"\xff\":{}}"), 400},
      {"a header 100,000 deep", file(deep(100'000, '{')), 413},
      {"more tensors than are accepted",
       [] {
         std::string header = "{";
         for (int i = 0; i < 10'001; ++i)
           header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
         return file(header + "}");
       }(),
       413},
  };
}

TEST(Hostile, SafetensorsThatLieAreRefused) {
  Besieged server;
  std::vector<Lie> all = lengths_that_lie();
  for (Lie& lie : tensors_that_lie()) all.push_back(std::move(lie));
  server.withstand(4, [&] {
    for (const Lie& lie : all) {
      const http::Response answer =
          send(server.url() + "/forward", "POST", lie.body, {{"Content-Type", "application/x-safetensors"}});
      EXPECT_EQ(answer.status, lie.status) << lie.what << ": " << io::testing::text(answer);
    }
  });
}

}  // namespace
}  // namespace sm::e2e
