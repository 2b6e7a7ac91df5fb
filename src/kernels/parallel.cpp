#include "kernels/parallel.hpp"

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "shumai/error.hpp"
#include "util/log.hpp"

namespace sm::kernels {
namespace {

constexpr int kMaxThreads = 1024;

thread_local bool inside_range = false;

int default_threads() {
  const int cpus = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
  const char* text = std::getenv("SHUMAI_THREADS");
  if (!text || !*text) return cpus;
  int count = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, count);
  if (error == std::errc() && stop == end && count >= 1 && count <= kMaxThreads) return count;
  util::log_warning("SHUMAI_THREADS: expected a number from 1 to 1024, got \"" + std::string(text) + "\"; using " +
                    std::to_string(cpus));
  return cpus;
}

// One call of parallel_for. Lives on its caller's stack: the caller waits
// until it is out of the queue and `helpers` is 0.
struct Job {
  detail::RangeFunction call;
  const void* function;
  int64_t n;
  int64_t chunk;
  std::atomic<int64_t> next{0};
  int helpers = 0;  // guarded by the pool's mutex, like what follows
  std::exception_ptr error;
  std::condition_variable idle;

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= n; }

  std::exception_ptr run_ranges() {
    inside_range = true;
    std::exception_ptr caught;
    for (int64_t begin; (begin = next.fetch_add(chunk, std::memory_order_relaxed)) < n;) {
      try {
        call(function, begin, std::min(begin + chunk, n));
      } catch (...) {
        caught = std::current_exception();
        next.store(n, std::memory_order_relaxed);
      }
    }
    inside_range = false;
    return caught;
  }
};

class Pool {
 public:
  // Never destroyed: its threads may outlive static destructors.
  static Pool& instance() {
    static Pool& pool = *new Pool;
    return pool;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int count) {
    const std::lock_guard lock(mutex_);
    threads_.store(count, std::memory_order_relaxed);
    wake_.notify_all();
  }

  void run(Job& job) {
    const int64_t chunks = (job.n + job.chunk - 1) / job.chunk;
    {
      const std::lock_guard lock(mutex_);
      const int64_t wanted = std::min<int64_t>(chunks, threads()) - 1;
      start_workers();
      queue_.push_back(&job);
      for (int64_t i = 0; i < wanted; ++i) wake_.notify_one();
    }
    std::exception_ptr error = job.run_ranges();
    std::unique_lock lock(mutex_);
    std::erase(queue_, &job);
    job.idle.wait(lock, [&] { return job.helpers == 0; });
    if (!error) error = job.error;
    lock.unlock();
    if (error) std::rethrow_exception(error);
  }

 private:
  Pool() : threads_(default_threads()) {}

  void start_workers() {
    try {
      for (; workers_ < threads() - 1; ++workers_) std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      // The caller does the work of the threads that the system refuses.
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !queue_.empty() || workers_ > threads() - 1; });
      if (workers_ > threads() - 1) {
        --workers_;
        return;
      }
      help(*queue_.front(), lock);
    }
  }

  void help(Job& job, std::unique_lock<std::mutex>& lock) {
    if (job.exhausted()) {
      std::erase(queue_, &job);
      return;
    }
    ++job.helpers;
    lock.unlock();
    std::exception_ptr error = job.run_ranges();
    lock.lock();
    std::erase(queue_, &job);
    if (error && !job.error) job.error = std::move(error);
    // Under the lock, or the job could be gone before it is notified.
    if (--job.helpers == 0) job.idle.notify_one();
  }

  std::atomic<int> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job*> queue_;
  int workers_ = 0;
};

}  // namespace

void detail::run_in_parallel(int64_t n, int64_t grain, RangeFunction call, const void* function) {
  const int threads = inside_range ? 1 : Pool::instance().threads();
  if (threads == 1) return call(function, 0, n);
  // A few ranges a thread, so that one that is held up leaves its share to the others.
  const int64_t chunk = std::max(grain, (n + 4 * threads - 1) / (4 * threads));
  Job job{call, function, n, chunk};
  Pool::instance().run(job);
}

int num_threads() { return Pool::instance().threads(); }

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument,
                "set_num_threads: expected a number from 1 to 1024, got " + std::to_string(count));
  Pool::instance().set_threads(count);
}

}  // namespace sm::kernels
