#include "serve/server.hpp"

#include <algorithm>
#include <cstdlib>
#include <future>

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
#include <hwy/cache_control.h>

#include "http/coding.hpp"
#include "http/problem.hpp"
#include "io/connect.hpp"
#include "io/signals.hpp"
#include "serve/batched_route.hpp"
#include "serve/content.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"
#include "util/log.hpp"

namespace sm::io {
namespace {

namespace asio = boost::asio;

// What remains for the end when the grace was used up.
constexpr std::chrono::milliseconds kLastSave{1000};
constexpr std::chrono::milliseconds kLastJoin{500};

constexpr std::string_view kOwnRoutes[] = {"health/live", "health/ready", "metrics", "statistics", "checkpoints", ""};
// Those that have paths below them.
constexpr std::string_view kOwnFolders[] = {"statistics", "checkpoints"};

http::Limits http_limits(const ServeLimits& limits) {
  http::Limits out;
  out.max_body_bytes = limits.max_body_bytes;
  out.max_header_bytes = limits.max_header_bytes;
  out.max_headers = limits.max_headers;
  out.max_connections = limits.max_connections;
  out.max_requests_in_flight = limits.max_requests_in_flight;
  out.header_timeout = limits.header_timeout;
  out.body_timeout = limits.body_timeout;
  out.min_body_rate = limits.min_body_rate;
  out.keep_alive_timeout = limits.keep_alive_timeout;
  out.write_timeout = limits.write_timeout;
  out.linger_timeout = limits.linger_timeout;
  return out;
}

int status_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.status();
  } catch (...) {
    return http_status(ErrorCode::kInternal);
  }
}

bool is_own_route(std::string_view name) {
  return std::find(std::begin(kOwnRoutes), std::end(kOwnRoutes), name) != std::end(kOwnRoutes);
}

// The name by which a token opens a path of the server's own, and of any other.
std::string_view own_route_of(std::string_view path) {
  for (const std::string_view folder : kOwnFolders)
    if (path.starts_with(folder) && path.substr(folder.size()).starts_with('/')) return folder;
  return path;
}

// The step was taken: that the answer doesn't fit what was asked for is about the answer alone.
Encoded encode_answer(const Content& content, const Forms& forms, const ShumaiMark& mark) {
  try {
    return encode_content(content, forms, mark);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfRange) throw;
    throw Error(ErrorCode::kNotAcceptable, error.what());
  }
}

// False when it stays occupied for longer than the microsecond or two that many handlers take: waiting in the queue
// costs more than that, but only that.
bool soon_free(const std::atomic<bool>& occupied) {
  constexpr int kPauses = 48;
  for (int i = 0; i < kPauses && occupied.load(std::memory_order_relaxed); ++i) hwy::Pause();
  return !occupied.load(std::memory_order_relaxed);
}

// Runs `work` inside `logic`, on this thread and before it returns, when nothing else is there. Else not at all: what
// dispatch() then puts into the queue finds that its time has passed.
template <class Strand, class Work>
void enter_at_once(const Strand& logic, Work work) {
  struct Entry {
    uint64_t last = 0;
    uint64_t current = 0;  // the entry that is being made; 0: none
  };
  thread_local Entry entry;
  const uint64_t number = ++entry.last;
  struct Restore {
    uint64_t outer;
    ~Restore() { entry.current = outer; }
  } const restore{std::exchange(entry.current, number)};
  asio::dispatch(logic, [own = &entry, number, &work] {
    if (own != &entry || entry.current != number) return;
    entry.current = 0;
    work();
  });
}

// Null when nothing of it is set.
std::shared_ptr<TlsServer> make_tls(const ServeOptions& options) {
  const TlsOptions& tls = options.tls;
  if (tls.cert_file.empty() && tls.key_file.empty() && tls.client_ca_file.empty()) return nullptr;
  if (options.hostname.starts_with("unix:"))
    throw Error(ErrorCode::kInvalidArgument, "serve: TLS is for TCP; who may use a Unix socket its file's mode says");
  return std::make_shared<TlsServer>(tls);
}

}  // namespace

std::string sender_of(const ShumaiMark& mark) {
  return mark.given ? fmt::format("{:x}", static_cast<uint64_t>(mark.provenance)) : std::string();
}

