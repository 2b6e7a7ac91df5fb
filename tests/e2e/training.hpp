#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "e2e/process.hpp"
#include "serve/testing.hpp"
#include "shumai/shumai.hpp"
#include "util/block_cache.hpp"
#include "util/log.hpp"

// What the end-to-end tests of training share: a server process that can be
// killed and started again, clients whose every step is counted, seeds.
namespace sm::e2e {

using io::testing::fast_place;

// Under the sanitizers, and nowhere else, no block is kept.
inline constexpr bool kSanitized = !util::blocks::kKeepsAny;

// How much of something to do: `full`, a tenth of it when the build is sanitized.
inline int amount(int full) { return kSanitized ? std::max(1, full / 10) : full; }

// The seed of a random test: SHUMAI_TEST_SEED, or another one in every run. Printed, and part of every failure.
class Seed {
 public:
  Seed() : value_(std::random_device{}()) {
    if (const char* given = std::getenv("SHUMAI_TEST_SEED")) value_ = static_cast<uint32_t>(std::atoll(given));
    std::printf("seed: SHUMAI_TEST_SEED=%u\n", value_);
    trace_.emplace(__FILE__, __LINE__, "SHUMAI_TEST_SEED=" + std::to_string(value_));
  }
  uint32_t value() const { return value_; }
  std::mt19937 engine() const { return std::mt19937(value_); }

 private:
  uint32_t value_;
  std::optional<::testing::ScopedTrace> trace_;
};

inline int between(std::mt19937& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// programs/training_server.cpp as a process, on the same port each time it is started.
class TrainingServer {
 public:
  explicit TrainingServer(std::vector<std::string> options) : options_(std::move(options)) {
    start();
    const std::string line = wait_until_serving();
    url_ = line.substr(line.find("http"));
    options_.insert(options_.end(), {"--port", url_.substr(url_.rfind(':') + 1)});
  }

  void start() {
    std::vector<std::string> argv{binary("training_server")};
    argv.insert(argv.end(), options_.begin(), options_.end());
    process_ = std::make_unique<Process>(std::move(argv));
  }
  std::string wait_until_serving() { return process_->wait_for_line("^serving on http"); }
  void kill() {
    process_->kill(SIGKILL);
    process_->wait();
  }
  // SIGTERM; the exit status.
  int stop() {
    process_->kill(SIGTERM);
    return process_->wait();
  }
  void restart() {
    start();
    wait_until_serving();
  }

  Process& process() { return *process_; }
  const std::string& url() const { return url_; }
  uint16_t port() const { return static_cast<uint16_t>(std::stoul(url_.substr(url_.rfind(':') + 1))); }
  pid_t pid() const { return process_->pid(); }
  // Memory in kilobytes.
  double resident() const {
    std::ifstream status("/proc/" + std::to_string(pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
    throw std::runtime_error("no VmRSS of the server");
  }
  Json statistics() const { return Json::parse(io::testing::text(io::testing::send(url_ + "/statistics"))); }

 private:
  std::vector<std::string> options_;
  std::unique_ptr<Process> process_;
  std::string url_;
};

// Runs clients on a thread of their own until they end; join() gives what they threw, or nothing. They
// don't say that they try again, which is what they are here for.
class Clients {
 public:
  explicit Clients(std::function<Task<>()> work)
      : thread_([this, work = std::move(work)] {
          util::set_log_level("error");
          try {
            run(work());
          } catch (const std::exception& error) {
            failure_ = error.what();
          }
          ended_ = true;
        }) {}
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients() {
    if (thread_.joinable()) thread_.join();
    util::set_log_level("warn");
  }
  bool ended() const { return ended_; }
  std::string join() {
    thread_.join();
    return failure_;
  }

 private:
  std::atomic<bool> ended_{false};
  std::string failure_;
  std::thread thread_;
};

// Steps of the model "count", each on an index of its own.
struct Tally {
  explicit Tally(int the_slots) : slots(the_slots) {}
  const int slots;
  std::atomic<int> next{0};
  std::atomic<int> done{0};
  std::atomic<bool> enough{false};
};

inline Task<> count_steps(std::string url, Tally& tally, io::RemoteModelOptions options = {}) {
  const io::RemoteModel model = io::remote_model(url, options);
  while (!tally.enough) {
    const int index = tally.next++;
    if (index >= tally.slots) break;
    const Tensor at = tensor<int64_t>({index});
    const Tensor y = co_await model(at);
    co_await sum(y).backward_async();
    ++tally.done;
  }
}

inline Task<> count_steps_together(std::string url, Tally& tally, int clients, io::RemoteModelOptions options = {}) {
  std::vector<Task<>> all;
  for (int i = 0; i < clients; ++i) all.push_back(count_steps(url, tally, options));
  co_await util::all(std::move(all));
}

inline std::vector<double> weights_of(const std::string& url) {
  return run(io::tfetch(url + "/weights")).to_vector<double>();
}

// Every step that a client was told of happened once, and no other did.
inline void expect_counted_once(const std::string& url, const Tally& tally) {
  const int steps = std::min(tally.next.load(), tally.slots);
  EXPECT_EQ(tally.done, steps) << "steps that were begun and acknowledged";
  const std::vector<double> counts = weights_of(url);
  ASSERT_EQ(counts.size(), static_cast<size_t>(tally.slots));
  int wrong = 0;
  for (int i = 0; i < tally.slots && wrong < 10; ++i) {
    const double expected = i < steps ? 1 : 0;
    if (counts[static_cast<size_t>(i)] == expected) continue;
    ++wrong;
    ADD_FAILURE() << "step " << i << " of " << steps << " was acknowledged " << expected << " times and counts "
                  << counts[static_cast<size_t>(i)];
  }
}

}  // namespace sm::e2e
