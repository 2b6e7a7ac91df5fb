#include "kernels/parallel.hpp"

#include <hwy/cache_control.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <bit>
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
#include "util/busy_poll.hpp"
#include "util/log.hpp"

namespace sm::kernels {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kCacheLine = 64;

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

// A thread that has just worked watches for more before it sleeps: waking it
// costs the caller five microseconds, on some machines fifty, and comes late.
constexpr std::chrono::microseconds kLongest{200};
constinit util::BusyPoll for_work(kLongest), for_helpers(kLongest);

using Clock = std::chrono::steady_clock;

// Returns once ready() says so (true), or when it is time to sleep (false).
// Gives way to threads that wait for this CPU, such as those of the network.
template <class Ready>
bool watch(util::BusyPoll& busy_poll, const Ready& ready) {
  constexpr int kPauses = 512;
  util::BusyPoll::Idle idle(busy_poll);
  do {
    for (int i = 0; i < kPauses; ++i) {
      if (ready()) {
        idle.restart();
        return true;
      }
      hwy::Pause();
    }
  } while (idle.wait());
  return ready();
}

// Moves this thread to another CPU than `cpu`, if it may run on one.
void leave_cpu(int cpu) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
}

// How far the threads are from each other: the nanoseconds that a job takes from
// its caller to one that watches, lately. Some 110 between cores that share a
// cache. Where they don't it is 350, and what one writes comes to the other as
// slowly. A virtual machine's processors change from one to the other while a
// program runs.
class Distance {
 public:
  void measured(Clock::duration time) {
    constexpr int64_t kMost = 500;  // what was held up says no more
    const int64_t now = std::min<int64_t>(kMost, std::chrono::nanoseconds(time).count());
    const int64_t before = nanoseconds_.load(std::memory_order_relaxed);
    nanoseconds_.store(before + (now - before) / (now < before ? 2 : 4), std::memory_order_relaxed);
  }

  bool near() const { return nanoseconds_.load(std::memory_order_relaxed) < 200; }

