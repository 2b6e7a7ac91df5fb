#include <numeric>

#include "shumai/error.hpp"
#include "shumai/util.hpp"
#include "util/philox.hpp"
#include "util/progress.hpp"

namespace sm {
namespace {

// Whole numbers from a stream of Philox.
class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(seed) {}

  // Below `n`, each as likely as the others: what would tip the scale is drawn again.
  uint64_t below(uint64_t n) {
    const uint64_t surplus = (0 - n) % n;  // 2^64 modulo n
    uint64_t word = next();
    while (word < surplus) word = next();
    return word % n;
  }

 private:
  uint64_t next() {
    const auto block = util::philox(seed_, counter_++);
    return uint64_t{block[1]} << 32 | block[0];
  }

  uint64_t seed_;
  uint64_t counter_ = 0;
};

}  // namespace

namespace detail {

// An exception from the text callback, or a closed standard error, must not turn the loop's end into a crash.
void EndProgress::operator()(util::Progress* progress) const noexcept {
  try {
    progress->end();
  } catch (...) {
  }
  delete progress;
}

ProgressHandle start_progress(int64_t total, ProgressText text) {
  return ProgressHandle(new util::Progress(total, std::move(text), util::standard_error()));
}

void advance(util::Progress& progress) { progress.advance(); }

std::vector<size_t> permutation(size_t n, uint64_t seed) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  Draws draws(seed);
  for (size_t left = n; left > 1; --left) std::swap(order[left - 1], order[draws.below(left)]);
  return order;
}

}  // namespace detail

namespace util {

std::vector<int64_t> range(int64_t stop) { return range(0, stop); }

std::vector<int64_t> range(int64_t start, int64_t stop, int64_t step) {
  if (step == 0) throw Error(ErrorCode::kInvalidArgument, "range: step can't be 0");
  std::vector<int64_t> out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    out.push_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return out;
}

}  // namespace util
}  // namespace sm
