#pragma once

#include <atomic>
#include <chrono>
#include <span>

#include "ops/op.hpp"

// What ops::run tells the collectors of shumai/stats.hpp.
namespace sm::ops {

// Scopes that are open, on all threads.
extern constinit std::atomic<int> collectors;

inline bool collecting() { return collectors.load(std::memory_order_relaxed) != 0; }

// One run of an op on this thread, from construction to destruction.
class Measure {
 public:
  Measure(const Op& op, Inputs inputs);
  ~Measure();
  Measure(const Measure&) = delete;
  Measure& operator=(const Measure&) = delete;

  // Counts the op; without it, it failed.
  void finish(std::span<const Tensor> outputs);

 private:
  using Clock = std::chrono::steady_clock;

  bool made_elsewhere(const Tensor& output) const;

  const Op& op_;
  Inputs inputs_;
  Measure* outer_;
  Clock::duration inner_{};  // spent in ops that this one is made of
  Tensor last_;              // what the last of them gave
  std::chrono::system_clock::time_point began_;
  Clock::time_point start_;
};

// What one run computes, by the sizes of its inputs and output; see Stats::Entry.
double flops_of(const Op& op, Inputs inputs, const Tensor& output);

}  // namespace sm::ops
