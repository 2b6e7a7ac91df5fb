#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "serve/batcher.hpp"
#include "serve/server.hpp"

namespace sm::io {

// The forwards of serve_model that run together. A request waits for its batch
// here, in one coroutine from its first to its last step: those that come while
// a batch runs enter `logic` together, and leave it together.
class BatchedRoute {
 public:
  // All of these outlive it. `name` is the route's.
  BatchedRoute(Server::State& server, Server::State::Served& route, std::string_view name,
               std::shared_ptr<Batcher> batcher);
  ~BatchedRoute();

  // Whether nothing about the request is out of the ordinary. Others take the handler's way into the same batches.
  bool takes(const http::Request& request) const;
  Task<http::Response> respond(http::Request request);
  RouteStatistics& statistics() { return route_.statistics; }

  // Destroys the coroutines that wait here: nothing runs them any more.
  void close();

 private:
  class Call;
  using Resume = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;

  Task<> pass_through(Call& call);
  void send_in(Call& call);
  void take_in();
  void send_out(Resume resume);
  void let_out();

  Server::State& server_;
  Server::State::Served& route_;
  const std::string_view name_;
  const std::shared_ptr<Batcher> batcher_;
  std::mutex mutex_;
  std::vector<Call*> arriving_;  // guarded by mutex_
  std::vector<Resume> leaving_;  // inside `logic` only, as what follows
  bool lets_out_ = false;        // soon
};

}  // namespace sm::io