Server::State::State(Routes given, ServeOptions options_)
    : access(options_),
      options(std::move(options_)),
      id(random_id().substr(0, 8)),
      tls(make_tls(options)),
      loop(static_cast<size_t>(std::max(1, options.threads))),
      logic(asio::make_strand(loop.context())),
      store(options.limits),
      saver(options.checkpoint.directory.empty()
                ? nullptr
                : std::make_shared<Saver>(with_replica_state(options.checkpoint), store, logic)),
      http(
          loop.context(), [this](http::Request request) { return receive(std::move(request)); },
          http_limits(options.limits),
          [this](const http::RequestHead& head, const http::Peer& peer) { return admit(head, peer); }),
      sweep_timer(logic),
      average_timer(logic, asio::steady_timer::time_point::max()),
      callees(Callees::make(id)),
      started(std::chrono::steady_clock::now()) {
  for (Route& route : given) {
    while (route.name.starts_with('/')) route.name.erase(0, 1);
    if (is_own_route(own_route_of(route.name)) || is_inference_path(route.name))
      throw Error(ErrorCode::kInvalidArgument,
                  "serve: \"/" + route.name + "\" is answered by the server itself, choose another name");
    if (routes.contains(route.name))
      throw Error(ErrorCode::kInvalidArgument, "serve: the route \"" + route.name + "\" is given twice");
    routes.try_emplace(route.name, std::move(route.handler));
  }
  add_models();
  batches.learning = &learning;
  if (options.guard.enabled) guard.emplace(options.guard.max_norm);
  access.check_routes(
      [this](std::string_view name) { return name == "v2" || is_own_route(name) || routes.contains(name); });
}

Server::State::~State() {
  if (!stop()) loop.join_until(std::chrono::steady_clock::now() + std::chrono::hours(24 * 365));
  // Before the loop goes, on which they wait.
  if (batched) batched->close();
}

void Server::State::start() {
  // The name is looked up once, so that what is checked is what is listened on.
  const std::string address = listen_address(options.hostname);
  access.check_address(address);
  if (saver) updates.version = saver->resume();
  if (!options.replicas.rendezvous.empty()) make_replica();
  asio::co_spawn(logic, sweep_now_and_then(), asio::detached);
  asio::co_spawn(loop.context(), record_now_and_then(), asio::detached);
  if (!options.token_file.empty()) asio::co_spawn(loop.context(), read_tokens_now_and_then(), asio::detached);
  port = http.listen(address, options.port, options.socket_mode, tls);
  if (replica) replica->start();
  ready = true;
}

bool Server::State::stop() {
  {
    std::unique_lock lock(mutex);
    if (stopping) {
      changed.wait(lock, [this] { return stopped; });
      return stopped_clean;
    }
    stopping = true;
  }
  ready = false;
  closing = true;
  const auto deadline = std::chrono::steady_clock::now() + options.limits.shutdown_grace;
  std::future<bool> drained = asio::co_spawn(loop.context(), http.drain(deadline), asio::use_future);
  // With every thread in a handler nobody can tell.
  const bool told = drained.wait_until(deadline + std::chrono::milliseconds(100)) == std::future_status::ready;
  if (!told || !drained.get())
    util::log_warning("serve: some requests were still running after the grace and are cut off");
  if (replica) replica->stop(std::max(deadline, Clock::now() + kLastSave));
  if (saver) save_at_stop(deadline);
  http.close_all();
  loop.stop();
  const bool clean = loop.join_until(std::max(deadline, std::chrono::steady_clock::now() + kLastJoin));
  const std::lock_guard lock(mutex);
  stopped = true;
  stopped_clean = clean;
  changed.notify_all();
  return clean;
}

void Server::State::save_at_stop(Clock::time_point deadline) {
  std::future<void> saved = asio::co_spawn(
      logic, [](std::shared_ptr<Saver> own) -> Task<> { co_await own->flush(); }(saver), asio::use_future);
  if (saved.wait_until(std::max(deadline, Clock::now() + kLastSave)) != std::future_status::ready)
    util::log_error("serve: the last checkpoint wasn't written: a handler is still running, or the disk is too slow");
}

std::string_view Server::State::asked_route(std::string_view path) {
  if (!is_inference_path(path)) return own_route_of(path);
  try {
    const InferenceTarget target = InferenceTarget::parse(path);
    if (target.kind == InferenceTarget::Kind::kLive) return "health/live";
    if (target.kind == InferenceTarget::Kind::kReady) return "health/ready";
    if (target.kind != InferenceTarget::Kind::kServer) return route_of_model(target.model).model->route();
  } catch (const Error&) {  // there is none
  }
  return "v2";
}