  // Now and then a job goes to a thread that is far away, so that its way is measured again.
  bool is_due(Clock::time_point now) const {
    constexpr std::chrono::milliseconds kPeriod{4};
    return now.time_since_epoch() - Clock::duration(asked_.load(std::memory_order_relaxed)) > kPeriod;
  }
  void asked(Clock::time_point now) { asked_.store(now.time_since_epoch().count(), std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> nanoseconds_{0};
  std::atomic<Clock::rep> asked_{0};
};

// One call of parallel_for. Lives on its caller's stack: the caller waits
// until it is out of the boxes and the queue, and `helpers` is 0.
//
// Its range has a part for each thread, where that thread begins, before it takes
// from the others' what is left: so a thread finds in its own cache what it wrote
// in the call before.
class Job {
 public:
  Job(int64_t n, int64_t chunk, int threads, detail::RangeFunction call, const void* function)
      : call_(call), function_(function), n_(n), chunk_(chunk), chunks_((n + chunk - 1) / chunk) {
    parts_ = static_cast<int>(std::min<int64_t>({threads, chunks_, kMostParts}));
    for (int part = 0; part < parts_; ++part) next_[part].at.store(begin_of(part), std::memory_order_relaxed);
  }

  int64_t chunks() const { return chunks_; }

  bool exhausted() const {
    for (int part = 0; part < parts_; ++part)
      if (next_[part].at.load(std::memory_order_relaxed) < begin_of(part + 1)) return false;
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

  alignas(kCacheLine) std::atomic<int> helpers{0};  // that have it, or find it in their box
  std::exception_ptr error{};                       // guarded by the pool's mutex
  const Clock::time_point begun = Clock::now();

 private:
  static constexpr int kMostParts = 16;

  int64_t begin_of(int part) const { return std::min(n_, chunks_ * part / parts_ * chunk_); }

  void run_part(int part, std::exception_ptr& caught) {
    const int64_t end = begin_of(part + 1);
    for (int64_t begin; (begin = next_[part].at.fetch_add(chunk_, std::memory_order_relaxed)) < end;) {
      try {
        call_(function_, begin, std::min(begin + chunk_, end));
      } catch (...) {
        caught = std::current_exception();
        for (int other = 0; other < parts_; ++other) next_[other].at.store(n_, std::memory_order_relaxed);
      }
    }
  }

  struct alignas(kCacheLine) Next {
    std::atomic<int64_t> at;
  };

  alignas(kCacheLine) detail::RangeFunction call_;
  const void* function_;
  int64_t n_, chunk_, chunks_;
  int parts_;
  std::array<Next, kMostParts> next_;
};

// Where a thread that watches finds its next job, which costs no lock.
class alignas(kCacheLine) Box {
 public:
  bool open() const { return job_.load(std::memory_order_relaxed) == nullptr; }

  // By the thread whose box it is. close() gives the job that came in the last moment, or null.
  void watch() { job_.store(nullptr, std::memory_order_release); }
  Job* close() {
    Job* const job = job_.exchange(closed(), std::memory_order_acquire);
    return job == closed() ? nullptr : job;
  }

  // By callers. take_back() fails once the job has been taken out.
  bool put(Job& job) {
    Job* expected = nullptr;
    return job_.compare_exchange_strong(expected, &job, std::memory_order_release, std::memory_order_relaxed);
  }
  bool take_back(Job& job) {
    Job* expected = &job;
    return job_.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed);
  }

  bool owned = false;  // guarded by the pool's mutex

 private:
  static Job* closed() {
    alignas(Job) static char nobody;
    return reinterpret_cast<Job*>(&nobody);
  }

  std::atomic<Job*> job_{closed()};
};

class Pool {
 public:
  // Never destroyed: its threads may outlive static destructors.
  static Pool& instance() {
    static Pool& pool = *new Pool;
    return pool;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }
  int watching() const { return watching_.load(std::memory_order_relaxed); }

  bool is_near() const { return distance_.near(); }

  // Whether little work should be shared.
  bool helper_is_near() {
    const bool near = is_near();
    if (watching() > 0 && near) return true;
    const auto now = Clock::now();
    const bool due = !near && distance_.is_due(now);
    if (due && watching() > 0) {
      distance_.asked(now);
      return true;
    }
    if (near || due) count_call(now);
    return false;
  }

  void set_threads(int count) {
    const std::lock_guard lock(mutex_);
    threads_.store(count, std::memory_order_relaxed);
    wake_.notify_all();
  }

  // Without `wake` only threads that watch help.
  void run(Job& job, bool wake) {
    caller_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
    const int wanted = static_cast<int>(std::min<int64_t>(job.chunks(), threads()) - 1);
    const uint64_t boxes = offer(job, wanted);
    const int missing = wanted - std::popcount(boxes);
    const bool queued = wake && missing > 0;
    if (queued) post(job, missing);
    std::exception_ptr error = job.run_ranges(0);
    take_back(job, boxes);
    if (queued) {
      const std::lock_guard lock(mutex_);
      std::erase(queue_, &job);
    }
    wait_for_helpers(job);
    if (!error) error = job.error;
    if (error) std::rethrow_exception(error);
  }

 private:
  static constexpr int kBoxes = 64;  // threads above so many take jobs from the queue only

  Pool() : threads_(default_threads()) {}

  // Waking a thread costs about as much as it saves in so many calls.
  void count_call(Clock::time_point now) {
    constexpr int kCalls = 8;
    thread_local int calls = 0;
    thread_local Clock::time_point last;
    calls = now - last < util::BusyPoll::kUsual ? calls + 1 : 1;
    last = now;
    if (calls < kCalls) return;
    calls = 0;
    rouse();
  }

  // Lets a thread that sleeps watch for a while.
  void rouse() {
    caller_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      start_workers();
      if (sleeping_ == 0) return;
      ++roused_;
    }
    wake_.notify_one();
  }

  void start_workers() {
    try {
      for (; workers_ < threads() - 1; ++workers_) std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      // The caller does the work of the threads that the system refuses.
    }
  }

  bool superfluous() const { return workers_ > threads() - 1; }

  // Puts the job into up to `wanted` open boxes, and says which.
  uint64_t offer(Job& job, int wanted) {
    uint64_t boxes = 0;
    for (int i = 0; i < kBoxes && wanted > 0 && watching() > std::popcount(boxes); ++i) {
      if (!boxes_[i].open()) continue;
      job.helpers.fetch_add(1, std::memory_order_relaxed);
      if (boxes_[i].put(job)) {
        boxes |= uint64_t{1} << i;
        --wanted;
      } else {
        job.helpers.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    return boxes;
  }

  void take_back(Job& job, uint64_t boxes) {
    for (; boxes != 0; boxes &= boxes - 1)
      if (boxes_[std::countr_zero(boxes)].take_back(job)) job.helpers.fetch_sub(1, std::memory_order_relaxed);
  }

  void post(Job& job, int wanted) {
    int wakes = 0;
    {
      const std::lock_guard lock(mutex_);
      start_workers();
      queue_.push_back(&job);
      posted_.fetch_add(1, std::memory_order_release);
      wakes = std::min(wanted, sleeping_);
    }
    for (; wakes > 0; --wakes) wake_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    int number = 0;
    while (number < kBoxes && boxes_[number].owned) ++number;
    Box* const box = number < kBoxes ? &boxes_[number] : nullptr;
    if (box) box->owned = true;
    while (!superfluous()) {
      if (queue_.empty()) {
        const uint64_t seen = posted_.load(std::memory_order_relaxed);
        lock.unlock();
        if (box)
          watch_box(*box, number + 1, seen);
        else
          watch(for_work, [&] { return posted_.load(std::memory_order_acquire) != seen; });
        lock.lock();
        if (queue_.empty()) sleep(lock);
      } else {
        help(*queue_.front(), number + 1, lock);
      }
    }
    if (box) box->owned = false;
    --workers_;
  }

  // Does what comes into the box, until nothing comes for a while or a job is posted.
  void watch_box(Box& box, int thread, uint64_t seen) {
    const auto posted = [&] { return posted_.load(std::memory_order_acquire) != seen; };
    make_way();
    while (true) {
      box.watch();
      watching_.fetch_add(1, std::memory_order_relaxed);
      const bool called = watch(for_work, [&] { return !box.open() || posted(); });
      watching_.fetch_sub(1, std::memory_order_relaxed);
      // A job that has been taken back was a call, too.
      Job* const job = box.close();
      if (job) {
        distance_.measured(Clock::now() - job->begun);
        work_on(*job, thread);
      }
      if ((!called && !job) || posted()) return;
    }
  }

  void sleep(std::unique_lock<std::mutex>& lock) {
    ++sleeping_;
    wake_.wait(lock, [&] { return !queue_.empty() || superfluous() || roused_ > 0; });
    --sleeping_;
    if (roused_ > 0) --roused_;
  }

  void help(Job& job, int thread, std::unique_lock<std::mutex>& lock) {
    if (job.exhausted()) {
      std::erase(queue_, &job);
      return;
    }
    job.helpers.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    work_on(job, thread);
    lock.lock();
  }

  // A thread is often woken on the CPU of the one that woke it, and would watch there in its way.
  void make_way() {
    const int cpu = sched_getcpu();
    if (cpu == caller_cpu_.load(std::memory_order_relaxed)) leave_cpu(cpu);
  }

  void work_on(Job& job, int thread) {
    make_way();
    std::exception_ptr error = job.run_ranges(thread);
    if (error) {
      const std::lock_guard lock(mutex_);
      if (!job.error) job.error = std::move(error);
    }
    // The job may be gone once this is 0. Either this thread sees that its caller sleeps, or the caller sees 0.
    if (job.helpers.fetch_sub(1, std::memory_order_seq_cst) > 1 || waiting_.load(std::memory_order_seq_cst) == 0)
      return;
    const std::lock_guard lock(mutex_);
    idle_.notify_all();
  }

  void wait_for_helpers(Job& job) {
    const auto done = [&] { return job.helpers.load(std::memory_order_seq_cst) == 0; };
    if (done() || watch(for_helpers, done)) return;
    distance_.measured(util::BusyPoll::kUsual);  // a thread that lost its CPU: what is little shouldn't wait for it
    std::unique_lock lock(mutex_);
    waiting_.fetch_add(1, std::memory_order_seq_cst);
    idle_.wait(lock, done);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }

  std::atomic<int> threads_;
  std::array<Box, kBoxes> boxes_;
  alignas(kCacheLine) std::atomic<int> watching_{0};  // threads with an open box
  std::atomic<uint64_t> posted_{0};                   // jobs in the queue so far
  std::atomic<int> caller_cpu_{-1};                   // of the last one
  Distance distance_;
  alignas(kCacheLine) std::mutex mutex_;
  std::condition_variable wake_;  // of workers that sleep
  std::condition_variable idle_;  // of callers that wait for helpers
  std::deque<Job*> queue_;
  int workers_ = 0, sleeping_ = 0;
  int roused_ = 0;               // of those that sleep
  std::atomic<int> waiting_{0};  // callers
};

}  // namespace

bool helper_is_near() { return !inside_range && num_threads() > 1 && Pool::instance().helper_is_near(); }

bool detail::is_worth_sharing(int64_t n, int64_t grain) {
  if (n < 2 * least_range(grain)) return false;
  return (n > grain && Pool::instance().is_near()) || helper_is_near();
}

void detail::run_in_parallel(int64_t n, int64_t grain, RangeFunction call, const void* function) {
  Pool& pool = Pool::instance();
  const bool wake = n > 2 * grain || (n > grain && pool.is_near());
  const int threads = inside_range ? 1 : std::min(pool.threads(), wake ? kMaxThreads : 1 + pool.watching());
  if (threads == 1) return call(function, 0, n);
  // A few ranges a thread, so that one that is held up leaves its share to the others; and as many for each.
  int64_t chunks = std::clamp<int64_t>(n / least_range(grain), 1, 4 * threads);
  if (chunks > threads) chunks -= chunks % threads;
  Job job(n, (n + chunks - 1) / chunks, threads, call, function);
  pool.run(job, wake);
}

int num_threads() { return Pool::instance().threads(); }

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument,
                "set_num_threads: expected a number from 1 to 1024, got " + std::to_string(count));
  Pool::instance().set_threads(count);
}

}  // namespace sm::kernels
