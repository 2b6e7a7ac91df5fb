#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>
#include <cmath>
#include <limits>

#include "http/problem.hpp"
#include "serve/page.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"
#include "util/buffer.hpp"
#include "util/process.hpp"

// The page at "/" and what it shows: see docs/dashboard.md.
namespace sm::io {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kMostWatchers = 32;
constexpr milliseconds kSecond{1000};
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Of "a=1&b=2"; empty when it isn't there. Values have no percent signs in them.
std::string_view parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.starts_with(name) && part.substr(name.size()).starts_with('=')) return part.substr(name.size() + 1);
  }
  return {};
}

// Digits and dots, which is what cursors and paths of models are made of.
std::string checked(std::string_view name, std::string_view value) {
  if (value.size() > 100 || value.find_first_not_of("0123456789.") != std::string_view::npos)
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + " must be numbers with dots between them, got \"" +
                                                 std::string(value.substr(0, 40)) + "\"");
  return std::string(value);
}

milliseconds interval_of(std::string_view query) {
  const std::string_view text = parameter(query, "interval");
  if (text.empty()) return kSecond;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0.5) || !(seconds <= 60))
    throw Error(ErrorCode::kInvalidArgument,
                "interval must be 0.5 to 60 seconds, got \"" + std::string(text.substr(0, 40)) + "\"");
  return milliseconds(static_cast<int64_t>(seconds * 1000));
}

bool takes_gzip(const http::Headers& headers) { return headers.lists("Accept-Encoding", "gzip"); }

http::Response page(int status) {
  http::Response response = http::Response::empty(status);
  http::Headers& headers = response.headers;
  headers.set("Content-Type", "text/html; charset=utf-8");
  headers.set("Content-Encoding", "gzip");
  headers.set("Cache-Control", "no-cache");
  headers.set("Content-Security-Policy", "default-src 'none'; script-src '" + std::string(dashboard_script_hash()) +
                                             "'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
                                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Vary", "Accept-Encoding");
  response.body = http::copy_body(dashboard_page());
  return response;
}

}  // namespace

http::Response Server::State::respond_page(const http::Request& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response refused = http::problem(405, "method_not_allowed", "the page takes GET, not " + request.method);
    refused.headers.set("Allow", "GET, HEAD");
    return refused;
  }
  if (!dashboard_page().empty() && takes_gzip(request.headers)) return page(200);
  return http::Response::text(200,
                              "A Shumai server. Browsers get a dashboard here; /statistics has its figures as JSON.\n");
}

http::Admission Server::State::admit(const http::RequestHead& head, const http::Peer& peer) {
  const std::string_view route = asked_route(route_of(head.path()));
  http::Admission out = access.admit(head, route, peer);
  const bool asks = out.answer && out.answer->status == http_status(ErrorCode::kUnauthorized) && route.empty();
  if (!asks || head.method != "GET" || dashboard_page().empty() || !takes_gzip(head.headers)) return out;
  http::Response with_page = page(out.answer->status);
  with_page.headers.set("WWW-Authenticate", out.answer->headers.get("WWW-Authenticate"));
  out.answer = std::move(with_page);
  return out;
}

// --- Feeds ---

Task<Json> Server::State::feed(Asked& asked) {
  if (!asked.path.empty()) co_return co_await relayed_feed(asked);
  Json statistics = co_await ask_statistics();
  Json points = history.since(asked.cursor);
  Json out = Json::object({{"id", id}, {"time", unix_time()}, {"cursor", asked.cursor}});
  out["statistics"] = std::move(statistics);
  out["history"] = std::move(points);
  if (Json checkpoints = checkpoints_for(asked.caller); !checkpoints.is_null())
    out["checkpoints"] = std::move(checkpoints);
  co_return out;
}

Task<Json> Server::State::relayed_feed(Asked& asked) const {
  const std::string_view path = asked.path;
  size_t number = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), number);
  std::string_view rest = path.substr(static_cast<size_t>(end - path.data()));
  const std::shared_ptr<Callee> callee = error == std::errc() ? callees->at(number) : nullptr;
  if (!callee || (!rest.empty() && !rest.starts_with('.')))
    throw Error(ErrorCode::kNotFound, "this server calls no model \"" + asked.path + "\"");
  std::string target = "statistics/feed?after=" + asked.cursor;
  if (!rest.empty()) target += "&model=" + std::string(rest.substr(1));
  Json out;
  std::string failure;
  try {
    out = co_await Callee::ask(callee, target);
  } catch (const Error& problem) {
    failure = problem.what();
  }
  // Whatever it said, it isn't about the token that this request came with.
  if (!failure.empty()) throw Error(ErrorCode::kConnection, callee->base() + " doesn't tell how it goes: " + failure);
  if (const Json* cursor = out.find("cursor"); cursor && cursor->is_string())
    asked.cursor = checked("its cursor", cursor->as_string());
  out.erase("checkpoints");
  co_return out;
}

Server::State::Asked Server::State::asked_by(const http::Request& request) {
  const std::string_view query = request.query();
  return {checked("model", parameter(query, "model")), checked("after", parameter(query, "after")), request.caller};
}

