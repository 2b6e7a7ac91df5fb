#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "replicate/replica.hpp"
#include "shumai/shumai.hpp"
#include "util/testing.hpp"

// What the tests of this layer share.
namespace sm::replicate::testing {

using namespace std::chrono_literals;

// Generous: a test that passes never waits this long.
inline constexpr std::chrono::seconds kPatience{60};

template <class F>
bool poll_until(F done, std::chrono::milliseconds patience = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// A thread that has the weights, as a server's handlers have.
class Place {
 public:
  Place() : thread_([this] { run(); }) {}
  ~Place() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_all();
  }
  // Waits for the end of `work` there.
  void call(const std::function<void()>& work) {
    std::mutex mutex;
    std::condition_variable done;
    bool ended = false;
    post([&] {
      work();
      const std::lock_guard lock(mutex);
      ended = true;
      done.notify_all();
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return ended; });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !work_.empty(); });
      if (work_.empty()) return;
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool ending_ = false;
  std::thread thread_;
};

// A replica whose weights a test moves by hand.
class Learner {
 public:
  Learner(const std::string& folder, const std::string& id, Tensors weights,
          const std::function<void(Options&)>& change = {}, std::optional<Agreed> agreed = {})
      : weights_(std::move(weights)) {
    Options options;
    options.rendezvous = folder;
    options.group = "test";
    options.id = id;
    options.address = "127.0.0.1";
    options.every = 1;
    options.outer = {1, 0};
    if (change) change(options);
    Owner owner;
    owner.weights = weights_;
    owner.run = [this](std::function<void()> work) { place_.post(std::move(work)); };
    owner.moved = [this] { ++moves_; };
    replica_ = std::make_shared<Replica>(options, owner, std::move(agreed), 0);
    replica_->start();
  }
  ~Learner() {
    stop();
    // Work that was posted knows the replica.
    place_.call([] {});
  }

  Replica& operator*() const { return *replica_; }
  Replica* operator->() const { return replica_.get(); }

  void stop() { replica_->stop(std::chrono::steady_clock::now() + 10s); }
  // One update that adds `step` to every weight.
  uint64_t learn(float step) {
    uint64_t number = 0;
    place_.call([&] {
      const NoGrad no_grad;
      for (const auto& [name, weight] : weights_) weight.update(weight.detach() + step);
      number = replica_->updated();
    });
    return number;
  }
  float value(const std::string& name = "w") {
    float value = 0;
    place_.call([&] { value = weights_[name].detach().sum().item<float>(); });
    return value;
  }
  Agreed agreed() {
    Agreed out;
    place_.call([&] { out = replica_->agreed(); });
    return out;
  }
  bool is_in_group_of(size_t size) const { return replica_->status().members.size() == size; }

 private:
  Tensors weights_;
  Place place_;
  std::atomic<int> moves_{0};
  std::shared_ptr<Replica> replica_;
};

// One weight of one element.
inline Tensors one_weight(float value) { return {{"w", scalar(value).requires_grad(true)}}; }

}  // namespace sm::replicate::testing