http::Answer Server::State::receive(http::Request&& request) {
  const bool compress = http::accepts_zstd(request.headers);
  if (compress || request.headers.find("Content-Encoding")) return respond_coded(std::move(request), compress);
  if (batched && batched->takes(request)) return counted(batched->statistics(), batched->respond(std::move(request)));
  if (std::optional<http::Response> answer = respond_at_once(request)) return std::move(*answer);
  return respond(std::move(request));
}

Task<http::Response> Server::State::respond_coded(http::Request request, bool compress) {
  if (std::optional<http::Response> refused = http::refuse_coding(request.headers)) co_return std::move(*refused);
  http::decode_body(request.headers, request.body, options.limits.max_body_bytes);
  http::Response response = co_await respond(std::move(request));
  if (compress) http::compress_body(response.headers, response.body);
  co_return response;
}

Task<http::Response> Server::State::respond(http::Request request) {
  const std::string_view path = route_of(request.path());
  if (path == "health/live") co_return http::Response::json(200, R"({"status":"live"})");
  if (path == "health/ready")
    co_return ready ? http::Response::json(200, R"({"status":"ready"})")
                    : http::problem(503, "unavailable", "the server is shutting down");
  if (path.empty()) co_return respond_page(request);
  if (path == "statistics") {
    const Json told = co_await ask_statistics();
    co_return http::Response::json(200, told.dump());
  }
  if (path == "statistics/feed") co_return co_await respond_feed(request);
  if (path == "statistics/stream") co_return co_await respond_stream(request);
  if (own_route_of(path) == "checkpoints") co_return co_await respond_checkpoints(request);
  if (path == "metrics") co_return respond_metrics();
  if (is_inference_path(path)) co_return co_await respond_inference(std::move(request));
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
  Served& route = found->second;
  co_return co_await counted(route.statistics, respond_to_route(route, found->first, std::move(request)));
}

Task<http::Response> Server::State::counted(RouteStatistics& statistics, Task<http::Response> answer) {
  const auto begin = Clock::now();
  ++statistics.requests;
  std::exception_ptr failure;
  try {
    http::Response response = co_await std::move(answer);
    statistics.count_answer(response.status, Clock::now() - begin);
    co_return response;
  } catch (...) {
    failure = std::current_exception();
  }
  statistics.count_answer(status_of(failure), Clock::now() - begin);
  std::rethrow_exception(failure);
}

std::optional<http::Response> Server::State::respond_at_once(http::Request& request) {
  if (saver || options.replicas.synchronous || waiting > 0 || !soon_free(occupied)) return std::nullopt;
  const auto found = routes.find(route_of(request.path()));
  if (found == routes.end() || found->second.handler.function().is_async()) return std::nullopt;
  if (request.method != "POST" && request.method != "GET") return std::nullopt;
  RouteStatistics& statistics = found->second.statistics;
  const auto begin = Clock::now();
  ++statistics.requests;
  std::exception_ptr failure;
  try {
    std::optional<http::Response> response = answer_at_once(found->second, found->first, request);
    if (response)
      statistics.count_answer(response->status, Clock::now() - begin);
    else
      --statistics.requests;
    return response;
  } catch (...) {
    failure = std::current_exception();
  }
  statistics.count_answer(status_of(failure), Clock::now() - begin);
  std::rethrow_exception(failure);
}

std::optional<http::Response> Server::State::answer_at_once(Served& route, std::string_view name,
                                                            const http::Request& request) {
  const Forms forms = acceptable_forms(request);
  ShumaiMark mark;
  Content input = decode_content(request.headers, request.body, true, &mark);
  const Content given = route.model ? input : Content();
  Pass pass{route,   name,    request,        Clock::now(), {store, request.headers, nullptr, nullptr},
            nullptr, nullptr, sender_of(mark)};
  introduce(pass);
  std::optional<Outcome> outcome;
  soon_free(occupied);
  enter_at_once(logic, [&] {
    try {
      outcome = run_at_once(pass, input);
    } catch (...) {
      outcome.emplace().failure = std::current_exception();
    }
  });
  if (!outcome) return std::nullopt;
  if (outcome->failure) std::rethrow_exception(outcome->failure);
  return compose(route, *outcome, given, forms, std::move(mark));
}

