#include <boost/asio/defer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "serve/server.hpp"
#include "shumai/stats.hpp"
#include "util/buffer.hpp"
#include "util/process.hpp"

namespace sm::io {

namespace asio = boost::asio;

namespace {

// For how long after a question the callees are asked, too.
constexpr std::chrono::seconds kWatched{10};

}  // namespace

// The handlers' thread may be busy for long: what it last told is answered then.
Task<Json> Server::State::ask_statistics() {
  watched_until = (Clock::now() + kWatched).time_since_epoch().count();
  auto told = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, std::chrono::milliseconds(20));
  asio::defer(logic, [this, told] {
    Json mine;
    try {
      if (options.statistics) mine = options.statistics();
    } catch (const std::exception& error) {
      mine["statistics_error"] = error.what();
    }
    {
      const std::lock_guard lock(mutex);
      user_statistics = std::move(mine);
    }
    asio::defer(loop.context(), [told] { told->cancel(); });
  });
  boost::system::error_code ignored;
  co_await told->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return statistics();
}

Json Server::State::statistics() const {
  Json out = Json::object();
  Json by_route = Json::object();
  for (const auto& [name, route] : routes) {
    const DurationHistogram& durations = route.statistics.durations;
    by_route[name] = Json::object({{"requests", route.statistics.requests.load()},
                                   {"errors", route.statistics.errors()},
                                   {"seconds", durations.sum()},
                                   {"p50_seconds", durations.quantile(0.5)},
                                   {"p95_seconds", durations.quantile(0.95)},
                                   {"p99_seconds", durations.quantile(0.99)}});
  }
  out["id"] = id;
  out["uptime_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  out["routes"] = std::move(by_route);
  const http::ServerStatistics& counts = http.statistics();
  out["connections"] = counts.connections_open.load();
  out["compute_queue"] = waiting.load();
  out["requests_in_flight"] = counts.requests_in_flight.load();
  out["bytes_in"] = counts.bytes_in.load();
  out["bytes_out"] = counts.bytes_out.load();
  out["refused"] = access.statistics();
  out["sessions"] = sessions.load();
  const StoreStatistics& tickets = store.statistics();
  out["tickets"] = Json::object({{"live", live_tickets.load()},
                                 {"bytes", ticket_bytes.load()},
                                 {"minted", tickets.tickets_minted.load()},
                                 {"done", tickets.tickets_done.load()},
                                 {"expired", tickets.tickets_expired.load()},
                                 {"evicted", tickets.tickets_evicted.load()},
                                 {"remembered", finished_tickets.load()},
                                 {"answers_replayed", tickets.answers_replayed.load()}});
  {
    const std::lock_guard lock(mutex);
    if (user_statistics.is_object())
      for (const auto& [key, value] : user_statistics.as_object()) out[key] = value;
  }
  out["weights"] = weights_statistics();
  add_learning(out);
  if (options.batch.max > 1) out["batches"] = batch_statistics();
  if (tls) out["tls"] = tls_statistics();
  if (const auto operations = Stats::of_all_threads()) out["operations"] = operations->to_json();
  if (saver) out["checkpoint"] = saver->report();
  if (replica) out["replicas"] = replica_statistics();
  if (!callees->empty()) out["models"] = callees->to_json();
  out["tensor_bytes"] = util::Buffer::bytes_in_use();
  out["resident_bytes"] = util::resident_bytes();
  return out;
}

void Server::State::add_learning(Json& out) const {
  const LearningStatistics::Summary summary = learning.summary();
  if (summary.gradient_norm) out["gradient_norm"] = *summary.gradient_norm;
  if (!summary.last) return;
  out["loss"] = Json::object({{"last", summary.last->loss}, {"reports", summary.reports}});
  if (summary.last->step) out["loss"]["step"] = *summary.last->step;
}

Json Server::State::batch_statistics() const {
  const auto pass = [](const BatchStatistics::Pass& counts) {
    return Json::object(
        {{"batches", counts.batches.load()}, {"requests", counts.requests.load()}, {"mean_size", counts.mean()}});
  };
  return Json::object({{"forward", pass(batches.forward)},
                       {"backward", pass(batches.backward)},
                       {"fallbacks", batches.fallbacks.load()}});
}

Json Server::State::tls_statistics() const {
  const http::ServerStatistics& counts = http.statistics();
  Json out = Json::object({{"handshakes", counts.tls_handshakes.load()},
                           {"resumed", counts.tls_resumed.load()},
                           {"failed", counts.tls_failures.load()},
                           {"certificate_expires", tls->not_after()},
                           {"reloads", tls->reloads()}});
  if (const std::string failure = tls->reload_failure(); !failure.empty()) out["reload_failure"] = failure;
  return out;
}

Json Server::State::weights_statistics() const {
  // Up to the last that isn't empty.
  Json histogram = Json::array();
  size_t used = updates.staleness.size();
  while (used > 0 && updates.staleness[used - 1] == 0) --used;
  for (size_t i = 0; i < used; ++i)
    histogram.push_back(Json::object(
        {{"up_to", UpdateStatistics::bound(static_cast<int>(i))}, {"updates", updates.staleness[i].load()}}));
  return Json::object({{"version", updates.version.load()},
                       {"updates", updates.updates.load()},
                       {"refused", updates.refused.load()},
                       {"stale", updates.stale.load()},
                       {"scaled", updates.scaled.load()},
                       {"restored", updates.restored.load()},
                       {"staleness", std::move(histogram)}});
}

}  // namespace sm::io
