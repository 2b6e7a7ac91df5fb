#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "autograd/held.hpp"
#include "serve/parking.hpp"
#include "serve/request.hpp"
#include "shumai/io.hpp"

// Requests of serve_model that run together. Everything here runs on the
// server's logical thread.
namespace sm::io {

// Where serve_model keeps the way back of a forward.
inline constexpr const char* kBackward = "shumai.backward";

// Whether the client has a use for the gradient of its input.
bool wants_gradient_of(const User& user, const Tensor& input);

// Takes the gradient of `output` back: the weights' part is applied, the input's part is the answer.
Task<Content> optimize_alone(Tensor input, Tensor output, Update update, Tensor jacobian);

// The graph of one batch, and the gradients of it that wait for each other.
struct JointGraph;

// The rows of one client in the graph of its batch, from its forward to its step.
class BatchRows {
 public:
  BatchRows(std::shared_ptr<JointGraph> graph, int64_t begin, int64_t end, bool wants_gradient);
  ~BatchRows();
  BatchRows(const BatchRows&) = delete;
  BatchRows& operator=(const BatchRows&) = delete;
  // Its step was taken.
  void finish();

  const std::shared_ptr<JointGraph> graph;
  const int64_t begin, end;
  const bool wants_gradient;  // of its input
  bool finished = false;
};

// A gradient that waits to go back.
struct Returning {
  Returning(std::shared_ptr<BatchRows> rows_, Tensor jacobian_, boost::asio::any_io_executor executor_)
      : rows(std::move(rows_)), jacobian(std::move(jacobian_)), executor(std::move(executor_)) {}

  std::shared_ptr<BatchRows> rows;
  Tensor jacobian;
  boost::asio::any_io_executor executor;
  Parking parking;
  std::exception_ptr failure;
  Tensor input_gradient;
};
using Returnings = std::vector<std::shared_ptr<Returning>>;

// A forward that waits to run.
struct Caller {
  using ExecutorOf = std::function<boost::asio::any_io_executor()>;

  Caller(User& user, Tensor input_, ExecutorOf executor_, Waiter& waiter_);

  detail::Request& request;
  Tensor input;
  const bool wants_gradient;
  const ExecutorOf executor;  // on which the model runs for it
  const std::chrono::steady_clock::time_point since;
  Waiter& waiter;
  // Then one of:
  std::exception_ptr failure;
  Tensor output;  // of its own run, with its graph
  // or, of a batch: its rows, without a graph, and what holds theirs, if there is one.
  Tensor answer;
  std::shared_ptr<BatchRows> rows;
  std::vector<HeldBlock> held;
};
using Callers = std::vector<std::shared_ptr<Caller>>;

// Decides which forwards run together, and when.
//
// While a batch runs, those that come gather behind it: they are the next one.
// The next waits, `delay` at most, while fewer are there than the last one had
// and came while it ran: they may be on their way. So one client never waits,
// and clients that take turns are together after a round.
class Batcher : public std::enable_shared_from_this<Batcher> {
 public:
  // `joins_updates`: whether one update with the sum of gradients may stand for one with each.
  Batcher(Model model, Update update, BatchOptions options, std::function<bool()> joins_updates);
  ~Batcher();

  Task<Content> forward(User& user, Tensor input);

  // What forward() does, in two parts: `caller` waits to run, and once its waiter may leave, its answer.
  void arrive(const std::shared_ptr<Caller>& caller);
  Content answer_of(User& user, const Caller& caller);

  // Destroys the coroutines that wait here: nothing runs them any more.
  void close();

 private:
  struct Group;

  // --- Gathering ---
  std::shared_ptr<Group> group_for(const Caller& caller);
  // Once those that wait for the logical thread already have come.
  void look_soon(const std::shared_ptr<Group>& group);
  void look(const std::shared_ptr<Group>& group);
  void start(const std::shared_ptr<Group>& group);

  // --- Running ---
  static Task<> run(std::shared_ptr<Batcher> self, std::shared_ptr<Group> group, Callers callers);
  Task<> run_alone(Caller& caller);
  // False when they have to run alone.
  Task<bool> run_together(const Callers& callers);
  Task<Tensor> apply_model(Tensor input);
  static void share_out(const Callers& callers, const Tensor& input, const Tensor& output,
                        const boost::asio::any_io_executor& executor);

  // --- Going back ---
  static Task<Content> optimize(std::shared_ptr<Batcher> self, std::shared_ptr<BatchRows> rows, Tensor jacobian,
                                BatchStatistics* statistics);
  void arrive_back(const std::shared_ptr<Returning>& returning, BatchStatistics* statistics);
  static Task<> go_back(std::shared_ptr<Batcher> self, std::shared_ptr<JointGraph> graph, Returnings returning,
                        BatchStatistics* statistics);
  // Takes the step of all of them as one. False when each has to be tried alone.
  Task<bool> step(JointGraph& graph, const Returnings& returning);

  const Model model_;
  const Update update_;
  const BatchOptions options_;
  const std::function<bool()> joins_updates_;
  std::vector<std::shared_ptr<Group>> groups_;
  std::vector<std::weak_ptr<JointGraph>> gathering_;  // graphs for which a gradient waits
  size_t alone_ = 0;  // so many forwards run alone, after a batch whose gradients spread
};

}  // namespace sm::io
