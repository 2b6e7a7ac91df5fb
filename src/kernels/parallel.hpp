#pragma once

#include <algorithm>
#include <cstdint>

namespace sm::kernels {

namespace detail {
using RangeFunction = void (*)(const void* function, int64_t begin, int64_t end);
void run_in_parallel(int64_t n, int64_t grain, RangeFunction call, const void* function);
// The shortest range for a thread that needn't be woken.
inline int64_t least_range(int64_t grain) { return std::max<int64_t>(grain / 8, 1); }
bool is_worth_sharing(int64_t n, int64_t grain);  // of no more than 2 * grain
}  // namespace detail

// Whether a thread watches for work, so that sharing two microseconds pays. Where
// none does, calls count: after several in quick succession one is woken.
bool helper_is_near();

// Calls function(begin, end) on ranges that cover [0, n) without overlap, on
// the threads of one process-wide pool. The caller takes part, and the call
// returns when all ranges are done. With one thread, and from inside another
// parallel_for, it is one plain call.
//
// `grain` is what takes 10 microseconds; 0 where a single index takes longer. Waking
// a thread that sleeps costs about five, and pays above that; where threads share no
// cache (helper_is_near), above twice that. One that is near and has just worked
// takes work over in a third of a microsecond, so ranges may be an eighth of `grain`
// long; below a quarter it is one plain call, too. Results mustn't depend on where
// ranges begin.
//
// The first exception is rethrown once all running ranges have ended; ranges
// not yet begun are dropped. Thread-safe. Idle threads watch for more work for
// 50 microseconds, or 200 where that pays, then they sleep.
template <class Function>
void parallel_for(int64_t n, int64_t grain, const Function& function) {
  if (n <= 0) return;
  if (n <= 2 * grain && !detail::is_worth_sharing(n, grain)) return function(int64_t{0}, n);
  detail::run_in_parallel(
      n, grain, [](const void* f, int64_t begin, int64_t end) { (*static_cast<const Function*>(f))(begin, end); },
      &function);
}

// The threads that take part, the caller included. At first SHUMAI_THREADS, or
// else the CPUs that this process may run on. Threads start when first needed.
int num_threads();
// Throws Error (kInvalidArgument) unless 1 <= count <= 1024. Thread-safe.
void set_num_threads(int count);

}  // namespace sm::kernels
