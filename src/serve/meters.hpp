#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

// What a server counts about itself. Everything here is thread-safe; sums and
// buckets that are read while requests end may differ by those requests.
namespace sm::io {

// How long requests took, in buckets as Prometheus has them.
class DurationHistogram {
 public:
  // Seconds; above the last there is one more bucket.
  static constexpr std::array kBounds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                         0.05,    0.1,    0.25,    0.5,    1.0,   2.5,    5.0,   10.0};
  static constexpr size_t kBuckets = kBounds.size() + 1;

  void observe(std::chrono::nanoseconds duration);
  uint64_t bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  uint64_t count() const;
  double sum() const { return static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * 1e-9; }
  // Seconds that a share `q` of the requests stayed below, interpolated within
  // a bucket; 0 before the first, the last bound above it.
  double quantile(double q) const;

 private:
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> nanoseconds_{0};
};

struct RouteStatistics {
  static constexpr int kFirstStatus = 100, kStatuses = 500;

  std::atomic<uint64_t> requests{0};  // those that wait or run included; the rest is of those that were answered
  DurationHistogram durations;        // from decoded request to result, waiting included
  std::array<std::atomic<uint64_t>, kStatuses> statuses{};

  void count_answer(int status, std::chrono::nanoseconds duration);
  uint64_t errors() const;
};

// What happened to the weights.
struct UpdateStatistics {
  // Bucket i counts staleness up to 2^i - 1, the last one everything.
  static constexpr int kBuckets = 16;

  std::atomic<uint64_t> version{0};  // updates, those before a restart included
  std::atomic<uint64_t> updates{0};  // since the start
  std::atomic<uint64_t> refused{0};  // by the guard
  std::atomic<uint64_t> stale{0};    // refused for that
  std::atomic<uint64_t> scaled{0};
  std::atomic<uint64_t> restored{0};  // checkpoints, while it ran
  std::array<std::atomic<uint64_t>, kBuckets> staleness{};
  std::atomic<uint64_t> staleness_sum{0};

  void count_staleness(uint64_t distance);
  // The largest staleness of a bucket.
  static uint64_t bound(int bucket) { return (uint64_t{1} << bucket) - 1; }
};

// How well the training goes, as clients and optimizers say. Takes a lock, only
// where something is said.
class LearningStatistics {
 public:
  struct Mean {
    double sum = 0;
    uint64_t count = 0;

    double value() const { return count ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN(); }
  };
  struct Report {
    double loss = 0;
    std::optional<uint64_t> step;
  };
  struct Summary {
    std::optional<Report> last;
    uint64_t reports = 0;
    std::optional<double> gradient_norm;  // the last
  };
  // Since the last call of take().
  struct Recent {
    Mean loss, gradient_norm;
    std::optional<uint64_t> step;
  };

  void report(const Report& report);
  void gradient_norm(double norm);
  Summary summary() const;
  Recent take();

 private:
  mutable std::mutex mutex_;
  Summary summary_;  // guarded by mutex_
  Recent recent_;    // guarded by mutex_
};

// What ran together, of requests that could have.
struct BatchStatistics {
  struct Pass {
    std::atomic<uint64_t> batches{0};  // those of a single request included
    std::atomic<uint64_t> requests{0};

    void count(uint64_t together) {
      ++batches;
      requests += together;
    }
    double mean() const;
  };
  // By the name that a server's JavaScript has for it: "forward", "backward" or "fallback".
  void count(std::string_view what, uint64_t together);

  Pass forward, backward;
  LearningStatistics* learning = nullptr;  // of the same server
  std::atomic<uint64_t> fallbacks{0};      // batches that were run again one by one
};

}  // namespace sm::io
