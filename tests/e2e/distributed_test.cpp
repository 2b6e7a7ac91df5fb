#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "e2e/process.hpp"
#include "shumai/shumai.hpp"

namespace sm::e2e {
namespace {

struct Server {
  explicit Server(std::vector<std::string> argv) : process(std::move(argv)) {
    const std::string line = process.wait_for_line("^serving on http");
    url = line.substr(line.find("http"));
  }
  Process process;
  std::string url;
};

// b(a(x)) = m x + b over three servers.
struct Servers {
  Server a{{binary("distributed_a"), "--port", "0"}};
  Server b{{binary("distributed_b"), "--port", "0"}};
  Server composed{{binary("distributed_composed"), a.url, b.url, "--port", "0"}};

  Process client(int steps) const {
    return Process({binary("distributed_data"), composed.url, "--steps", std::to_string(steps)});
  }
  double at(double x) const { return run(io::remote_model(composed.url)(scalar(x))).item<double>(); }
};

void expect_learned(Process& client) {
  ASSERT_EQ(client.wait(), 0) << client.output();
  double m = 0, b = 0;
  const std::string line = client.wait_for_line("^learned ");
  ASSERT_EQ(std::sscanf(line.c_str(), "learned m %lf, b %lf", &m, &b), 2) << line;
  EXPECT_NEAR(m, 4, 0.04);
  EXPECT_NEAR(b, -7, 0.07);
}

TEST(Distributed, ThreeClientsAtOnceLearnTheModelOverThreeServers) {
  const Servers servers;
  Process first = servers.client(200), second = servers.client(200), third = servers.client(200);
  for (Process* client : {&first, &second, &third}) expect_learned(*client);
}

TEST(Distributed, KillingOneClientDisturbsNobody) {
  Servers servers;
  Process victim = servers.client(1'000'000'000);
  Process first = servers.client(2000), second = servers.client(2000);
  ASSERT_TRUE(poll_until([&] { return servers.at(0) < -1; })) << victim.output();
  ASSERT_TRUE(victim.running() && first.running() && second.running());
  victim.kill(SIGKILL);
  EXPECT_EQ(victim.wait(), 128 + SIGKILL);
  expect_learned(first);
  expect_learned(second);
  for (Server* server : {&servers.composed, &servers.b, &servers.a}) {
    server->process.kill(SIGTERM);
    EXPECT_EQ(server->process.wait(), 0) << server->process.output();
  }
}

}  // namespace
}  // namespace sm::e2e