Task<http::Response> Server::State::respond_feed(const http::Request& request) {
  Asked asked = asked_by(request);
  const Json told = co_await feed(asked);
  co_return http::Response::json(200, told.dump());
}

namespace {

// One who watches, while it lives.
class Watcher {
 public:
  explicit Watcher(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Watcher() { --count_; }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  std::atomic<int>& count_;
};

}  // namespace

// Feeds as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
class Server::State::FeedStream final : public http::BodyStream {
 public:
  FeedStream(State& state, Asked asked, milliseconds interval, std::shared_ptr<const http::Peer> peer)
      : state_(state), asked_(std::move(asked)), interval_(interval), peer_(std::move(peer)), here_(state.watchers) {}

  // The first of a model that can't be had is an answer of its own.
  Task<> begin() {
    first_ = co_await event();
    due_ = steady_clock::now() + interval_;
  }

  Task<std::string> next() override {
    if (!first_.empty()) co_return std::exchange(first_, {});
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!is_over() && steady_clock::now() < due_) {
      timer.expires_at(std::min(due_, steady_clock::now() + kGlance));
      boost::system::error_code cancelled;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    if (is_over()) co_return "";
    due_ = std::max(due_ + interval_, steady_clock::now());
    co_return co_await event();
  }

 private:
  static constexpr milliseconds kGlance{200};  // at whether it is over

  // Also when its token has been taken back.
  bool is_over() const { return state_.closing || peer_->gone || !state_.access.lets(asked_.caller, "statistics"); }

  Task<std::string> event() {
    const Json told = co_await state_.feed(asked_);
    co_return "id: " + asked_.cursor + "\ndata: " + told.dump() + "\n\n";
  }

  State& state_;
  Asked asked_;
  const milliseconds interval_;
  const std::shared_ptr<const http::Peer> peer_;
  const Watcher here_;
  std::string first_;
  steady_clock::time_point due_;
};

Task<http::Response> Server::State::respond_stream(const http::Request& request) {
  const milliseconds interval = interval_of(request.query());
  Asked asked = asked_by(request);
  if (watchers >= kMostWatchers)
    throw Error(ErrorCode::kUnavailable,
                "as many as may (" + std::to_string(kMostWatchers) + ") are watching this server; try again later");
  const auto stream = std::make_shared<FeedStream>(*this, std::move(asked), interval, request.peer);
  co_await stream->begin();
  http::Response response = http::Response::empty(200);
  response.headers.set("Content-Type", "text/event-stream");
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Accel-Buffering", "no");  // for nginx, which would keep events back
  response.stream = stream;
  co_return response;
}

// --- The history ---

namespace {

struct Totals {
  steady_clock::time_point when;
  double requests = 0, ended = 0, errors = 0, seconds = 0, updates = 0, staleness = 0, with_staleness = 0;
};

double ratio(double sum, double count) { return count > 0 ? sum / count : kNone; }

}  // namespace

// Once a second, whether somebody looks or not.
Task<> Server::State::record_now_and_then() {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  const auto totals = [this] {
    Totals out;
    out.when = steady_clock::now();
    for (const auto& [name, route] : routes) {
      const RouteStatistics& of = route.statistics;
      out.requests += static_cast<double>(of.requests.load());
      out.ended += static_cast<double>(of.durations.count());
      out.errors += static_cast<double>(of.errors());
      out.seconds += of.durations.sum();
    }
    out.updates = static_cast<double>(updates.updates.load());
    out.staleness = static_cast<double>(updates.staleness_sum.load());
    for (const auto& bucket : updates.staleness) out.with_staleness += static_cast<double>(bucket.load());
    return out;
  };
  Totals before = totals();
  while (true) {
    timer.expires_after(kSecond);
    boost::system::error_code cancelled;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    const Totals now = totals();
    const double time = std::chrono::duration<double>(now.when - before.when).count();
    const LearningStatistics::Recent recent = learning.take();
    History::Point point;
    point[History::kTime] = unix_time();
    point[History::kLoss] = recent.loss.value();
    point[History::kStep] = recent.step ? static_cast<double>(*recent.step) : kNone;
    point[History::kGradientNorm] = recent.gradient_norm.value();
    point[History::kUpdates] = (now.updates - before.updates) / time;
    point[History::kRequests] = (now.requests - before.requests) / time;
    point[History::kErrors] = (now.errors - before.errors) / time;
    point[History::kLatency] = ratio(now.seconds - before.seconds, now.ended - before.ended);
    point[History::kStaleness] = ratio(now.staleness - before.staleness, now.with_staleness - before.with_staleness);
    point[History::kVersion] = static_cast<double>(updates.version.load());
    point[History::kTensorBytes] = static_cast<double>(util::Buffer::bytes_in_use());
    point[History::kResidentBytes] = static_cast<double>(util::resident_bytes());
    point[History::kSessions] = static_cast<double>(sessions.load());
    point[History::kTickets] = static_cast<double>(live_tickets.load());
    history.add(point);
    before = now;
    if (Clock::now().time_since_epoch().count() < watched_until) callees->look(executor);
  }
}

}  // namespace sm::io
