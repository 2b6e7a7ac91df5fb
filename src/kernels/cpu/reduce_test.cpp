#include <gtest/gtest.h>

#include <vector>

#include "kernels/parallel.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm::kernels {
namespace {

// Whole numbers, so that the sum is exact in any order.
TEST(Reduce, TheSumOfAllElementsCountsEachPartOnce) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const int64_t n : {1, 65535, 65536, 65537, 131072, 300001}) {
      const Tensor x = astype(arange(0, static_cast<double>(n), 1, DType::i64) % 7, dtype);
      const int64_t expected = n / 7 * 21 + (n % 7) * (n % 7 - 1) / 2;
      EXPECT_EQ(sum(x).item<double>(), static_cast<double>(expected)) << n;
    }
}

TEST(Reduce, TheSumOfAllElementsDoesNotDependOnThreads) {
  manual_seed(4);
  const Tensor x = randn({500, 1001});
  const int before = num_threads();
  std::vector<double> sums;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    sums.push_back(sum(x).item<double>());
  }
  set_num_threads(before);
  EXPECT_EQ(sums[1], sums[0]);
  EXPECT_EQ(sums[2], sums[0]);
}

}  // namespace
}  // namespace sm::kernels
