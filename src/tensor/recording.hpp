#pragma once

#include <utility>

namespace sm {

namespace detail {
// What grad_enabled() says; see util/block_cache.hpp for the model.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local bool recording;
}  // namespace detail

// Turns the recording of graphs on or off for its lifetime, on this thread;
// NoGrad's counterpart for the library itself.
class Recording {
 public:
  explicit Recording(bool on) noexcept : before_(std::exchange(detail::recording, on)) {}
  ~Recording() { detail::recording = before_; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool before_;
};

}  // namespace sm
