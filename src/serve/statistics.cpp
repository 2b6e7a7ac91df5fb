#include <boost/asio/defer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/core.h>

#include "http/problem.hpp"
#include "serve/server.hpp"
#include "shumai/stats.hpp"
#include "util/buffer.hpp"

namespace sm::io {

namespace asio = boost::asio;

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
                                        {"remembered", store.finished_tickets()},
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
  out["tickets"]["bytes"] = ticket_bytes.load();
  out["weights"] = weights_statistics();
  if (const auto operations = Stats::of_all_threads()) out["operations"] = operations->to_json();
  if (saver) out["checkpoint"] = saver->report();
  out["tensor_bytes"] = util::Buffer::bytes_in_use();
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
                       {"staleness", std::move(histogram)}});
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
  single("ticket_bytes", "gauge", "Bytes that the graphs of live tickets hold.", static_cast<double>(ticket_bytes));
  single("weights_version", "gauge", "Updates of the weights, those before a restart included.",
         static_cast<double>(updates.version));
  single("updates_total", "counter", "Updates of the weights.", static_cast<double>(updates.updates));
  single("updates_refused_total", "counter", "Gradients refused: not finite, too large, or of another form.",
         static_cast<double>(updates.refused));
  single("updates_stale_total", "counter", "Gradients refused because the weights had moved on.",
         static_cast<double>(updates.stale));
  metric("update_staleness", "histogram", "Updates between a gradient's forward and itself.");
  uint64_t below = 0;
  for (int i = 0; i < UpdateStatistics::kBuckets; ++i) {
    below += updates.staleness[static_cast<size_t>(i)];
    if (i + 1 < UpdateStatistics::kBuckets)
      text += fmt::format("shumai_update_staleness_bucket{{le=\"{}\"}} {}\n", UpdateStatistics::bound(i), below);
  }
  text += fmt::format(
      "shumai_update_staleness_bucket{{le=\"+Inf\"}} {0}\nshumai_update_staleness_sum {1}\n"
      "shumai_update_staleness_count {0}\n",
      below, updates.staleness_sum.load());
  single("tensor_bytes", "gauge", "Bytes that tensors hold.", static_cast<double>(util::Buffer::bytes_in_use()));
  http::Response response = http::Response::text(200, text);
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

}  // namespace sm::io
