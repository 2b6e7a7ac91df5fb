#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "shumai/task.hpp"

namespace sm::io {

// Who waits for what somebody else does, on one strand.
class Waiter {
 public:
  // It is done. Goes on inside this call.
  virtual void leave() = 0;
  // It never will be.
  virtual void drop() = 0;

 protected:
  ~Waiter() = default;
};

// Where one coroutine waits for what another does. Not thread-safe: both run on
// one strand.
class Parking final : public Waiter {
 public:
  // Until leave(), or not at all when that came before.
  Task<> wait() {
    if (open_) co_return;
    co_await suspend();
  }

  // The one that waits goes on inside this call, up to where it waits next.
  void leave() override {
    open_ = true;
    if (resume_) std::exchange(resume_, nullptr)();
  }

  // Destroys the coroutine that waits.
  void drop() override { const auto gone = std::exchange(resume_, nullptr); }

 private:
  Task<> suspend() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this](auto handler) {
          resume_ = [own = std::make_shared<decltype(handler)>(std::move(handler))] { std::move (*own)(); };
        },
        boost::asio::use_awaitable);
  }

  bool open_ = false;
  std::function<void()> resume_;
};

}  // namespace sm::io
