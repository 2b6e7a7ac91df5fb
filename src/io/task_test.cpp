#include "shumai/task.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

namespace sm::io {
namespace {

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST(Run, ATaskThatWaitsForLongSleeps) {
  const auto before = cpu_time();
  run(util::sleep(std::chrono::milliseconds(400)));
  EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(200));
}

}  // namespace
}  // namespace sm::io
