#include "kernels/parallel.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "shumai/error.hpp"

namespace sm::kernels {
namespace {

class ParallelFor : public testing::Test {
 protected:
  ParallelFor() : before_(num_threads()) {}
  ~ParallelFor() override { set_num_threads(before_); }

 private:
  int before_;
};

TEST_F(ParallelFor, CoversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    for (int64_t n : {0, 1, 2, 7, 64, 1000, 4097})
      for (int64_t grain : {0, 1, 3, 100, 5000}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
        parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (const auto& count : seen) ASSERT_EQ(count, 1) << threads << " threads, n " << n << ", grain " << grain;
      }
  }
}

TEST_F(ParallelFor, RangesAreAtLeastAnEighthOfAGrainLong) {
  set_num_threads(4);
  parallel_for(1003, 80, [&](int64_t begin, int64_t end) {
    EXPECT_TRUE(end == 1003 || end - begin >= 10) << begin << " to " << end;
  });
}

TEST_F(ParallelFor, LittleWorkStaysOnTheCaller) {
  set_num_threads(4);
  std::set<std::thread::id> ids;
  for (int64_t n : {1, 10, 23})
    parallel_for(n, 100, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin, 0);
      EXPECT_EQ(end, n);
      ids.insert(std::this_thread::get_id());
    });
  EXPECT_EQ(ids, std::set{std::this_thread::get_id()});
}

// Each range waits until all have begun, so this ends only when they run at once.
void expect_runs_at_once(int threads) {
  std::mutex mutex;
  std::condition_variable all;
  int begun = 0;
  parallel_for(threads, 0, [&](int64_t begin, int64_t end) {
    std::unique_lock lock(mutex);
    begun += static_cast<int>(end - begin);
    all.notify_all();
    EXPECT_TRUE(all.wait_for(lock, std::chrono::seconds(30), [&] { return begun == threads; }));
  });
}

TEST_F(ParallelFor, UsesAsManyThreadsAsAskedFor) {
  for (int threads : {2, 5, 3, 4}) {
    set_num_threads(threads);
    expect_runs_at_once(threads);
  }
}

// Whether two halves of what isn't worth waking a thread for run at once.
bool is_shared() {
  std::set<std::thread::id> threads;
  std::mutex mutex;
  parallel_for(2, 2, [&](int64_t, int64_t) {
    std::unique_lock lock(mutex);
    threads.insert(std::this_thread::get_id());
    lock.unlock();
    std::this_thread::yield();
  });
  return threads.size() == 2;
}

TEST_F(ParallelFor, AThreadThatWatchesSharesLessThanAGrain) {
  set_num_threads(2);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool shared = false;
  while (!shared && std::chrono::steady_clock::now() < deadline) {
    parallel_for(8, 1, [](int64_t, int64_t) { std::this_thread::yield(); });  // wakes it
    shared = is_shared();
  }
  EXPECT_TRUE(shared);
}

TEST_F(ParallelFor, CallsInQuickSuccessionWakeAThread) {
  set_num_threads(2);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool shared = false;
  while (!shared && std::chrono::steady_clock::now() < deadline) shared = is_shared();
  EXPECT_TRUE(shared);
}

TEST_F(ParallelFor, EachThreadBeginsInAPartOfItsOwn) {
  set_num_threads(2);
  std::mutex mutex;
  std::condition_variable both;
  std::set<std::thread::id> threads;
  std::set<int64_t> first;
  parallel_for(4, 1, [&](int64_t begin, int64_t) {
    std::unique_lock lock(mutex);
    if (!threads.insert(std::this_thread::get_id()).second) return;
    first.insert(begin);
    both.notify_all();
    EXPECT_TRUE(both.wait_for(lock, std::chrono::seconds(30), [&] { return threads.size() == 2; }));
  });
  EXPECT_EQ(first, (std::set<int64_t>{0, 2}));
}

TEST_F(ParallelFor, NestedCallsRunInline) {
  set_num_threads(3);
  std::atomic<int> total{0};
  parallel_for(6, 1, [&](int64_t begin, int64_t end) {
    const auto outer = std::this_thread::get_id();
    for (int64_t i = begin; i < end; ++i)
      parallel_for(100, 1, [&](int64_t from, int64_t to) {
        EXPECT_EQ(std::this_thread::get_id(), outer);
        total += static_cast<int>(to - from);
      });
  });
  EXPECT_EQ(total, 600);
}

TEST_F(ParallelFor, PassesExceptionsOnAndStaysUsable) {
  set_num_threads(3);
  for (int bad : {0, 17, 63})
    EXPECT_THROW(parallel_for(64, 1,
                              [&](int64_t begin, int64_t end) {
                                if (begin <= bad && bad < end) throw std::runtime_error("bad");
                              }),
                 std::runtime_error);
  expect_runs_at_once(3);
}

TEST_F(ParallelFor, SeveralCallersAtOnce) {
  set_num_threads(3);
  std::vector<std::thread> callers;
  std::vector<int64_t> sums(4);
  for (size_t c = 0; c < sums.size(); ++c)
    callers.emplace_back([&, c] {
      for (int round = 0; round < 200; ++round) {
        std::atomic<int64_t> sum{0};
        parallel_for(100, 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) sum += i;
        });
        sums[c] += sum;
      }
    });
  for (std::thread& caller : callers) caller.join();
  for (int64_t sum : sums) EXPECT_EQ(sum, 200 * 4950);
}

// How many threads of this process are running or ready to run.
int busy_threads() {
  int busy = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "stat");
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    const size_t name_end = line.rfind(')');
    busy += name_end != std::string::npos && line.substr(name_end + 2, 1) == "R";
  }
  return busy;
}

TEST_F(ParallelFor, IdleThreadsSleep) {
  set_num_threads(4);
  expect_runs_at_once(4);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (busy_threads() > 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(busy_threads(), 1);
}

TEST_F(ParallelFor, RefusesAThreadCountOutOfRange) {
  EXPECT_THROW(set_num_threads(0), Error);
  EXPECT_THROW(set_num_threads(1025), Error);
}

// For a fresh process, since the pool reads the variable once.
int threads_with(const char* value) {
  setenv("SHUMAI_THREADS", value, 1);
  return num_threads();
}

TEST(ParallelDeathTest, TheEnvironmentSetsTheThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(threads_with("7") == 7 ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(ParallelDeathTest, TheProcessExitsWhileThreadsSleep) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        set_num_threads(4);
        expect_runs_at_once(4);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sm::kernels
