#include "util/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>

namespace sm::util {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

TEST(ProcessUsage, CountsFilesMemoryAndTime) {
  const ProcessUsage before = process_usage();
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  // From the system: malloc may have kept as much from tests before.
  constexpr size_t kBytes = 64 << 20;
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  for (size_t i = 0; i < kBytes; i += 4096) static_cast<volatile char*>(memory)[i] = 1;
  const ProcessUsage after = process_usage();
  munmap(memory, kBytes);
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