Task<http::Response> Server::State::respond_to_route(Served& route, std::string_view name, http::Request request) {
  const Forms forms = acceptable_forms(request);
  ShumaiMark mark;
  Content input = decode_content(request.headers, request.body, true, &mark);
  const Content given = route.model ? input : Content();
  const Outcome outcome = co_await inside_logic(route, name, request, std::move(input), nullptr, sender_of(mark));
  if (outcome.failure) std::rethrow_exception(outcome.failure);
  co_return compose(route, outcome, given, forms, std::move(mark));
}

void Server::State::introduce(Pass& pass) {
  pass.context.message = &pass.request;
  pass.context.begin = pass.begin;
  pass.context.batches = &batches;
  if (pass.request.peer) pass.context.peer_name = &pass.request.peer->name;
}

http::Response Server::State::compose(Served& route, const Outcome& outcome, const Content& given, const Forms& forms,
                                      ShumaiMark mark) {
  if (route.model) route.model->saw(given, outcome.content);
  mark.requires_grad = outcome.differentiable;
  mark.props.clear();
  Encoded encoded = encode_answer(outcome.content, forms, mark);
  http::Response response = http::Response::empty(encoded.type.empty() ? 204 : 200);
  response.body = std::move(encoded.body);
  if (!encoded.type.empty()) response.headers.add_checked("Content-Type", encoded.type);
  response.headers.add_checked("Shumai-Session", outcome.session);
  if (!outcome.ticket.empty()) response.headers.add_checked("Shumai-Ticket", outcome.ticket);
  return response;
}

// Not by co_spawn, whose result would queue up behind the requests that wait for `logic`.
Task<Server::State::Outcome> Server::State::inside_logic(Served& route, std::string_view name,
                                                         const http::Request& request, Content input,
                                                         const InferenceTarget* inference, std::string sender) {
  const auto executor = co_await asio::this_coro::executor;
  Pass pass{route,   name,      request,          Clock::now(), {store, request.headers, nullptr, nullptr},
            nullptr, inference, std::move(sender)};
  introduce(pass);
  {
    struct Waiting {
      std::atomic<size_t>& count;
      explicit Waiting(std::atomic<size_t>& all) : count(all) { ++count; }
      ~Waiting() { --count; }
    } const here(waiting);
    co_await asio::dispatch(asio::bind_executor(logic, asio::use_awaitable));
  }
  Outcome outcome;
  try {
    outcome = co_await run_route(pass, std::move(input));
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

Task<> Server::State::sweep_now_and_then() {
  while (true) {
    sweep_timer.expires_after(std::chrono::seconds(1));
    boost::system::error_code cancelled;
    co_await sweep_timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    const Clock::time_point now = Clock::now();
    store.sweep(now);
    if (tls) tls->check_files();
    if (saver) saver->tick(now);
    sessions = store.sessions();
    live_tickets = store.live_tickets();
    finished_tickets = store.finished_tickets();
    ticket_bytes = store.held_bytes();
  }
}

Task<> Server::State::read_tokens_now_and_then() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (true) {
    timer.expires_after(std::chrono::seconds(1));
    boost::system::error_code cancelled;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    access.reload();
  }
}

Server::~Server() {
  if (state_) state_->stop();
}

uint16_t Server::port() const { return state_->port; }

std::string Server::url() const {
  const std::string& host = state_->options.hostname;
  if (host.starts_with("unix:")) return host;
  return (state_->tls ? "https://" : "http://") + (host.find(':') == std::string::npos ? host : "[" + host + "]") +
         ":" + std::to_string(state_->port);
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
  const bool by_signal = state_->stop_asked;
  lock.unlock();
  if (state_->stop() || !by_signal) return;
  // Waiting for the handler could take for ever, and a grace was promised.
  util::log_error("serve: a handler is still computing after the grace; the process ends without it");
  std::_Exit(EXIT_FAILURE);
}

void Server::stop() { state_->stop(); }

Json Server::statistics() const { return state_->statistics(); }

Tensors Server::replica_state() const { return state_->replica_state(); }

Server serve(Routes routes, ServeOptions options) {
  auto state = std::make_shared<Server::State>(std::move(routes), std::move(options));
  state->start();
  return Server(std::move(state));
}

}  // namespace sm::io
