#include "io/deadline.hpp"

#include <sys/socket.h>

#include <mutex>

namespace sm::io {

struct Deadline::State {
  std::mutex mutex;
  int fd = -1;
  bool passed = false;
};

Deadline::Deadline(const boost::asio::any_io_executor& executor, Clock::time_point when)
    : when_(when), state_(std::make_shared<State>()), timer_(executor) {
  if (when == Clock::time_point::max()) return;
  timer_.expires_at(when);
  timer_.async_wait([state = state_](boost::system::error_code error) {
    if (error) return;
    std::lock_guard lock(state->mutex);
    state->passed = true;
    if (state->fd >= 0) ::shutdown(state->fd, SHUT_RDWR);
  });
}

Deadline::~Deadline() { release(); }

void Deadline::watch(int fd) {
  std::lock_guard lock(state_->mutex);
  state_->fd = fd;
  if (state_->passed) ::shutdown(fd, SHUT_RDWR);
}

void Deadline::release() {
  std::lock_guard lock(state_->mutex);
  state_->fd = -1;
}

bool Deadline::passed() const {
  std::lock_guard lock(state_->mutex);
  return state_->passed;
}

}  // namespace sm::io
