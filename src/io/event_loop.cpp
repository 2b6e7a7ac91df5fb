#include "io/event_loop.hpp"

#include <algorithm>
#include <exception>
#include <string>

#include "util/log.hpp"

namespace sm::io {
namespace {

using Clock = std::chrono::steady_clock;

// Many handlers were ready at once, if it's no longer ago.
constexpr std::chrono::microseconds kCrowded{50};
// A leader that wasn't out of work for so long is in a handler that takes time. In a virtual machine a timer takes 20
// us and more to set, and again to expire.
constexpr std::chrono::microseconds kLate{1000};
// So many handlers in one go are worth another thread; one request can be eight.
constexpr size_t kCrowd = 16;

int64_t ns(Clock::time_point time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

bool is_recent(const std::atomic<int64_t>& time, std::chrono::nanoseconds within) {
  return ns(Clock::now()) - time.load(std::memory_order_relaxed) < within.count();
}

// What `run` returns; a handler that throws counts as one that ran.
template <class Run>
size_t logged(Run run) noexcept {
  try {
    return run();
  } catch (const std::exception& error) {
    util::log_error(std::string("event loop: a handler threw: ") + error.what());
  } catch (...) {
    util::log_error("event loop: a handler threw something that isn't an exception");
  }
  return 1;
}

}  // namespace

EventLoop::EventLoop(size_t threads)
    : context_(static_cast<int>(threads ? threads : 1)),
      work_(context_.get_executor()),
      running_(threads ? threads : 1) {
  for (size_t i = 1; i <= (threads ? threads : 1); ++i)
    threads_.emplace_back([this, i] {
      run(i);
      const std::lock_guard lock(mutex_);
      --running_;
      ended_.notify_all();
    });
}

bool EventLoop::join_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

EventLoop::~EventLoop() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void EventLoop::stop() noexcept {
  context_.stop();
  const std::lock_guard lock(mutex_);
  deputy_.notify_all();
  others_.notify_all();
}

void EventLoop::run(size_t me) noexcept {
  while (logged([this] { return context_.run_one(); }) > 0) {
    if (!busy_poll_.allowed()) continue;
    // Awake, until there is nothing to do.
    do {
      if (take_lead(me)) lead(me);
      stand_by(me);
    } while (leader_.load(std::memory_order_relaxed) == me && !context_.stopped());
  }
}

size_t EventLoop::run_ready() noexcept {
  return logged([this] { return context_.poll(); });
}

bool EventLoop::take_lead(size_t me) {
  if (const size_t leader = leader_.load(std::memory_order_relaxed); leader != kNobody) return leader == me;
  const std::lock_guard lock(mutex_);
  if (leader_ != kNobody) return false;
  out_of_work_.store(ns(Clock::now()), std::memory_order_relaxed);
  leader_ = me;
  return true;
}

// Until there was nothing to do for a while, or somebody else leads.
void EventLoop::lead(size_t me) {
  util::BusyPoll::Idle idle(busy_poll_);
  while (leader_.load(std::memory_order_relaxed) == me && !context_.stopped()) {
    const size_t handlers = run_ready();
    const auto now = Clock::now();
    out_of_work_.store(ns(now), std::memory_order_relaxed);
    if (handlers > 0) {
      idle.restart(now);
      if (handlers >= kCrowd) ask_for_help(now);
    } else if (!idle.wait(now)) {
      return resign(me);
    }
  }
}

void EventLoop::resign(size_t me) {
  const std::lock_guard lock(mutex_);
  if (leader_ != me) return;
  leader_ = kNobody;
  deputy_.notify_one();
  others_.notify_all();
}

void EventLoop::ask_for_help(Clock::time_point now) {
  crowded_.store(ns(now), std::memory_order_relaxed);
  if (!deputy_waits_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  deputy_.notify_one();
}

// As long as there are many handlers.
void EventLoop::help() {
  while (leader_ != kNobody && is_recent(crowded_, kCrowded) && !context_.stopped()) {
    const size_t handlers = run_ready();
    if (handlers >= kCrowd) ask_for_help(Clock::now());
    if (handlers == 0) std::this_thread::yield();
  }
}

// While somebody else leads.
void EventLoop::stand_by(size_t me) {
  std::unique_lock lock(mutex_);
  while (leader_ != kNobody && leader_ != me && !context_.stopped()) {
    if (is_recent(crowded_, kCrowded)) {
      others_.notify_one();
      lock.unlock();
      help();
      lock.lock();
    } else if (deputy_waits_) {
      others_.wait(lock);
    } else {
      deputy_waits_ = true;
      deputy_.wait_for(lock, kLate);
      deputy_waits_ = false;
      if (leader_ == kNobody || is_recent(crowded_, kCrowded) || is_recent(out_of_work_, kLate)) continue;
      out_of_work_.store(ns(Clock::now()), std::memory_order_relaxed);
      leader_ = me;
      others_.notify_one();
    }
  }
}

}  // namespace sm::io
