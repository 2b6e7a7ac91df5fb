#include "gate.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace sm::js {

void Gate::answer(std::function<void()> wake) {
  arrivals_.push_back({true, std::move(wake)});
  let_in();
}

void Gate::snapshot(std::function<void()> take) {
  arrivals_.push_back({false, std::move(take)});
  let_in();
}

void Gate::settling() {
  if (--awake_ > 0 || arrivals_.empty()) return;
  // The server owns this object, and the strand runs nothing once the server has gone.
  boost::asio::post(logic, [this] { let_in(); });
}

void Gate::close() {
  arrivals_.clear();
  logic = {};
}

void Gate::let_in() {
  while (!arrivals_.empty() && (arrivals_.front().is_answer || awake_ == 0)) {
    const Arrival next = std::move(arrivals_.front());
    arrivals_.pop_front();
    if (next.is_answer) ++awake_;
    next.run();
  }
}

}  // namespace sm::js
