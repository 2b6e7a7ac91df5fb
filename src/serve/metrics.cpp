#include <fmt/core.h>

#include "serve/server.hpp"
#include "util/buffer.hpp"
#include "util/process.hpp"

namespace sm::io {
namespace {

// Writes the text format that Prometheus scrapes:
// https://prometheus.io/docs/instrumenting/exposition_formats/
class Exposition {
 public:
  // Begins a metric; its samples follow.
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  template <class T>
  void sample(T value, std::string_view labels = {}, std::string_view suffix = {}) {
    if (labels.empty())
      text_ += fmt::format("{}{} {}\n", name_, suffix, value);
    else
      text_ += fmt::format("{}{}{{{}}} {}\n", name_, suffix, labels, value);
  }
  template <class T>
  void counter(std::string_view name, std::string_view help, T value) {
    metric(name, "counter", help);
    sample(value);
  }
  template <class T>
  void gauge(std::string_view name, std::string_view help, T value) {
    metric(name, "gauge", help);
    sample(value);
  }
  // The cumulative buckets of a histogram: `count(i)` and `bound(i)` of bucket i, the last one without a bound.
  template <class Count, class Bound>
  void buckets(std::string_view labels, size_t size, Count count, Bound bound, double sum) {
    const std::string prefix = labels.empty() ? "" : fmt::format("{},", labels);
    uint64_t below = 0;
    for (size_t i = 0; i < size; ++i) {
      below += count(i);
      const std::string le = i + 1 < size ? fmt::format("{}", bound(i)) : "+Inf";
      sample(below, fmt::format("{}le=\"{}\"", prefix, le), "_bucket");
    }
    sample(sum, labels, "_sum");
    sample(below, labels, "_count");
  }

  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

std::string route_label(const std::string& name) {
  std::string out = "route=\"";
  for (const char c : name) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + '"';
}

void write_requests(Exposition& out, const std::map<std::string, Server::State::Served, std::less<>>& routes) {
  out.metric("shumai_requests_total", "counter", "Requests by route and status.");
  for (const auto& [name, route] : routes)
    for (int i = 0; i < RouteStatistics::kStatuses; ++i)
      if (const uint64_t count = route.statistics.statuses[static_cast<size_t>(i)])
        out.sample(count, fmt::format("{},code=\"{}\"", route_label(name), RouteStatistics::kFirstStatus + i));
  out.metric("shumai_request_duration_seconds", "histogram",
             "Time from decoded request to encoded answer, waiting included, by route.");
  for (const auto& [name, route] : routes) {
    const DurationHistogram& durations = route.statistics.durations;
    out.buckets(
        route_label(name), DurationHistogram::kBuckets, [&](size_t i) { return durations.bucket(i); },
        [](size_t i) { return DurationHistogram::kBounds[i]; }, durations.sum());
  }
}

void write_http(Exposition& out, const http::ServerStatistics& counts) {
  out.metric("shumai_http_responses_total", "counter", "Answers by class of their status, those without a route too.");
  for (int i = 1; i <= 5; ++i) out.sample(counts.responses[i].load(), fmt::format("class=\"{}xx\"", i));
  out.counter("shumai_received_bytes_total", "Bytes read from clients.", counts.bytes_in.load());
  out.counter("shumai_sent_bytes_total", "Bytes written to clients.", counts.bytes_out.load());
  out.gauge("shumai_connections", "Open connections.", counts.connections_open.load());
  out.counter("shumai_connections_accepted_total", "Connections, since the start.", counts.connections_total.load());
  out.counter("shumai_connections_refused_total", "Connections refused for being too many.",
              counts.connections_refused.load());
  out.gauge("shumai_requests_in_flight", "Requests being handled.", counts.requests_in_flight.load());
}

void write_tls(Exposition& out, const http::ServerStatistics& counts, TlsServer& tls) {
  out.counter("shumai_tls_handshakes_total", "TLS handshakes.", counts.tls_handshakes.load());
  out.counter("shumai_tls_resumed_total", "TLS handshakes that resumed a session.", counts.tls_resumed.load());
  out.counter("shumai_tls_handshake_failures_total", "TLS handshakes that failed, or took too long.",
              counts.tls_failures.load());
  out.gauge("shumai_tls_certificate_expiry_timestamp_seconds",
            "When the server's certificate ends, since unix epoch in seconds.", tls.not_after());
}

void write_tickets(Exposition& out, const StoreStatistics& counts) {
  out.counter("shumai_tickets_minted_total", "Tickets given to forwards.", counts.tickets_minted.load());
  out.counter("shumai_tickets_done_total", "Tickets whose step was taken.", counts.tickets_done.load());
  out.counter("shumai_tickets_expired_total", "Tickets forgotten without a step, for their age or to make room.",
              counts.tickets_expired.load());
  out.counter("shumai_tickets_evicted_total", "Tickets forgotten to make room for others of their session.",
              counts.tickets_evicted.load());
  out.counter("shumai_answers_replayed_total", "Retries that got the stored answer.", counts.answers_replayed.load());
}

void write_updates(Exposition& out, const UpdateStatistics& updates) {
  out.gauge("shumai_weights_version", "Updates of the weights, those before a restart included.",
            updates.version.load());
  out.counter("shumai_updates_total", "Updates of the weights.", updates.updates.load());
  out.counter("shumai_updates_refused_total", "Gradients refused: not finite, too large, or of another form.",
              updates.refused.load());
  out.counter("shumai_updates_stale_total", "Gradients refused because the weights had moved on.",
              updates.stale.load());
  out.counter("shumai_updates_scaled_total", "Gradients scaled down because the weights had moved on.",
              updates.scaled.load());
  out.metric("shumai_update_staleness", "histogram", "Updates between a gradient's forward and itself.");
  out.buckets(
      "", UpdateStatistics::kBuckets, [&](size_t i) { return updates.staleness[i].load(); },
      [](size_t i) { return UpdateStatistics::bound(static_cast<int>(i)); },
      static_cast<double>(updates.staleness_sum.load()));
}

void write_batches(Exposition& out, const BatchStatistics& batches) {
  const std::string_view forward = "pass=\"forward\"", backward = "pass=\"backward\"";
  out.metric("shumai_batches_total", "counter", "Batches that ran, those of a single request included.");
  out.sample(batches.forward.batches.load(), forward);
  out.sample(batches.backward.batches.load(), backward);
  out.metric("shumai_batched_requests_total", "counter", "Requests that ran in them.");
  out.sample(batches.forward.requests.load(), forward);
  out.sample(batches.backward.requests.load(), backward);
  out.counter("shumai_batch_fallbacks_total", "Batches that were run again one request at a time.",
              batches.fallbacks.load());
}

void write_checkpoints(Exposition& out, const Saver::Report& report) {
  out.counter("shumai_checkpoint_writes_total", "Checkpoints written.", report.writes);
  out.counter("shumai_checkpoint_failures_total", "Checkpoints that could not be written.", report.failures);
  out.gauge("shumai_checkpoint_version", "Version of the weights in the newest checkpoint.", report.version);
  out.gauge("shumai_checkpoint_last_write_duration_seconds", "How long the last write took.", report.seconds);
}

void write_replicas(Exposition& out, const replicate::Replica::Status& status) {
  out.gauge("shumai_replicas", "Members of this server's group, itself included; 0: it is in none.",
            status.members.size());
  out.counter("shumai_replica_averages_total", "Averages of the weights with other replicas.", status.averages);
  out.gauge("shumai_replica_round", "Averages that the weights come of, those before a restart included.",
            status.round);
  out.gauge("shumai_replica_drift", "Distance of the replicas' weights from the last average, relative to them.",
            status.drift);
  out.gauge("shumai_replica_average_age_seconds", "Time since the last average; -1: there was none.",
            status.seconds_since_average);
  out.counter("shumai_replica_sent_bytes_total", "Bytes of weights sent to other replicas.", status.bytes_sent);
  out.counter("shumai_replica_failures_total", "Times that the group broke, or couldn't form.", status.failures);
}

void write_learning(Exposition& out, const LearningStatistics::Summary& summary) {
  if (summary.last) out.gauge("shumai_loss", "The loss that a client reported last.", summary.last->loss);
  if (summary.gradient_norm)
    out.gauge("shumai_gradient_norm", "The norm of the weights' gradients at the last update.", *summary.gradient_norm);
}

// The names that Prometheus' own client libraries give.
void write_process(Exposition& out) {
  const util::ProcessUsage usage = util::process_usage();
  out.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", usage.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", usage.resident_bytes);
  out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", usage.virtual_bytes);
  out.gauge("process_open_fds", "Number of open file descriptors.", usage.open_files);
  out.gauge("process_max_fds", "Maximum number of open file descriptors.", usage.max_open_files);
  out.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", usage.start_time);
}

}  // namespace

http::Response Server::State::respond_metrics() const {
  Exposition out;
  write_requests(out, routes);
  write_http(out, http.statistics());
  out.metric("shumai_requests_refused_total", "counter", "Requests refused for who sent them.");
  out.sample(access.unauthorized(), "reason=\"unauthorized\"");
  out.sample(access.forbidden(), "reason=\"forbidden\"");
  if (tls) write_tls(out, http.statistics(), *tls);
  out.gauge("shumai_compute_queue_requests", "Requests that wait for the handler before them.", waiting.load());
  out.gauge("shumai_sessions", "Sessions remembered.", sessions.load());
  out.gauge("shumai_tickets", "Tickets whose step may still be taken.", live_tickets.load());
  out.gauge("shumai_ticket_bytes", "Bytes that the graphs of tickets hold.", ticket_bytes.load());
  write_tickets(out, store.statistics());
  write_updates(out, updates);
  write_learning(out, learning.summary());
  if (options.batch.max > 1) write_batches(out, batches);
  if (saver) write_checkpoints(out, saver->status());
  if (replica) write_replicas(out, replica->status());
  out.gauge("shumai_tensor_bytes", "Bytes that tensors hold.", util::Buffer::bytes_in_use());
  write_process(out);
  http::Response response = http::Response::text(200, out.take());
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

}  // namespace sm::io
