// Load on a server at {"port": n}, in the lines of worker.hpp, with the further
// arguments of LoadSettings:
//
//   rate     seconds for a request, over all connections together. Each of them
//            has had one when only the first {"used": n} go on
//   latency  the median of the seconds from a request to the end of its answer;
//            {"tickets": n} lets the server keep so many first
//   growth   bytes by which process {"pid": n} grows with each of {"count": n} requests
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <memory>
#include <string>

#include "floors/parts/load.hpp"
#include "shumai/error.hpp"
#include "worker.hpp"

namespace bench {
namespace {

LoadSettings settings_of(const sm::Json& arguments) {
  LoadSettings settings;
  settings.port = static_cast<int>(arguments["port"].as_int64());
  if (const sm::Json* path = arguments.find("path")) settings.path = path->as_string();
  if (const sm::Json* count = arguments.find("connections")) settings.connections = count->as_int64();
  if (const sm::Json* count = arguments.find("elements")) settings.elements = count->as_int64();
  if (const sm::Json* count = arguments.find("rows")) settings.rows = count->as_int64();
  settings.open = settings.connections;
  if (const sm::Json* count = arguments.find("open")) settings.open = count->as_int64();
  return settings;
}

constexpr double kForever = 1e6;

// Whether two processes that talk share a processor changes the rate of a bare
// server by 2.5, so the scheduler doesn't choose: the client has the last one.
void stay_on_one_processor() {
  cpu_set_t allowed, one;
  CPU_ZERO(&one);
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && CPU_COUNT(&one) == 0; --cpu)
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof one, &one);
}

Workload rate(const sm::Json& arguments) {
  stay_on_one_processor();
  const auto load = std::make_shared<Load>(settings_of(arguments));
  load->run(kForever, arguments.contains("open") ? arguments["open"].as_int64() : 100);
  if (const sm::Json* used = arguments.find("used")) load->use(static_cast<size_t>(used->as_int64()));
  return {[load](double seconds) {
    const auto start = std::chrono::steady_clock::now();
    const auto done = static_cast<double>(load->run(seconds).size());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / done;
  }};
}

Workload latency(const sm::Json& arguments) {
  if (const sm::Json* tickets = arguments.find("tickets")) {
    LoadSettings filling = settings_of(arguments);
    filling.path = "/ticket";
    filling.connections = filling.open = 32;
    Load(filling).run(kForever, static_cast<size_t>(tickets->as_int64()));
  }
  const auto load = std::make_shared<Load>(settings_of(arguments));
  return {[load](double seconds) {
    std::vector<double> times = load->run(seconds);
    if (times.empty()) throw sm::Error(sm::ErrorCode::kTimeout, "no answer within a turn");
    const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
  }};
}

double resident_bytes(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "VmRSS:" && file >> kilobytes) return kilobytes * 1024;
  throw sm::Error(sm::ErrorCode::kNotFound, "no process " + std::to_string(pid));
}

Workload growth(const sm::Json& arguments) {
  LoadSettings settings = settings_of(arguments);
  if (const sm::Json* keeps = arguments.find("keeps_session")) settings.keeps_session = keeps->as_bool();
  const int64_t count = arguments["count"].as_int64(), pid = arguments["pid"].as_int64();
  return {[settings, count, pid](double) {
    Load load(settings);
    load.run(kForever, 1000);
    const double before = resident_bytes(pid);
    load.run(kForever, static_cast<size_t>(count));
    return (resident_bytes(pid) - before) / static_cast<double>(count);
  }};
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  return bench::run_worker(argc, argv, {{"rate", bench::rate}, {"latency", bench::latency}, {"growth", bench::growth}});
}
