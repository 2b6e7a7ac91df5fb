#include "http/watch.hpp"

#include <poll.h>
#include <sys/socket.h>

namespace sm::http {
namespace {

using Clock = std::chrono::steady_clock;

int64_t now_ms() noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

// Milliseconds above, the phase in the lowest three bits.
int64_t pack(Phase phase, int64_t time) noexcept { return time * 8 + static_cast<int64_t>(phase); }
Phase phase_of(int64_t state) noexcept { return static_cast<Phase>(state & 7); }
int64_t time_of(int64_t state) noexcept { return state >> 3; }

bool hung_up(int fd) noexcept {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

}  // namespace

bool Watch::enter(Phase phase, std::chrono::milliseconds budget) noexcept {
  const int64_t next = pack(phase, now_ms() + budget.count());
  int64_t seen = state_.load();
  do {
    if (phase_of(seen) == Phase::kCut) return false;
  } while (!state_.compare_exchange_weak(seen, next));
  return true;
}

bool Watch::cut() const noexcept { return phase_of(state_.load()) == Phase::kCut; }

bool Watch::cut_if(int64_t seen, int how) noexcept {
  if (!state_.compare_exchange_strong(seen, pack(Phase::kCut, 0))) return false;
  ::shutdown(fd_, how);
  return true;
}

void Watch::check(int64_t now, int64_t tick) noexcept {
  const int64_t seen = state_.load();
  const Phase phase = phase_of(seen);
  if (phase == Phase::kCut) return;
  if (phase == Phase::kHandler) {
    if (now - time_of(seen) >= tick && hung_up(fd_)) peer_->gone.store(true, std::memory_order_relaxed);
    return;
  }
  // A request that took too long still gets an answer.
  const bool answers = phase == Phase::kHeader || phase == Phase::kBody;
  if (now >= time_of(seen)) cut_if(seen, answers ? SHUT_RD : SHUT_RDWR);
}

Watcher::Watcher(boost::asio::io_context& context, std::chrono::milliseconds tick) : timer_(context), tick_(tick) {}

void Watcher::add(Watch& watch) {
  std::lock_guard lock(mutex_);
  watch.index_ = watches_.size();
  watches_.push_back(&watch);
  if (watches_.size() == 1) schedule();
}

void Watcher::remove(Watch& watch) {
  std::lock_guard lock(mutex_);
  watches_.back()->index_ = watch.index_;
  watches_[watch.index_] = watches_.back();
  watches_.pop_back();
  if (watches_.empty()) timer_.cancel();
}

size_t Watcher::size() const {
  std::lock_guard lock(mutex_);
  return watches_.size();
}

void Watcher::cut_idle() {
  std::lock_guard lock(mutex_);
  for (Watch* watch : watches_) {
    const int64_t seen = watch->state_.load();
    if (phase_of(seen) == Phase::kIdle) watch->cut_if(seen, SHUT_RDWR);
  }
}

void Watcher::cut_all() {
  std::lock_guard lock(mutex_);
  for (Watch* watch : watches_) {
    watch->peer_->gone.store(true, std::memory_order_relaxed);
    watch->state_.store(pack(Phase::kCut, 0));
    ::shutdown(watch->fd_, SHUT_RDWR);
  }
}

// Setting the time again cancels the wait before, so there is one chain of
// ticks however often the list runs empty.
void Watcher::schedule() {
  timer_.expires_after(tick_);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    if (error) return;
    if (auto self = weak.lock()) self->sweep();
  });
}

void Watcher::sweep() {
  std::lock_guard lock(mutex_);
  if (watches_.empty()) return;
  const int64_t now = now_ms();
  for (Watch* watch : watches_) watch->check(now, tick_.count());
  schedule();
}

}  // namespace sm::http
