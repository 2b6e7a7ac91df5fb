#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "e2e/proxy.hpp"
#include "e2e/training.hpp"
#include "serve/content.hpp"

// Clients that ask for a forward and are never seen again.
namespace sm::e2e {
namespace {

constexpr int kElements = 1024;
constexpr int kWindows = 8;

std::string forward_request() {
  const io::Encoded body = io::encode_content(ones({kElements}), {io::Form()});
  std::string bytes;
  for (const util::Slice& slice : body.body) bytes.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return "POST /forward HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-safetensors\r\nContent-Length: " +
         std::to_string(bytes.size()) + "\r\n\r\n" + bytes;
}

// Half of them read their answer first.
void vanish(uint16_t port, const std::string& request, int clients) {
  for (int i = 0; i < clients; ++i) {
    const auto socket = Socket::connect(port);
    ASSERT_TRUE(socket && socket->send(request)) << "client " << i << " can't reach the server";
    if (i % 2 == 0) continue;
    std::string pending;
    ASSERT_NE(socket->receive(pending), "") << "client " << i << " got no answer";
  }
}

Task<> train(std::string url, std::atomic<bool>& enough, std::atomic<int>& steps) {
  const io::RemoteModel model = io::remote_model(url);
  const Tensor x = ones({kElements});
  while (!enough) {
    const Tensor y = co_await model(x);
    co_await sum(y).backward_async();
    ++steps;
  }
}

struct Memory {
  double kilobytes = 0;
  int64_t tensors = 0;
};

// When all that was left behind has expired.
Memory settled(const TrainingServer& server) {
  Json last;
  EXPECT_TRUE(poll_until([&] {
    last = server.statistics();
    return last["tickets"]["live"].as_int64() == 0 && last["sessions"].as_int64() == 0 &&
           last["tickets"]["remembered"].as_int64() == 0 && last["connections"].as_int64() <= 1;
  })) << last.dump(2);
  EXPECT_EQ(last["tickets"]["bytes"].as_int64(), 0);
  return {server.resident(), last["tensor_bytes"].as_int64()};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Steps a second while `clients` come and go, evenly over a second at least, and with nobody else.
std::pair<double, double> throughput(uint16_t port, const std::string& request, int clients,
                                     const std::atomic<int>& steps) {
  using Clock = std::chrono::steady_clock;
  const auto rate = [&](const std::function<void()>& meanwhile) {
    const int before = steps;
    const auto begin = Clock::now();
    meanwhile();
    return (steps - before) / std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const double busy = rate([&] {
    const auto begin = Clock::now();
    for (int part = 1; part <= 125; ++part) {
      vanish(port, request, clients / 125);
      std::this_thread::sleep_until(begin + 8ms * part);
    }
  });
  const double quiet = rate([] { std::this_thread::sleep_for(250ms); });
  return {busy, quiet};
}

struct Load {
  std::vector<double> busy, quiet;  // steps a second
  int64_t most_held = 0;            // bytes, by graphs
};

// A live client trains while `clients` others come and go in each of some windows.
Load load(const TrainingServer& server, int windows, int clients) {
  Load out;
  const std::string request = forward_request();
  std::atomic<bool> enough{false};
  std::atomic<int> steps{0};
  Clients live([&] { return train(server.url(), enough, steps); });
  for (int window = 0; window < windows; ++window) {
    const auto [busy, quiet] = throughput(server.port(), request, clients, steps);
    out.busy.push_back(busy);
    out.quiet.push_back(quiet);
    out.most_held = std::max(out.most_held, server.statistics()["tickets"]["bytes"].as_int64());
  }
  enough = true;
  EXPECT_EQ(live.join(), "") << "the live client saw an error";
  return out;
}

TEST(Vanish, TenThousandClientsLeaveNothingAndHoldUpNobody) {
  const int clients = amount(10'000);
  TrainingServer server({"--model", "heavy", "--size", std::to_string(kElements), "--lifetime", "1000"});
  const std::string request = forward_request();
  const double cold = server.resident();
  // All at once, which fills the pools that allocators keep for later. What isn't given back below is then of
  // the clients; small leaks may hide in the pools, large ones would be tensors, tickets, sessions or connections.
  vanish(server.port(), request, clients);
  const Memory before = settled(server);
  const Load measured = load(server, kWindows, clients / kWindows);
  const double most = server.resident();
  const Memory after = settled(server);
  const double busy = median(measured.busy), quiet = median(measured.quiet);
  std::printf("resident kB: %.0f cold, %.0f before, %.0f at the end of the load, %.0f after\n", cold, before.kilobytes,
              most, after.kilobytes);
  std::printf("%.0f steps/s among %d vanishing clients/s, %.0f alone\n", busy, clients / kWindows, quiet);
  // The allocators of the sanitizers keep freed memory aside.
  if (!kSanitized) {
    EXPECT_LE(after.kilobytes, before.kilobytes * 1.05) << "resident kB, before " << before.kilobytes;
  }
  EXPECT_LE(after.tensors, before.tensors * 1.05) << "bytes of tensors, before " << before.tensors;
  EXPECT_GT(measured.most_held, 100'000) << "the clients left nothing that had to be freed";
  EXPECT_GT(busy, quiet / 2) << "steps a second";
}

}  // namespace
}  // namespace sm::e2e
