#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "autograd/function.hpp"
#include "autograd/walk.hpp"
#include "shumai/error.hpp"

namespace sm {
namespace {

namespace asio = boost::asio;

// Awaits the branches that cross the network while it goes on with the rest.
class AsyncWalk {
 public:
  AsyncWalk(Walk& walk, Tensor root, asio::any_io_executor executor)
      : walk_(walk),
        root_(std::move(root)),
        executor_(executor),
        wake_(executor, asio::steady_timer::time_point::max()) {}

  Task<> run() {
    // Branches refer to this frame, so it stays until the last one has ended.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (true) {
      while (Node* node = failure_ ? nullptr : next()) launch(node);
      if (running_ == 0) break;
      boost::system::error_code ignored;
      if (!advanced_) co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      advanced_ = false;
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  Node* next() {
    try {
      return walk_.next_async();
    } catch (...) {
      failure_ = std::current_exception();
      return nullptr;
    }
  }

  void launch(Node* node) {
    const Tensor incoming = walk_.take(node);
    if (!incoming.defined()) {
      std::vector<Tensor> nothing(node->edges().size());
      return walk_.finish(node, nothing);
    }
    ++running_;
    asio::co_spawn(executor_, static_cast<FunctionNode*>(node)->backward_async(incoming, root_),
                   [this, node](std::exception_ptr error, std::vector<Tensor> gradients) {
                     --running_;
                     advanced_ = true;
                     if (!error)
                       walk_.finish(node, gradients);
                     else if (!failure_)
                       failure_ = error;
                     wake_.cancel();
                   });
  }

  Walk& walk_;
  const Tensor root_;
  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  int running_ = 0;
  bool advanced_ = false;
  std::exception_ptr failure_;
};

// Takes the root by value: a task may outlive the handle that made it.
Task<Gradients> backward_from(Tensor root, Tensor jacobian, BackwardOptions options) {
  Walk walk(root, jacobian, options);
  AsyncWalk branches(walk, make_alias(root), co_await asio::this_coro::executor);
  co_await branches.run();
  co_return walk.result();
}

}  // namespace

Gradients Tensor::backward(const Tensor& jacobian, BackwardOptions options) const {
  Walk walk(*this, jacobian, options);
  if (walk.next_async())
    throw Error(ErrorCode::kInvalidArgument, "backward: the graph crosses the network, await backward_async instead");
  return walk.result();
}

Task<Gradients> Tensor::backward_async(Tensor jacobian, BackwardOptions options) const {
  return backward_from(*this, std::move(jacobian), options);
}

}  // namespace sm
