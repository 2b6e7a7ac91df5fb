#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <deque>
#include <functional>

namespace sm::js {

// The answers and snapshots of one server on their way from JavaScript's
// thread into the server's logic, where all of this runs.
//
// A checkpoint has the weights and the tickets whose steps they took. Weights
// are read on JavaScript's thread, tickets in the logic, and both have to be
// cut at the same answer: a step that only the weights know of would be taken
// again after a crash, and one that only the tickets know of would be lost.
//
// Invariant: JavaScript's thread posts answers and snapshots in the order in
// which they happened there, and they take effect in that order. The strand
// keeps it only for what is posted: an answer wakes the coroutine that waits
// for it, which settles its ticket in a later turn. So a snapshot waits until
// every answer before it is settled, and answers after it wait for the snapshot.
class Gate {
 public:
  // `wake` makes a coroutine call settling().
  void answer(std::function<void()> wake);
  void snapshot(std::function<void()> take);
  // A coroutine that was woken settles its ticket before this turn ends.
  void settling();
  // Once the server has stopped: lets go of all that knows the server.
  void close();

  // The logic's, once a handler was called. What there is to post comes after that.
  boost::asio::any_io_executor logic;

 private:
  struct Arrival {
    bool is_answer;
    std::function<void()> run;
  };
  void let_in();

  std::deque<Arrival> arrivals_;
  size_t awake_ = 0;  // coroutines that were woken and haven't settled
};

}  // namespace sm::js
