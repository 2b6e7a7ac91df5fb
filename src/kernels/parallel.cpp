#include "kernels/parallel.hpp"

#include <hwy/cache_control.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
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

// A thread that has just worked watches for more for this long before it
// sleeps: waking it costs the caller five microseconds, and comes late.
constexpr std::chrono::microseconds kWatch{50};

// Returns once ready() says so (true), or after kWatch (false). Gives way to
// threads that wait for this CPU, such as those of the network.
template <class Ready>
bool watch(const Ready& ready) {
  constexpr int kPauses = 64;
  const auto end = std::chrono::steady_clock::now() + kWatch;
  do {
    for (int i = 0; i < kPauses; ++i) {
      if (ready()) return true;
      hwy::Pause();
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

// One call of parallel_for. Lives on its caller's stack: the caller waits
// until it is out of the queue and `helpers` is 0.
//
// Its range has a part for each thread, where that thread begins, before it takes
// from the others' what is left: so a thread finds in its own cache what it wrote
// in the call before.
class Job {
 public:
  Job(int64_t n, int64_t chunk, int threads, detail::RangeFunction call, const void* function)
      : call_(call), function_(function), n_(n), chunk_(chunk), parts_(std::min(threads, kMostParts)) {
    for (int part = 0; part < parts_; ++part) next_[part].store(begin_of(part), std::memory_order_relaxed);
  }

  int64_t chunks() const { return (n_ + chunk_ - 1) / chunk_; }

  bool exhausted() const {
    for (int part = 0; part < parts_; ++part)
      if (next_[part].load(std::memory_order_relaxed) < begin_of(part + 1)) return false;
    return true;
  }

  std::exception_ptr run_ranges(int thread) {
    inside_range = true;
    std::exception_ptr caught;
    // The caller's part is nobody else's, whatever the others' numbers.
    const int first = thread == 0 || parts_ == 1 ? 0 : 1 + (thread - 1) % (parts_ - 1);
    for (int i = 0; i < parts_; ++i) run_part((first + i) % parts_, caught);
    inside_range = false;
    return caught;
  }

  std::atomic<int> helpers{0};  // grows under the pool's mutex
  std::exception_ptr error{};   // guarded by it

 private:
  static constexpr int kMostParts = 16;

  int64_t begin_of(int part) const { return std::min(n_, chunks() * part / parts_ * chunk_); }

  void run_part(int part, std::exception_ptr& caught) {
    const int64_t end = begin_of(part + 1);
    for (int64_t begin; (begin = next_[part].fetch_add(chunk_, std::memory_order_relaxed)) < end;) {
      try {
        call_(function_, begin, std::min(begin + chunk_, end));
      } catch (...) {
        caught = std::current_exception();
        for (int other = 0; other < parts_; ++other) next_[other].store(n_, std::memory_order_relaxed);
      }
    }
  }

  detail::RangeFunction call_;
  const void* function_;
  int64_t n_, chunk_;
  int parts_;
  std::array<std::atomic<int64_t>, kMostParts> next_;
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
    int64_t wanted = std::min<int64_t>(job.chunks(), threads()) - 1;
    {
      const std::lock_guard lock(mutex_);
      start_workers();
      queue_.push_back(&job);
      posted_.fetch_add(1, std::memory_order_release);
      wanted = std::min<int64_t>(wanted - watching_, sleeping_);
    }
    for (int64_t i = 0; i < wanted; ++i) wake_.notify_one();
    std::exception_ptr error = job.run_ranges(0);
    {
      const std::lock_guard lock(mutex_);
      std::erase(queue_, &job);
    }
    wait_for_helpers(job);
    if (!error) error = job.error;
    if (error) std::rethrow_exception(error);
  }

 private:
  Pool() : threads_(default_threads()) {}

  void start_workers() {
    try {
      for (; workers_ < threads() - 1; ++workers_)
        std::thread([this, thread = workers_ + 1] { work(thread); }).detach();
    } catch (const std::system_error&) {
      // The caller does the work of the threads that the system refuses.
    }
  }

  bool superfluous() const { return workers_ > threads() - 1; }

  // `thread` numbers this one; callers are 0.
  void work(int thread) {
    std::unique_lock lock(mutex_);
    while (!superfluous()) {
      if (!queue_.empty()) {
        help(*queue_.front(), thread, lock);
        continue;
      }
      const uint64_t seen = posted_.load(std::memory_order_relaxed);
      ++watching_;
      lock.unlock();
      watch([&] { return posted_.load(std::memory_order_acquire) != seen; });
      lock.lock();
      --watching_;
      if (!queue_.empty()) continue;
      ++sleeping_;
      wake_.wait(lock, [&] { return !queue_.empty() || superfluous(); });
      --sleeping_;
    }
    --workers_;
  }

  void help(Job& job, int thread, std::unique_lock<std::mutex>& lock) {
    if (job.exhausted()) {
      std::erase(queue_, &job);
      return;
    }
    job.helpers.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    std::exception_ptr error = job.run_ranges(thread);
    if (error) {
      const std::lock_guard again(mutex_);
      if (!job.error) job.error = std::move(error);
    }
    // The job may be gone once this is 0.
    const bool last = job.helpers.fetch_sub(1, std::memory_order_release) == 1;
    lock.lock();
    if (last && waiting_ > 0) idle_.notify_all();
  }

  void wait_for_helpers(Job& job) {
    const auto done = [&] { return job.helpers.load(std::memory_order_acquire) == 0; };
    if (done() || watch(done)) return;
    std::unique_lock lock(mutex_);
    ++waiting_;
    idle_.wait(lock, done);
    --waiting_;
  }

  std::atomic<int> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;  // of workers that sleep
  std::condition_variable idle_;  // of callers that wait for helpers
  std::deque<Job*> queue_;
  std::atomic<uint64_t> posted_{0};  // jobs so far
  int workers_ = 0, watching_ = 0, sleeping_ = 0;
  int waiting_ = 0;  // callers
};

}  // namespace

void detail::run_in_parallel(int64_t n, int64_t grain, RangeFunction call, const void* function) {
  const int threads = inside_range ? 1 : Pool::instance().threads();
  if (threads == 1) return call(function, 0, n);
  // A few ranges a thread, so that one that is held up leaves its share to the others.
  const int64_t chunk = std::max(grain, (n + 4 * threads - 1) / (4 * threads));
  Job job(n, chunk, threads, call, function);
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
