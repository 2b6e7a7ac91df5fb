#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "e2e/process.hpp"

namespace sm::e2e {
namespace {

// Starts the seed's server on a free port; the URL is what it prints.
struct SeedServer {
  Process process{{binary("seed_server"), "0"}};
  std::string url = url_in(process.wait_for_line("serving on http"));

  static std::string url_in(const std::string& line) { return line.substr(line.find("http")); }
};

// "loss 2.5 -> 0.0003" as a ratio.
double improvement(const std::string& line) {
  double first = 0, last = 0;
  EXPECT_EQ(std::sscanf(line.c_str(), "loss %lf -> %lf", &first, &last), 2) << line;
  return first / last;
}

TEST(Seed, ItsClientLearnsAThousandfoldInTwoHundredSteps) {
  SeedServer server;
  Process client({binary("seed_client"), server.url});
  EXPECT_EQ(client.wait(), 0) << client.output();
  EXPECT_GE(improvement(client.wait_for_line("^loss ")), 1000);
}

TEST(Seed, TheStatefulClientLearnsAsWell) {
  SeedServer server;
  Process client({binary("seed_client_stateful"), server.url});
  EXPECT_EQ(client.wait(), 0) << client.output();
  EXPECT_GE(improvement(client.wait_for_line("^loss ")), 1000);
}

TEST(Seed, CurlGetsJson) {
  SeedServer server;
  Process curl(
      {"/usr/bin/curl", "-sS", "-d", "[[1,2],[3,4]]", "-H", "content-type: application/json", server.url + "/forward"});
  EXPECT_EQ(curl.wait(), 0);
  EXPECT_NE(curl.output().find("[[1.718,3.436],[5.1540003,6.872]]"), std::string::npos) << curl.output();
}

// Whether the process catches SIGTERM by now, from the kernel's own books.
bool catches_sigterm(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigCgt:")) return std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1;
  return false;
}

TEST(Seed, TheServerEndsQuietlyWhenAsked) {
  SeedServer server;
  // It listens, and says so, a moment before it waits for signals.
  ASSERT_TRUE(poll_until([&] { return catches_sigterm(server.process.pid()); }));
  server.process.kill(SIGTERM);
  EXPECT_EQ(server.process.wait(), 0) << server.process.output();
}

}  // namespace
}  // namespace sm::e2e
