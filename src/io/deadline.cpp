#include "io/deadline.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace sm::io {

// The deadlines of the process. Most requests are over long before theirs
// comes, and setting a timer is a system call: the thread that waits is told
// only of one that comes before it wakes by itself. It ends when it wakes and
// finds none.
class Deadlines {
 public:
  // Never destroyed, since the thread isn't waited for.
  static Deadlines& all() {
    static Deadlines& instance = *new Deadlines;
    return instance;
  }

  void add(Deadline& deadline) {
    const std::lock_guard lock(mutex_);
    if (!running_) start(deadline.when());
    entries_.insert(deadline);
    if (deadline.when() >= wakes_) return;
    wakes_ = deadline.when();
    sooner_.notify_one();
  }

  void remove(Deadline& deadline) {
    const std::lock_guard lock(mutex_);
    if (deadline.is_linked()) entries_.erase(entries_.iterator_to(deadline));
  }

  std::mutex& mutex() noexcept { return mutex_; }

 private:
  // A forked child has the memory but not the thread, nor anybody who waits.
  Deadlines() {
    pthread_atfork([] { all().mutex_.lock(); }, [] { all().mutex_.unlock(); },
                   [] {
                     all().running_ = false;
                     std::construct_at(&all().sooner_);
                     all().mutex_.unlock();
                   });
  }

  void start(Clock::time_point when) {
    // Signals are for the program's own threads.
    sigset_t none, before;
    sigfillset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &before);
    wakes_ = when;
    try {
      std::thread([this] { run(); }).detach();
      running_ = true;
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      while (Clock::now() < wakes_) sooner_.wait_until(lock, wakes_);
      cut(Clock::now());
      if (entries_.empty()) break;
      wakes_ = entries_.begin()->when();
    }
    running_ = false;
  }

  void cut(Clock::time_point now) {
    while (!entries_.empty() && entries_.begin()->when() <= now) {
      Deadline& deadline = *entries_.begin();
      entries_.erase(entries_.begin());
      deadline.passed_ = true;
      if (deadline.fd_ >= 0) ::shutdown(deadline.fd_, SHUT_RDWR);
    }
  }

  std::mutex mutex_;
  std::condition_variable sooner_;
  // Guarded by mutex_:
  boost::intrusive::multiset<Deadline> entries_;
  Clock::time_point wakes_;
  bool running_ = false;
};

Deadline::Deadline(Clock::time_point when) : when_(when) {
  if (when != Clock::time_point::max()) Deadlines::all().add(*this);
}

Deadline::~Deadline() {
  if (when_ != Clock::time_point::max()) Deadlines::all().remove(*this);
}

void Deadline::watch(int fd) {
  const std::lock_guard lock(Deadlines::all().mutex());
  fd_ = fd;
  if (passed_) ::shutdown(fd, SHUT_RDWR);
}

void Deadline::release() {
  const std::lock_guard lock(Deadlines::all().mutex());
  fd_ = -1;
}

bool Deadline::passed() const {
  const std::lock_guard lock(Deadlines::all().mutex());
  return passed_;
}

}  // namespace sm::io
