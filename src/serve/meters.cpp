#include "serve/meters.hpp"

#include <algorithm>
#include <cmath>

namespace sm::io {
namespace {

void add(std::atomic<uint64_t>& to, uint64_t what) { to.fetch_add(what, std::memory_order_relaxed); }

void average_in(LearningStatistics::Mean& mean, double value) {
  if (!std::isfinite(value)) return;
  mean.sum += value;
  ++mean.count;
}

}  // namespace

void DurationHistogram::observe(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  // Prometheus' bounds belong to the bucket below them.
  const auto at = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  add(buckets_[static_cast<size_t>(at)], 1);
  add(nanoseconds_, static_cast<uint64_t>(duration.count()));
}

uint64_t DurationHistogram::count() const {
  uint64_t all = 0;
  for (const auto& bucket : buckets_) all += bucket.load(std::memory_order_relaxed);
  return all;
}

double DurationHistogram::quantile(double q) const {
  std::array<uint64_t, kBuckets> counts;
  uint64_t all = 0;
  for (size_t i = 0; i < kBuckets; ++i) all += counts[i] = bucket(i);
  if (all == 0) return 0;
  const double wanted = q * static_cast<double>(all);
  double below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= wanted) {
      const double low = i == 0 ? 0 : kBounds[i - 1];
      return low + (kBounds[i] - low) * (wanted - below) / here;
    }
    below += here;
  }
  return kBounds.back();
}

void RouteStatistics::count_answer(int status, std::chrono::nanoseconds duration) {
  add(statuses[static_cast<size_t>(std::clamp(status - kFirstStatus, 0, kStatuses - 1))], 1);
  durations.observe(duration);
}

uint64_t RouteStatistics::errors() const {
  uint64_t all = 0;
  for (int i = 400 - kFirstStatus; i < kStatuses; ++i)
    all += statuses[static_cast<size_t>(i)].load(std::memory_order_relaxed);
  return all;
}

void UpdateStatistics::count_staleness(uint64_t distance) {
  const int bucket = std::min<int>(std::bit_width(distance), kBuckets - 1);
  add(staleness[static_cast<size_t>(bucket)], 1);
  add(staleness_sum, distance);
}

double BatchStatistics::Pass::mean() const {
  const uint64_t count = batches;
  return count == 0 ? 0 : static_cast<double>(requests) / static_cast<double>(count);
}

void BatchStatistics::count(std::string_view what, uint64_t together) {
  if (what == "forward")
    forward.count(together);
  else if (what == "backward")
    backward.count(together);
  else
    fallbacks += together;
}

void LearningStatistics::report(const Report& report) {
  const std::lock_guard lock(mutex_);
  summary_.last = report;
  ++summary_.reports;
  average_in(recent_.loss, report.loss);
  if (report.step) recent_.step = report.step;
}

void LearningStatistics::gradient_norm(double norm) {
  const std::lock_guard lock(mutex_);
  summary_.gradient_norm = norm;
  average_in(recent_.gradient_norm, norm);
}

LearningStatistics::Summary LearningStatistics::summary() const {
  const std::lock_guard lock(mutex_);
  return summary_;
}

LearningStatistics::Recent LearningStatistics::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(recent_, {});
}

}  // namespace sm::io
