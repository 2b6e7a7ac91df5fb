#include "serve/server.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/core.h>

#include "http/problem.hpp"
#include "io/signals.hpp"
#include "serve/content.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"
#include "util/log.hpp"

namespace sm::io {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kOwnRoutes[] = {"health/live", "health/ready", "metrics", "statistics", ""};

http::Limits http_limits(const ServeLimits& limits) {
  http::Limits out;
  out.max_body_bytes = limits.max_body_bytes;
  out.max_connections = limits.max_connections;
  out.max_requests_in_flight = limits.max_requests_in_flight;
  return out;
}

bool is_local(std::string_view host) {
  return host.starts_with("127.") || host == "localhost" || host == "::1" || host.starts_with("unix:");
}

// The same values without their graphs, which stay on the logical thread.
Content without_graph(const Content& content) {
  if (content.is_tensor()) return make_alias(content.tensor());
  if (!content.is_tensors()) return content;
  Tensors bare;
  for (const auto& [name, tensor] : content.tensors()) bare.set(name, make_alias(tensor));
  return bare;
}

bool has_graph(const Content& content) {
  if (content.is_tensor()) return content.tensor().requires_grad();
  if (!content.is_tensors()) return false;
  for (const auto& [name, tensor] : content.tensors())
    if (tensor.requires_grad()) return true;
  return false;
}

}  // namespace

Server::State::State(Routes given, ServeOptions options_)
    : options(std::move(options_)),
      loop(static_cast<size_t>(std::max(1, options.threads))),
      logic(asio::make_strand(loop.context())),
      store(options.limits),
      http(
          loop.context(), [this](http::Request request) { return respond(std::move(request)); },
          http_limits(options.limits)),
      sweep_timer(logic),
      started(std::chrono::steady_clock::now()) {
  for (Route& route : given) {
    while (route.name.starts_with('/')) route.name.erase(0, 1);
    for (std::string_view own : kOwnRoutes)
      if (route.name == own)
        throw Error(ErrorCode::kInvalidArgument,
                    "serve: \"/" + route.name + "\" is answered by the server itself, choose another name");
    if (routes.contains(route.name))
      throw Error(ErrorCode::kInvalidArgument, "serve: the route \"" + route.name + "\" is given twice");
    routes.try_emplace(route.name, std::move(route.handler));
  }
  if (!is_local(options.hostname) && !options.insecure)
    throw Error(ErrorCode::kInvalidArgument,
                "serve: " + options.hostname +
                    " is reachable from other machines, where anyone could train and "
                    "read this model; serve on 127.0.0.1, or set insecure if that is meant");
}

Server::State::~State() { stop(); }

void Server::State::start() {
  asio::co_spawn(logic, sweep_now_and_then(), asio::detached);
  port = http.listen(options.hostname, options.port);
  ready = true;
}

void Server::State::stop() {
  {
    std::unique_lock lock(mutex);
    if (stopping) {
      changed.wait(lock, [this] { return stopped; });
      return;
    }
    stopping = true;
  }
  ready = false;
  const auto deadline = std::chrono::steady_clock::now() + options.limits.shutdown_grace;
  std::future<bool> drained = asio::co_spawn(loop.context(), http.drain(deadline), asio::use_future);
  if (!drained.get()) util::log_warning("serve: some requests were still running after the grace and are cut off");
  http.close_all();
  loop.stop();
  const std::lock_guard lock(mutex);
  stopped = true;
  changed.notify_all();
}

Task<http::Response> Server::State::respond(http::Request request) {
  std::string_view path = request.path();
  while (path.starts_with('/')) path.remove_prefix(1);
  if (path == "health/live") co_return http::Response::json(200, R"({"status":"live"})");
  if (path == "health/ready")
    co_return ready ? http::Response::json(200, R"({"status":"ready"})")
                    : http::problem(503, "unavailable", "the server is shutting down");
  if (path == "statistics") co_return co_await respond_statistics();
  if (path == "metrics") co_return respond_metrics();
  const auto found = routes.find(path);
  if (found == routes.end()) {
    std::string known;
    for (const auto& [name, route] : routes) known += (known.empty() ? "/" : ", /") + name;
    co_return http::problem(404, "not_found", "no route \"/" + std::string(path) + "\" here; there is " + known);
  }
  if (request.method != "POST" && request.method != "GET") {
    http::Response refused =
        http::problem(405, "method_not_allowed", "a route takes POST, or GET without a body, not " + request.method);
    refused.headers.set("Allow", "GET, POST");
    co_return refused;
  }
  co_return co_await respond_to_route(found->second, found->first, std::move(request));
}

