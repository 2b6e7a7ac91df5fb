#include "util/process.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sm::util {
namespace {

constexpr int kStartTimeField = 22;  // of /proc/self/stat, proc(5); in clock ticks since boot

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double start_time() {
  std::ifstream file("/proc/self/stat");
  std::string stat;
  std::getline(file, stat);
  // The second field is the program's name in parentheses, which may hold anything.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i < kStartTimeField; ++i) fields >> field;
  double ticks = 0;
  fields >> ticks;
  std::ifstream uptime_file("/proc/uptime");
  double uptime = 0;
  if (!fields || !(uptime_file >> uptime)) return 0;
  const double age = uptime - ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count() - age;
}

struct Pages {
  uint64_t virtual_bytes = 0, resident_bytes = 0;
};

Pages memory() {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t size = 0, resident = 0;
  if (std::ifstream("/proc/self/statm") >> size >> resident) return {size * page, resident * page};
  return {};
}

}  // namespace

uint64_t resident_bytes() { return memory().resident_bytes; }

ProcessUsage process_usage() {
  ProcessUsage out;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) out.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  static const double started = start_time();
  out.start_time = started;
  const Pages pages = memory();
  out.virtual_bytes = pages.virtual_bytes;
  out.resident_bytes = pages.resident_bytes;
  std::error_code ignored;
  for (std::filesystem::directory_iterator file("/proc/self/fd", ignored), end; file != end; file.increment(ignored))
    ++out.open_files;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_open_files = limit.rlim_cur;
  return out;
}

}  // namespace sm::util
