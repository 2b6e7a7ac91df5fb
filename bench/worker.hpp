#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shumai/json.hpp"

// A program of workloads for bench/run, which starts it once and has it do one
// of them for a moment at a time, in turn with the peers' programs. Each line
// of its input is a JSON object, and gets one as its answer:
//
//   {"workload": "matmul", "arguments": {"size": 64}, "seconds": 0.3}   {"value": 3.1e-6}
//   {"workload": "matmul", "arguments": {"size": 64}, "check": true}    {"check": [0.71]}
//
// A failure is {"error": message}. The same program as a command, PROGRAM
// WORKLOAD [ARGUMENTS [SECONDS]], prints seven turns.
namespace bench {

struct Workload {
  // Works for about so many seconds. Returns the seconds that one piece of work
  // takes, or another figure where the workload says so.
  std::function<double(double seconds)> measure;
  // Figures on which the peers have to agree, from fresh weights.
  std::function<std::vector<double>()> check = {};
};

// Seconds for one call of `work`: the mean over calls for about so many seconds.
template <class F>
double seconds_each(double seconds, F& work) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double spent = 0, calls = 0;
  for (double chunk = 1; spent < seconds;) {
    for (double i = 0; i < chunk; ++i) work();
    calls += chunk;
    const double before = spent;
    spent = std::chrono::duration<double>(Clock::now() - start).count();
    if (spent - before < 2e-4) chunk *= 2;
  }
  return spent / calls;
}

template <class F>
Workload repeat(F work, std::function<std::vector<double>()> check = {}) {
  return {[work = std::move(work)](double seconds) mutable { return seconds_each(seconds, work); }, std::move(check)};
}

using Make = std::function<Workload(const sm::Json& arguments)>;
using Workloads = std::vector<std::pair<std::string, Make>>;

int run_worker(int argc, char** argv, const Workloads& workloads);

}  // namespace bench