Task<http::Response> Server::State::respond_to_route(Served& route, std::string_view name, http::Request request) {
  const auto begin = std::chrono::steady_clock::now();
  ++route.statistics.requests;
  std::exception_ptr failure;
  try {
    const bool json = http::body_size(request.body) == 0 ||
                      http::iequals(request.headers.get("Content-Type").substr(0, kJsonType.size()), kJsonType);
    const std::string_view type = choose_type(request.headers.get("Accept"), json ? kJsonType : kSafetensorsType);
    const Outcome outcome =
        co_await inside_logic(route, name, request, decode_content(request.headers, request.body, true));
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    Encoded encoded = encode_content(outcome.content, type);
    http::Response response = http::Response::empty(encoded.type.empty() ? 204 : 200);
    response.body = std::move(encoded.body);
    if (!encoded.type.empty()) response.headers.add_checked("Content-Type", encoded.type);
    response.headers.add_checked("Shumai-Session", outcome.session);
    if (!outcome.ticket.empty()) response.headers.add_checked("Shumai-Ticket", outcome.ticket);
    route.statistics.nanoseconds += static_cast<uint64_t>((std::chrono::steady_clock::now() - begin).count());
    co_return response;
  } catch (...) {
    failure = std::current_exception();
  }
  ++route.statistics.errors;
  std::rethrow_exception(failure);
}

