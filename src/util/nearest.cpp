#include "util/nearest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace sm::util {
namespace {

// Levenshtein's.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = (a[i - 1] | 32) == (b[j - 1] | 32);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + !same}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
  const std::string* nearest = nullptr;
  size_t least = name.size() / 2 + 1;
  for (const std::string& other : known)
    if (const size_t steps = distance(name, other); steps < least) {
      least = steps;
      nearest = &other;
    }
  return nearest ? "; did you mean \"" + *nearest + "\"?" : "";
}

}  // namespace sm::util
