#pragma once

#include <atomic>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "http/server.hpp"
#include "io/event_loop.hpp"
#include "serve/request.hpp"
#include "serve/store.hpp"
#include "shumai/io.hpp"

namespace sm::io {

// Counters of one route. Thread-safe.
struct RouteStatistics {
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> nanoseconds{0};  // from decoded request to result, waiting included
};

// A server from its first to its last byte.
//
// Threads: connections and codecs run on any of the loop's threads; handlers,
// sessions and tickets only inside `logic`, one at a time. A request goes into
// `logic` on the thread that parsed it, when nothing else is there, and out
// again without waking another.
struct Server::State {
  State(Routes routes, ServeOptions options);
  ~State();

  void start();
  void stop();
  Json statistics() const;

  struct Served {
    explicit Served(Handler handler) : handler(std::move(handler)) {}
    Handler handler;
    RouteStatistics statistics;
  };
  struct Outcome {
    Content content;
    std::string session;
    std::string ticket;  // empty when none was made or used
    std::exception_ptr failure;
  };

  Task<http::Response> respond(http::Request request);
  Task<http::Response> respond_to_route(Served& route, std::string_view name, http::Request request);
  // Enters `logic`, runs the route there, and leaves again.
  Task<Outcome> inside_logic(Served& route, std::string_view name, const http::Request& request, Content input);
  Task<Outcome> run_route(Served& route, std::string_view name, const http::Request& request, Content input);
  // The call of `route` under this ticket: done when it was made before, else ours to make.
  Task<std::shared_ptr<TicketCall>> claim(Ticket& ticket, std::string_view route, const http::Request& request);
  // Moves the ticket on after its call, successful or not.
  void settle(detail::Request& context, std::string_view name, TicketCall* call, const Content& answer, bool failed);
  Task<http::Response> respond_statistics();
  http::Response respond_metrics() const;
  Task<> sweep_now_and_then();

  const ServeOptions options;
  std::map<std::string, Served, std::less<>> routes;
  io::EventLoop loop;
  boost::asio::strand<boost::asio::io_context::executor_type> logic;
  Store store;  // inside `logic` only
  http::Server http;
  boost::asio::steady_timer sweep_timer;  // inside `logic` only

  std::atomic<size_t> sessions{0}, live_tickets{0};  // copies for statistics()
  std::atomic<size_t> waiting{0};                    // requests on their way into `logic`
  std::atomic<bool> ready{false};
  const std::chrono::steady_clock::time_point started;
  uint16_t port = 0;

  mutable std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  bool stop_asked = false;  // by a signal
  bool stopping = false;
  bool stopped = false;
  Json user_statistics;  // what options.statistics gave last
  Json ticket_statistics;
};

}  // namespace sm::io
