#pragma once

#include <algorithm>
#include <cstdint>

namespace sm::kernels {

namespace detail {
using RangeFunction = void (*)(const void* function, int64_t begin, int64_t end);
void run_in_parallel(int64_t n, int64_t grain, RangeFunction call, const void* function);
}  // namespace detail

// Calls function(begin, end) on ranges that cover [0, n) without overlap, at
// least `grain` long (but the last), on the threads of one process-wide pool.
// The caller takes part, and the call returns when all ranges are done. With
// n <= grain, with one thread, and from inside another parallel_for, it is one
// plain call. Choose `grain` so that a range takes 10 microseconds or more:
// a thread that has just worked takes one over in less than one, waking one
// that sleeps costs about five.
//
// The first exception is rethrown once all running ranges have ended; ranges
// not yet begun are dropped. Thread-safe. Idle threads watch for more work for
// 50 microseconds, then they sleep.
template <class Function>
void parallel_for(int64_t n, int64_t grain, const Function& function) {
  if (n <= 0) return;
  if (n <= grain) return function(int64_t{0}, n);
  detail::run_in_parallel(
      n, std::max<int64_t>(grain, 1),
      [](const void* f, int64_t begin, int64_t end) { (*static_cast<const Function*>(f))(begin, end); }, &function);
}

// The threads that take part, the caller included. At first SHUMAI_THREADS, or
// else the CPUs that this process may run on. Threads start when first needed.
int num_threads();
// Throws Error (kInvalidArgument) unless 1 <= count <= 1024. Thread-safe.
void set_num_threads(int count);

}  // namespace sm::kernels
