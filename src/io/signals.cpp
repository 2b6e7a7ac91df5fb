#include "io/signals.hpp"

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <ctime>
#include <memory>
#include <mutex>

namespace sm::io {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM};
constexpr int64_t kSameRequest = 1'000'000'000;  // nanoseconds

std::atomic<int64_t> asked_at{0};

// One of the few clocks that a signal handler may read.
int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// `kill` of a process and then of its group, as timeout(1) does, is one request that arrives twice.
extern "C" void shumai_signal_again(int number) {
  if (now() - asked_at.load(std::memory_order_relaxed) < kSameRequest) return;
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// What the two signals do. The actions are set here and not by Asio's sets, which would fall back to the default
// between the first signal and the next.
class Actions {
 public:
  static Actions& get() {
    static Actions& actions = *new Actions;  // never destroyed: signals may come until the very end
    return actions;
  }

  void start_waiting() {
    const std::lock_guard lock(mutex_);
    if (waiting_++ == 0 || asked_) set(asio_);
  }

  void stop_waiting() {
    const std::lock_guard lock(mutex_);
    if (--waiting_ == 0 && !asked_) set(original_);
  }

  void signal_came() {
    const std::lock_guard lock(mutex_);
    asked_ = true;
    asked_at = now();
    struct sigaction again = {};
    again.sa_handler = shumai_signal_again;
    for (const int number : kSignals) sigaction(number, &again, nullptr);
  }

 private:
  using Set = std::array<struct sigaction, kSignals.size()>;

  Actions() : original_(read()), keeper_(context_, SIGINT, SIGTERM), asio_(read()) {}

  static Set read() {
    Set actions = {};
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], nullptr, &actions[i]);
    return actions;
  }
  void set(const Set& actions) {
    asked_ = false;
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &actions[i], nullptr);
  }

  std::mutex mutex_;
  int waiting_ = 0;     // guarded by mutex_
  bool asked_ = false;  // guarded by mutex_
  const Set original_;
  boost::asio::io_context context_;
  boost::asio::signal_set keeper_;  // with it, other sets come and go without touching the actions
  const Set asio_;
};

struct Waiting {
  explicit Waiting(boost::asio::io_context& context) : set(context, SIGINT, SIGTERM) { Actions::get().start_waiting(); }
  ~Waiting() { Actions::get().stop_waiting(); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  boost::asio::signal_set set;
};

}  // namespace

void wait_for_signal(boost::asio::io_context& context, std::function<void(int)> done) {
  Actions::get();
  auto waiting = std::make_shared<Waiting>(context);
  waiting->set.async_wait([waiting, done = std::move(done)](boost::system::error_code error, int number) {
    if (error) return;
    Actions::get().signal_came();
    done(number);
  });
}

}  // namespace sm::io
