#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace sm::cli {

// Counts of times in nanoseconds, in buckets of at most 1/128 of their value
// (as Tene's HdrHistogram has them): constant memory, quantiles within 0.8%.
class Histogram {
 public:
  void record(int64_t nanoseconds) {
    const auto value = static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0));
    ++buckets_[bucket_of(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    max_ = std::max(max_, value);
  }

  uint64_t count() const noexcept { return count_; }
  double mean() const noexcept { return count_ ? sum_ / static_cast<double>(count_) : 0; }
  uint64_t max() const noexcept { return max_; }

  // The least time that `share` of all don't exceed.
  uint64_t quantile(double share) const noexcept {
    const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(share * static_cast<double>(count_))));
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted) return std::min(end_of(i), max_);
    }
    return max_;
  }

 private:
  static constexpr int kBits = 7;

  static size_t bucket_of(uint64_t value) noexcept {
    const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kBits - 1);
    return (static_cast<size_t>(shift) << kBits) + (value >> shift);
  }
  // The largest value of a bucket.
  static uint64_t end_of(size_t bucket) noexcept {
    const size_t shift = std::max<size_t>(bucket >> kBits, 1) - 1;
    return ((uint64_t{bucket} - (uint64_t{shift} << kBits) + 1) << shift) - 1;
  }

  std::array<uint64_t, (size_t{65 - kBits} << kBits)> buckets_ = {};
  uint64_t count_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace sm::cli
