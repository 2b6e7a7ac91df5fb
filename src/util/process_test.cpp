#include "util/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <vector>

namespace sm::util {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

TEST(ProcessUsage, CountsFilesMemoryAndTime) {
  const ProcessUsage before = process_usage();
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<char> memory(64 << 20);
  for (size_t i = 0; i < memory.size(); i += 4096) static_cast<volatile char*>(memory.data())[i] = 1;
  const ProcessUsage after = process_usage();
  close(file);
  EXPECT_EQ(after.open_files, before.open_files + 1);
  EXPECT_GT(after.max_open_files, after.open_files);
  EXPECT_GT(after.resident_bytes, before.resident_bytes + (32u << 20));
  EXPECT_GT(after.virtual_bytes, after.resident_bytes);
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
  EXPECT_LT(after.start_time, now() + 1);
  EXPECT_GT(after.start_time, now() - 24 * 3600);
}

}  // namespace
}  // namespace sm::util
