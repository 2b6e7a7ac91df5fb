// What the processors and the memory can do at best, in the lines of worker.hpp:
//
//   fma    seconds for one floating-point operation of float32
//   triad  seconds for one byte of a[i] = b[i] + 3 c[i], as STREAM counts them
//
// on {"threads": n} threads, 0 meaning one for each processor, and
//
//   loopback  seconds for {"bytes": n} over TCP to another process and back

#include <sched.h>

#include <memory>
#include <thread>
#include <vector>

#include "floors/parts/kernels.hpp"
#include "floors/parts/loopback.hpp"
#include "worker.hpp"

namespace bench {
namespace {

size_t threads_of(const sm::Json& arguments) {
  if (const int64_t asked = arguments["threads"].as_int64(); asked > 0) return static_cast<size_t>(asked);
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  return static_cast<size_t>(CPU_COUNT(&set));
}

// `work(thread)` on every thread, again and again for so many seconds; each call
// counts for `units`. Seconds for one unit of all threads together.
template <class F>
double on_threads(size_t count, double seconds, double units, F work) {
  std::vector<double> rates(count);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      auto mine = [&] { work(i); };
      rates[i] = units / seconds_each(seconds, mine);
    });
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return 1 / sum;
}

Workload fma(const sm::Json& arguments) {
  constexpr int64_t kRounds = 10'000;
  return {[threads = threads_of(arguments)](double seconds) {
    return on_threads(threads, seconds, fma_operations(kRounds), [](size_t) { run_fma(kRounds); });
  }};
}

Workload triad(const sm::Json& arguments) {
  constexpr size_t kElements = size_t{16} << 20;  // of an array: 64 MiB, beyond every cache
  const size_t threads = threads_of(arguments);
  const size_t part = kElements / threads / 64 * 64;
  using Array = std::shared_ptr<float[]>;
  const auto make = [&](float value) {
    Array array(static_cast<float*>(std::aligned_alloc(64, kElements * sizeof(float))), std::free);
    std::fill_n(array.get(), kElements, value);
    return array;
  };
  const Array a = make(0), b = make(1), c = make(2);
  return {[=](double seconds) {
    return on_threads(threads, seconds, static_cast<double>(3 * part * sizeof(float)), [&](size_t thread) {
      const size_t at = thread * part;
      run_triad(a.get() + at, b.get() + at, c.get() + at, part);
    });
  }};
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  return bench::run_worker(argc, argv, {{"fma", bench::fma}, {"triad", bench::triad}, {"loopback", bench::loopback}});
}