// Not by co_spawn, whose result would queue up behind the requests that wait for `logic`.
Task<Server::State::Outcome> Server::State::inside_logic(Served& route, std::string_view name,
                                                         const http::Request& request, Content input) {
  const auto executor = co_await asio::this_coro::executor;
  ++waiting;
  co_await asio::dispatch(asio::bind_executor(logic, asio::use_awaitable));
  --waiting;
  Outcome outcome;
  try {
    outcome = co_await run_route(route, name, request, std::move(input));
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  // Out again. Deferring stays on this thread, which is cheapest, but comes only after the handlers that wait.
  if (waiting == 0)
    co_await asio::defer(executor, asio::use_awaitable);
  else
    co_await asio::post(executor, asio::use_awaitable);
  co_return outcome;
}

Task<std::shared_ptr<TicketCall>> Server::State::claim(Ticket& ticket, std::string_view route,
                                                       const http::Request& request) {
  const BodyDigest digest = digest_of(request.headers.get("Content-Type"), http::body_text(request.body));
  while (true) {
    const auto found = ticket.calls.find(route);
    if (found == ticket.calls.end()) break;
    const std::shared_ptr<TicketCall> earlier = found->second;
    if (earlier->body != digest)
      throw Error(ErrorCode::kUnprocessable,
                  "the ticket was already used for /" + std::string(route) + " with another body");
    if (earlier->done) co_return earlier;
    boost::system::error_code ignored;
    co_await earlier->finished->async_wait(
        asio::bind_executor(logic, asio::redirect_error(asio::use_awaitable, ignored)));
  }
  if (ticket.state == Ticket::State::kDone || ticket.state == Ticket::State::kExpired)
    throw Error(ErrorCode::kGone, "the ticket is done: its step was taken");
  auto mine = std::make_shared<TicketCall>();
  mine->body = digest;
  mine->finished = std::make_shared<asio::steady_timer>(logic, asio::steady_timer::time_point::max());
  ticket.calls.emplace(route, mine);
  co_return mine;
}

Task<Server::State::Outcome> Server::State::run_route(Served& route, std::string_view name,
                                                      const http::Request& request, Content input) {
  const std::string_view ticket_id = request.headers.get("Shumai-Ticket");
  const std::string_view session_id = request.headers.get("Shumai-Session");
  detail::Request context{store, request.headers, nullptr, nullptr};
  std::shared_ptr<TicketCall> call;
  if (!ticket_id.empty()) {
    context.ticketed = true;
    context.ticket = store.find(ticket_id, session_id);
    context.session = context.ticket->session;
    context.session->last_used = Clock::now();
    call = co_await claim(*context.ticket, name, request);
    if (call->done) {
      ++store.statistics().answers_replayed;
      if (!call->kept)
        throw Error(ErrorCode::kGone, "this call was already answered, and the answer was too large to keep");
      co_return Outcome{call->answer, context.session->id, context.ticket->id};
    }
    context.ticket->state = Ticket::State::kRunning;
  } else {
    context.session = store.session(session_id);
  }

  User user(context);
  Content result;
  std::exception_ptr failure;
  try {
    const Handler::Function& handler = route.handler.function();
    if (handler.is_async())
      result = co_await asio::co_spawn(logic, handler.call_async(user, std::move(input)),
                                       asio::bind_executor(logic, asio::use_awaitable));
    else
      result = handler.call(user, std::move(input));
  } catch (...) {
    failure = std::current_exception();
  }

  if (!failure && !context.ticket && has_graph(result)) context.ticket = store.mint(context.session);
  const Content answer = without_graph(result);
  if (context.ticket) settle(context, name, call.get(), answer, static_cast<bool>(failure));
  sessions = store.sessions();
  live_tickets = store.live_tickets();
  if (failure) std::rethrow_exception(failure);
  co_return Outcome{answer, context.session->id, context.ticket ? context.ticket->id : std::string()};
}

void Server::State::settle(detail::Request& context, std::string_view name, TicketCall* call, const Content& answer,
                           bool failed) {
  Ticket& ticket = *context.ticket;
  if (call) call->finished->cancel();
  if (ticket.state == Ticket::State::kExpired) return;
  if (!call) {
    ticket.state = Ticket::State::kCaptured;
    if (failed) store.expire(ticket);  // nobody will learn its name
    return;
  }
  if (ticket.state == Ticket::State::kRunning) ticket.state = Ticket::State::kCaptured;
  if (failed) {
    ticket.calls.erase(ticket.calls.find(name));
    return;
  }
  store.keep_answer(*call, answer);
  if (!context.captured && ticket.state != Ticket::State::kDone) store.finish(ticket);
}

Task<> Server::State::sweep_now_and_then() {
  while (true) {
    sweep_timer.expires_after(std::chrono::seconds(1));
    boost::system::error_code cancelled;
    co_await sweep_timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    store.sweep(Clock::now());
    sessions = store.sessions();
    live_tickets = store.live_tickets();
  }
}

// The handlers' thread may be busy for long: what it last told is answered then.
Task<http::Response> Server::State::respond_statistics() {
  auto told = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, std::chrono::milliseconds(20));
  asio::defer(logic, [this, told] {
    Json mine;
    try {
      if (options.statistics) mine = options.statistics();
    } catch (const std::exception& error) {
      mine["statistics_error"] = error.what();
    }
    const StoreStatistics& counts = store.statistics();
    {
      const std::lock_guard lock(mutex);
      user_statistics = std::move(mine);
      ticket_statistics = Json::object({{"minted", counts.tickets_minted},
                                        {"done", counts.tickets_done},
                                        {"expired", counts.tickets_expired},
                                        {"remembered", store.tickets()},
                                        {"answers_replayed", counts.answers_replayed}});
    }
    asio::defer(loop.context(), [told] { told->cancel(); });
  });
  boost::system::error_code ignored;
  co_await told->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return http::Response::json(200, statistics().dump());
}

