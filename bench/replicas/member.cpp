// bench_replica PLACE ID BYTES MEMBERS: one member of a group, for bench/scale. It has BYTES of weights and prints what
// happens as lines of JSON, with the seconds of the clock that all processes of the machine share. It reads commands:
//   passes N   what a member does with its weights in an average, N times, without the others
//   busy N     N averages, each due when the one before has ended
//   ask N      N averages that this member alone asks for, at N moments between the group's ticks: the mean
//   end
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <numeric>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "replicate/average.hpp"
#include "replicate/replica.hpp"
#include "shumai/shumai.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

void say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// A thread that has the weights, as a server's handlers have.
class Place {
 public:
  Place() : thread_([this] { run(); }) {}
  ~Place() {
    post(nullptr);
    thread_.join();
  }
  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !work_.empty(); });
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      if (!work) return;
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  std::thread thread_;
};

class Member {
 public:
  Member(const std::string& place, const std::string& id, int64_t bytes, size_t members) : members_(members) {
    sm::manual_seed(1);
    weights_ = {{"w", (sm::randn({bytes / 4}) * 0.02f).requires_grad(true)}};
    sm::replicate::Options options;
    options.rendezvous = place;
    options.group = "scale";
    options.id = id;
    options.address = "127.0.0.1";
    options.every = 1;
    options.timeout = std::chrono::seconds(20);
    sm::replicate::Owner owner;
    owner.weights = weights_;
    owner.run = [this](std::function<void()> work) { work_.post(std::move(work)); };
    owner.moved = [] {};
    replica_ = std::make_shared<sm::replicate::Replica>(options, owner, std::nullopt, 0);
    replica_->on_average([this] {
      {
        const std::lock_guard lock(mutex_);
        ends_.push_back(now());
        if (left_ > 0 && --left_ > 0) work_.post([this] { replica_->updated(); });
      }
      changed_.notify_all();
    });
    replica_->start();
    watcher_ = std::thread([this] { watch(); });
  }

  ~Member() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    watcher_.join();
    replica_->stop(Clock::now() + std::chrono::seconds(5));
  }

  void passes(int count) {
    const sm::replicate::Layout layout(weights_);
    const std::vector<sm::Tensor> values = layout.select(weights_);
    const sm::replicate::Outer outer;
    sm::Tensor base = layout.flatten(values), velocity = sm::replicate::zeros_like(base);
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      const double began = now();
      const sm::Tensor away = sm::replicate::zeros_like(base);
      const sm::Tensor mine = sm::replicate::difference(base, layout.flatten(values));
      const double squares = sm::replicate::squared_norm(mine) + sm::replicate::squared_norm(base);
      const auto result = outer.step(layout, base, velocity, away, 1);
      const sm::Tensor step = sm::replicate::difference(result.base, layout.flatten(values));
      times.push_back(squares < 0 || !step.defined() ? 0 : now() - began);
    }
    say(fmt::format(R"({{"passes": {:.9f}}})", median(times)));
  }

  void busy(int count) {
    {
      const std::lock_guard lock(mutex_);
      left_ = count;
      ends_.clear();
    }
    work_.post([this] { replica_->updated(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return left_ == 0; });
    std::vector<double> times;
    for (size_t i = 1; i < ends_.size(); ++i) times.push_back(ends_[i] - ends_[i - 1]);
    say(fmt::format(R"({{"busy": {:.9f}}})", median(times)));
  }

  void ask(int count) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(60'000 + 50'000 * i / count));
      const double began = now();
      {
        const std::lock_guard lock(mutex_);
        left_ = 1;
      }
      work_.post([this] { replica_->updated(); });
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return left_ == 0; });
      times.push_back(ends_.back() - began);
    }
    say(fmt::format(R"({{"ask": {:.9f}}})", std::accumulate(times.begin(), times.end(), 0.0) / count));
  }

 private:
  static double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
  }

  // Says when the group has another forming.
  void watch() {
    uint64_t forming = 0;
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
      }
      const sm::replicate::Replica::Status status = replica_->status();
      if (status.forming != forming && !status.members.empty()) {
        forming = status.forming;
        say(fmt::format(R"({{"forming": {}, "members": {}, "at": {:.6f}}})", forming, status.members.size(), now()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(status.members.size() == members_ ? 5 : 1));
    }
  }

  const size_t members_;
  sm::Tensors weights_;
  Place work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_ = 0;              // guarded by mutex_
  std::vector<double> ends_;  // of averages; guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
  std::shared_ptr<sm::replicate::Replica> replica_;
  std::thread watcher_;
};

}  // namespace

int main(int count, char** values) {
  if (count != 5) {
    fmt::print(stderr, "usage: bench_replica PLACE ID BYTES MEMBERS\n");
    return 2;
  }
  try {
    Member member(values[1], values[2], std::stoll(values[3]), std::stoul(values[4]));
    std::string line;
    while (std::getline(std::cin, line)) {
      std::istringstream words(line);
      std::string command;
      int times = 0;
      words >> command >> times;
      if (command == "passes") member.passes(times);
      if (command == "busy") member.busy(times);
      if (command == "ask") member.ask(times);
      if (command == "end") break;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_replica: {}\n", error.what());
    return 1;
  }
  return 0;
}
