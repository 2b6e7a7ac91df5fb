#include "serve/history.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace sm::io {
namespace {

constexpr std::array<const char*, History::kColumns> kNames = {
    "time",    "loss",      "step",    "gradient_norm", "updates",        "requests", "errors",
    "latency", "staleness", "version", "tensor_bytes",  "resident_bytes", "sessions", "tickets"};

bool is_mean(size_t column) {
  switch (column) {
    case History::kLoss:
    case History::kGradientNorm:
    case History::kUpdates:
    case History::kRequests:
    case History::kErrors:
    case History::kLatency:
    case History::kStaleness:
      return true;
    default:
      return false;
  }
}

template <class Number>
bool take_number(std::string_view& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

History::Point History::merged(const Point& a, const Point& b) {
  Point out;
  for (size_t i = 0; i < kColumns; ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i]))
      out[i] = std::isnan(b[i]) ? a[i] : b[i];
    else
      out[i] = is_mean(i) ? (a[i] + b[i]) / 2 : b[i];
  }
  return out;
}

void History::add(const Point& second) {
  const std::lock_guard lock(mutex_);
  // As a binary counter adds: two of a size make one of twice that.
  Point point = second;
  for (Point& waiting : pending_) {
    if (std::isnan(waiting[kTime])) {
      waiting = point;
      return;
    }
    point = merged(waiting, point);
    waiting[kTime] = std::numeric_limits<double>::quiet_NaN();
  }
  points_.push_back(point);
  if (points_.size() < kMost) return;
  for (size_t i = 0; i < kMost / 2; ++i) points_[i] = merged(points_[2 * i], points_[2 * i + 1]);
  points_.resize(kMost / 2);
  ++merges_;
  Point none;
  none.fill(std::numeric_limits<double>::quiet_NaN());
  pending_.push_back(none);
}

bool History::parse(std::string_view cursor, size_t& first) const {
  int merges = -1;
  if (!take_number(cursor, merges) || merges != merges_ || !cursor.starts_with('.')) return false;
  cursor.remove_prefix(1);
  return take_number(cursor, first) && cursor.empty() && first <= points_.size();
}

Json History::since(std::string& cursor) const {
  const std::lock_guard lock(mutex_);
  size_t first = 0;
  const bool known = parse(cursor, first);
  if (!known) first = 0;
  Json out = Json::object({{"reset", !known}, {"interval", uint64_t{1} << merges_}});
  for (size_t column = 0; column < kColumns; ++column) {
    Json values = Json::array();
    for (size_t i = first; i < points_.size(); ++i) {
      const double value = points_[i][column];
      values.push_back(std::isfinite(value) ? Json(value) : Json());
    }
    out[kNames[column]] = std::move(values);
  }
  cursor = std::to_string(merges_) + "." + std::to_string(points_.size());
  return out;
}

}  // namespace sm::io
