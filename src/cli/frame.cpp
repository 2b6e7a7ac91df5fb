#include "cli/frame.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/core.h>

#include "util/progress.hpp"

namespace sm::cli {
namespace {

const Json& at(const Json& from, std::initializer_list<std::string_view> path) {
  static const Json nothing;
  const Json* here = &from;
  for (const std::string_view key : path) {
    here = here->find(key);
    if (!here) return nothing;
  }
  return *here;
}

double number(const Json& from, std::initializer_list<std::string_view> path) {
  const Json& value = at(from, path);
  return value.is_number() ? value.as_double() : 0;
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

// What changed since `before`, in all and by the second.
class Changes {
 public:
  Changes(const Json& now, const Json& before) : now_(now), before_(before) {
    seconds_ = number(now, {"uptime_seconds"}) - number(before, {"uptime_seconds"});
    // The server was started again in between.
    restarted_ = seconds_ <= 0;
    if (restarted_) seconds_ = number(now, {"uptime_seconds"});
  }
  double of(std::initializer_list<std::string_view> path) const {
    return number(now_, path) - (restarted_ ? 0 : number(before_, path));
  }
  double rate(std::initializer_list<std::string_view> path) const { return seconds_ > 0 ? of(path) / seconds_ : 0; }

 private:
  const Json& now_;
  const Json& before_;
  double seconds_ = 0;
  bool restarted_ = false;
};

void add_routes(std::vector<std::string>& out, const Json& now, const Changes& changes) {
  const Json& routes = at(now, {"routes"});
  if (!routes.is_object() || routes.empty()) return;
  size_t width = 5;
  for (const auto& [name, route] : routes.as_object()) width = std::max(width, name.size());
  out.emplace_back();
  out.push_back(fmt::format("{:{}}  {:>10}  {:>10}  {:>8}  {:>10}  {:>10}", "route", width, "requests", "per second",
                            "errors", "latency", "p99"));
  for (const auto& [name, route] : routes.as_object()) {
    const double requests = changes.of({"routes", name, "requests"}), seconds = changes.of({"routes", name, "seconds"});
    const double p99 = number(route, {"p99_seconds"});
    out.push_back(fmt::format("{:{}}  {:>10.0f}  {:>10.1f}  {:>8.0f}  {:>10}  {:>10}", name, width,
                              number(route, {"requests"}), changes.rate({"routes", name, "requests"}),
                              number(route, {"errors"}), requests > 0 ? time_text(seconds / requests) : "-",
                              p99 > 0 ? time_text(p99) : "-"));
  }
}

void add_weights(std::vector<std::string>& out, const Json& now, const Changes& changes) {
  const Json& weights = at(now, {"weights"});
  if (!weights.is_object()) return;
  out.emplace_back();
  out.push_back(
      fmt::format("weights      version {:.0f}, {:.1f} updates/s, {:.0f} refused, {:.0f} stale, {:.0f} scaled",
                  number(weights, {"version"}), changes.rate({"weights", "updates"}), number(weights, {"refused"}),
                  number(weights, {"stale"}), number(weights, {"scaled"})));
  const Json& staleness = at(weights, {"staleness"});
  double most = 0;
  for (size_t i = 0; i < staleness.size(); ++i) most = std::max(most, number(staleness[i], {"updates"}));
  for (size_t i = 0; i < staleness.size(); ++i) {
    const double updates = number(staleness[i], {"updates"});
    out.push_back(fmt::format("  stale by up to {:>6.0f}  {:>10.0f}  {}", number(staleness[i], {"up_to"}), updates,
                              util::bar_of(updates / std::max(most, 1.0), 20, false)));
  }
}

void add_learning(std::vector<std::string>& out, const Json& now) {
  const Json& loss = at(now, {"loss"});
  const Json& norm = at(now, {"gradient_norm"});
  if (!loss.is_object() && !norm.is_number()) return;
  std::string line = "training     ";
  if (loss.is_object()) {
    const Json& last = at(loss, {"last"});
    line += last.is_number() ? fmt::format("loss {:.6g}", last.as_double()) : "loss isn't finite";
    if (loss.contains("step")) line += fmt::format(" at step {:.0f}", number(loss, {"step"}));
    if (norm.is_number()) line += ", ";
  }
  if (norm.is_number()) line += fmt::format("gradient norm {:.4g}", norm.as_double());
  out.push_back(std::move(line));
}

// The servers that this one calls, and those that they call.
void add_models(std::vector<std::string>& out, const Json& now, int depth) {
  const Json& models = at(now, {"models"});
  if (!models.is_array()) return;
  if (depth == 0 && !models.empty()) out.insert(out.end(), {"", "models"});
  for (const Json& model : models.as_array()) {
    const Json& statistics = at(model, {"statistics"});
    std::string line =
        fmt::format("{:{}}{}  {}", "", 2 + 2 * depth, at(model, {"url"}).dump(), at(model, {"state"}).dump());
    std::erase(line, '"');
    if (statistics.is_object())
      line += fmt::format(", version {:.0f}, {:.0f} updates", number(statistics, {"weights", "version"}),
                          number(statistics, {"weights", "updates"}));
    if (const double failures = number(model, {"failures"}); failures > 0)
      line += fmt::format(", {:.0f} of {:.0f} calls failed", failures, number(model, {"calls"}));
    if (model.contains("error")) line += ": " + at(model, {"error"}).dump();
    out.push_back(std::move(line));
    if (statistics.is_object()) add_models(out, statistics, depth + 1);
  }
}

void add_checkpoint(std::vector<std::string>& out, const Json& now) {
  const Json& checkpoint = at(now, {"checkpoint"});
  if (!checkpoint.is_object()) return;
  out.push_back(fmt::format("checkpoint   version {:.0f}, {:.0f} written, {:.0f} failed, the last took {}{}",
                            number(checkpoint, {"version"}), number(checkpoint, {"writes"}),
                            number(checkpoint, {"failures"}), time_text(number(checkpoint, {"last_write_seconds"})),
                            checkpoint.contains("error") ? ", error: " + at(checkpoint, {"error"}).dump() : ""));
}

}  // namespace

std::vector<std::string> frame(const std::string& url, const Json& now, const Json& before) {
  const Changes changes(now, before);
  std::vector<std::string> out;
  out.push_back(fmt::format("{}  up {}", url, time_text(number(now, {"uptime_seconds"}))));
  out.push_back(fmt::format("connections  {:.0f} open, {:.0f} requests in flight, {}/s in, {}/s out",
                            number(now, {"connections"}), number(now, {"requests_in_flight"}),
                            bytes_text(changes.rate({"bytes_in"})), bytes_text(changes.rate({"bytes_out"}))));
  out.push_back(fmt::format("sessions     {:.0f}", number(now, {"sessions"})));
  out.push_back(fmt::format("tickets      {:.0f} live with {}, {:.0f} minted, {:.0f} done, {:.0f} expired",
                            number(now, {"tickets", "live"}), bytes_text(number(now, {"tickets", "bytes"})),
                            number(now, {"tickets", "minted"}), number(now, {"tickets", "done"}),
                            number(now, {"tickets", "expired"})));
  out.push_back(fmt::format("tensors      {}", bytes_text(number(now, {"tensor_bytes"}))));
  add_learning(out, now);
  add_checkpoint(out, now);
  add_weights(out, now, changes);
  add_routes(out, now, changes);
  add_models(out, now, 0);
  return out;
}

}  // namespace sm::cli
