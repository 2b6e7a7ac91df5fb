#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/json.hpp"

namespace sm::io {

// What a server did over time, a point for each second at first. There are at
// most kMost points: then pairs of them become one, and later points are of
// twice the time. So it shows all of a training, in memory that doesn't grow.
// Thread-safe.
class History {
 public:
  enum Column : uint8_t {
    kTime,  // seconds since 1970, of the point's end
    kLoss,  // the mean of those that were reported
    kStep,  // the last that was reported
    kGradientNorm,
    kUpdates,  // by the second, as the next two
    kRequests,
    kErrors,
    kLatency,    // seconds, of the mean request
    kStaleness,  // of the mean update
    kVersion,
    kTensorBytes,
    kResidentBytes,
    kSessions,
    kTickets,
    kColumns
  };
  // NaN where there is nothing.
  using Point = std::array<double, kColumns>;
  static constexpr size_t kMost = 600;

  // Of the last second.
  void add(const Point& second);

  // Columns by their names, with "interval" (seconds) and "reset": what came
  // after `cursor`, which becomes the next one. All, and "reset", when the
  // cursor is none of this history's, or points were merged since.
  Json since(std::string& cursor) const;

 private:
  static Point merged(const Point& a, const Point& b);
  bool parse(std::string_view cursor, size_t& first) const;

  mutable std::mutex mutex_;
  std::vector<Point> points_;   // guarded by mutex_, as all of these
  std::vector<Point> pending_;  // of 1, 2, 4 ... seconds, until another of that size makes a larger one
  int merges_ = 0;
};

}  // namespace sm::io