Json Server::State::statistics() const {
  Json out = Json::object();
  Json by_route = Json::object();
  for (const auto& [name, route] : routes) {
    const uint64_t requests = route.statistics.requests;
    by_route[name] = Json::object({{"requests", requests},
                                   {"errors", route.statistics.errors.load()},
                                   {"seconds", static_cast<double>(route.statistics.nanoseconds) * 1e-9}});
  }
  out["uptime_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  out["routes"] = std::move(by_route);
  const http::ServerStatistics& counts = http.statistics();
  out["connections"] = counts.connections_open.load();
  out["requests_in_flight"] = counts.requests_in_flight.load();
  out["bytes_in"] = counts.bytes_in.load();
  out["bytes_out"] = counts.bytes_out.load();
  out["sessions"] = sessions.load();
  {
    const std::lock_guard lock(mutex);
    out["tickets"] = ticket_statistics.is_null() ? Json::object() : ticket_statistics;
    if (user_statistics.is_object())
      for (const auto& [key, value] : user_statistics.as_object()) out[key] = value;
  }
  out["tickets"]["live"] = live_tickets.load();
  out["tensor_bytes"] = util::Buffer::bytes_in_use();
  return out;
}

// The text format that Prometheus scrapes: https://prometheus.io/docs/instrumenting/exposition_formats/
http::Response Server::State::respond_metrics() const {
  std::string text;
  const auto metric = [&](std::string_view name, std::string_view type, std::string_view help) {
    text += fmt::format("# HELP shumai_{0} {2}\n# TYPE shumai_{0} {1}\n", name, type, help);
  };
  const auto single = [&](std::string_view name, std::string_view type, std::string_view help, double value) {
    metric(name, type, help);
    text += fmt::format("shumai_{} {}\n", name, value);
  };
  const auto by_route = [&](std::string_view name, std::string_view help, auto value) {
    metric(name, "counter", help);
    for (const auto& [route, served] : routes)
      text += fmt::format("shumai_{}{{route={}}} {}\n", name, http::json_quote(route), value(served.statistics));
  };
  by_route("requests_total", "Requests by route.", [](const RouteStatistics& s) { return s.requests.load(); });
  by_route("request_errors_total", "Requests that failed, by route.",
           [](const RouteStatistics& s) { return s.errors.load(); });
  by_route("request_seconds_total", "Time from decoded request to result, waiting included, by route.",
           [](const RouteStatistics& s) { return static_cast<double>(s.nanoseconds) * 1e-9; });
  const http::ServerStatistics& counts = http.statistics();
  single("received_bytes_total", "counter", "Bytes read from clients.", static_cast<double>(counts.bytes_in));
  single("sent_bytes_total", "counter", "Bytes written to clients.", static_cast<double>(counts.bytes_out));
  single("connections", "gauge", "Open connections.", static_cast<double>(counts.connections_open));
  single("requests_in_flight", "gauge", "Requests being handled.", static_cast<double>(counts.requests_in_flight));
  single("sessions", "gauge", "Sessions remembered.", static_cast<double>(sessions));
  single("tickets_live", "gauge", "Tickets that aren't done.", static_cast<double>(live_tickets));
  single("tensor_bytes", "gauge", "Bytes that tensors hold.", static_cast<double>(util::Buffer::bytes_in_use()));
  http::Response response = http::Response::text(200, text);
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

Server::~Server() {
  if (state_) state_->stop();
}

uint16_t Server::port() const { return state_->port; }

std::string Server::url() const {
  const std::string& host = state_->options.hostname;
  if (host.starts_with("unix:")) return host;
  return "http://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(state_->port);
}

void Server::wait() {
  io::wait_for_signal(state_->loop.context(), [state = std::weak_ptr(state_)](int) {
    if (const auto alive = state.lock()) {
      const std::lock_guard lock(alive->mutex);
      alive->stop_asked = true;
      alive->changed.notify_all();
    }
  });
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->stop_asked || state_->stopping; });
  lock.unlock();
  state_->stop();
}

void Server::stop() { state_->stop(); }

Json Server::statistics() const { return state_->statistics(); }

Server serve(Routes routes, ServeOptions options) {
  auto state = std::make_shared<Server::State>(std::move(routes), std::move(options));
  state->start();
  return Server(std::move(state));
}

}  // namespace sm::io
