// Clients for tools/replicas: trains what training_server serves, and says at its end how that went.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"

namespace {

using namespace sm;
using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "training_client URL [--model count|scale] [--clients N] [--seconds N] [--first N] [--pause MS]";

std::atomic<bool> stopped{false};

struct Training {
  io::RemoteModel model;
  bool counts;
  std::chrono::milliseconds pause;
  Clock::time_point end;
  int64_t next = 0;
  int64_t steps = 0;
  double longest = 0;  // step, in seconds
  double loss = 0;
};

Task<> train(Training& training) {
  while (!stopped && Clock::now() < training.end) {
    const auto begin = Clock::now();
    if (training.counts) {
      const Tensor index = tensor<int64_t>({training.next++});
      const Tensor y = co_await training.model(index);
      co_await sum(y).backward_async();
    } else {
      const Tensor x = tensor({1.0, -2.0, 0.5});
      const Tensor y = co_await training.model(x);
      const Tensor error = loss::mse(y, x * 3.0);
      training.loss = error.detach().item<double>();
      co_await error.backward_async();
    }
    ++training.steps;
    training.longest = std::max(training.longest, std::chrono::duration<double>(Clock::now() - begin).count());
    if (training.pause.count() > 0) co_await util::sleep(training.pause);
  }
}

Task<> train_all(Training& training, int64_t clients) {
  std::vector<Task<>> all;
  for (int64_t i = 0; i < clients; ++i) all.push_back(train(training));
  co_await util::all(std::move(all));
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, kUsage, 1);
  std::signal(SIGTERM, [](int) { stopped = true; });
  Training training{io::remote_model(arguments.positional(0)),
                    arguments.choice("--model", {"count", "scale"}) == "count",
                    std::chrono::milliseconds(arguments.number("--pause", 0, 0, 60'000)),
                    Clock::now() + std::chrono::seconds(arguments.number("--seconds", 86'400, 1, 86'400)),
                    arguments.number("--first", 0, 0, INT64_MAX)};
  std::string failure;
  try {
    run(train_all(training, arguments.number("--clients", 1, 1, 1000)));
  } catch (const std::exception& error) {
    failure = error.what();
  }
  Json said = Json::object(
      {{"steps", training.steps}, {"longest_seconds", training.longest}, {"loss", training.loss}, {"error", failure}});
  fmt::print("{}\n", said.dump());
  return failure.empty() ? 0 : 1;
}
