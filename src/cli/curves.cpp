#include "cli/curves.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/core.h>

namespace sm::cli {
namespace {

// More than a server keeps.
constexpr size_t kMost = 1000;
constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kAscii = {"_", ".", "-", "~", "=", "+", "*", "#"};

// The mean of each of `width` parts, or fewer; NaN for one without a value.
std::vector<double> parts_of(const std::vector<double>& values, size_t width) {
  const size_t count = std::min(width, values.size());
  std::vector<double> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    double sum = 0, known = 0;
    for (size_t j = i * values.size() / count; j < (i + 1) * values.size() / count; ++j) {
      if (std::isnan(values[j])) continue;
      sum += values[j];
      ++known;
    }
    out.push_back(known > 0 ? sum / known : std::numeric_limits<double>::quiet_NaN());
  }
  return out;
}

}  // namespace

void Curves::add(const Json& history) {
  const Json* reset = history.is_object() ? history.find("reset") : nullptr;
  if (!reset || !reset->is_bool()) return;
  for (Curve& curve : curves_) {
    if (reset->as_bool()) curve.values.clear();
    const Json* column = history.find(curve.column);
    if (!column || !column->is_array()) continue;
    for (const Json& value : column->as_array())
      curve.values.push_back(value.is_number() ? value.as_double() : std::numeric_limits<double>::quiet_NaN());
    if (curve.values.size() > kMost) curve.values.erase(curve.values.begin(), curve.values.end() - kMost);
  }
}

std::vector<std::string> Curves::lines(size_t width, bool unicode) const {
  std::vector<std::string> out;
  for (const Curve& curve : curves_) {
    const std::vector<double> parts = parts_of(curve.values, width);
    double least = std::numeric_limits<double>::infinity(), most = -least, last = least;
    for (const double part : parts) {
      if (std::isnan(part)) continue;
      least = std::min(least, part);
      most = std::max(most, part);
      last = part;
    }
    if (least > most) continue;
    std::string line = fmt::format("{:<11}{:>10.4g}  ", curve.name, last);
    for (const double part : parts) {
      const double height = most > least ? (part - least) / (most - least) : 0;
      if (std::isnan(part))
        line += ' ';
      else
        line += (unicode ? kBlocks : kAscii)[static_cast<size_t>(std::min(7.0, height * 8))];
    }
    out.push_back(line + fmt::format("  {:.4g} to {:.4g}", least, most));
  }
  return out;
}

}  // namespace sm::cli
