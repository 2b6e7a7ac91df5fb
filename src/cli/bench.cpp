#include <fmt/core.h>

#include "cli/access.hpp"
#include "cli/commands.hpp"
#include "cli/load.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"

namespace sm::cli {
namespace {

constexpr double kQuantiles[] = {0.5, 0.9, 0.99, 0.999};

std::string time_text(double nanoseconds) {
  if (nanoseconds < 1e3) return fmt::format("{:.0f} ns", nanoseconds);
  if (nanoseconds < 1e6) return fmt::format("{:.1f} us", nanoseconds * 1e-3);
  if (nanoseconds < 1e9) return fmt::format("{:.2f} ms", nanoseconds * 1e-6);
  return fmt::format("{:.2f} s", nanoseconds * 1e-9);
}

std::string quantile_name(double share) {
  std::string digits = fmt::format("{:.3f}", share * 100);
  while (digits.ends_with('0')) digits.pop_back();
  if (digits.ends_with('.')) digits.pop_back();
  return "p" + digits;
}

Json to_json(const BenchArguments& arguments, const LoadResult& result) {
  Json latency =
      Json::object({{"mean", result.latency.mean() * 1e-9}, {"max", static_cast<double>(result.latency.max()) * 1e-9}});
  for (const double share : kQuantiles)
    latency[quantile_name(share)] = static_cast<double>(result.latency.quantile(share)) * 1e-9;
  Json errors = Json::object();
  for (const auto& [name, count] : result.errors) errors[name] = count;
  return Json::object({{"url", arguments.url},
                       {"route", arguments.route},
                       {"what", arguments.train ? "steps" : "requests"},
                       {"seconds", result.seconds},
                       {"done", result.done},
                       {"per_second", static_cast<double>(result.done) / result.seconds},
                       {"latency_seconds", std::move(latency)},
                       {"errors", std::move(errors)},
                       {"late", result.late},
                       {"unsent", result.unsent},
                       {"body_bytes_out", result.bytes_out},
                       {"body_bytes_in", result.bytes_in}});
}

void print_text(const BenchArguments& arguments, const LoadResult& result) {
  const char* const what = arguments.train ? "steps" : "requests";
  fmt::print("{} {} in {:.1f} s: {:.1f} {}/s over {} connections\n", result.done, what, result.seconds,
             static_cast<double>(result.done) / result.seconds, what, arguments.connections);
  fmt::print("latency mean {}", time_text(result.latency.mean()));
  for (const double share : kQuantiles)
    fmt::print(", {} {}", quantile_name(share), time_text(static_cast<double>(result.latency.quantile(share))));
  fmt::print(", max {}\n", time_text(static_cast<double>(result.latency.max())));
  for (const auto& [name, count] : result.errors) fmt::print("errors {}: {}\n", name, count);
  if (result.unsent > 0)
    fmt::print("{} more were due and found no free connection: the server is slower than --rate\n", result.unsent);
}

}  // namespace

int bench(const BenchArguments& arguments) {
  Load load(arguments);
  const LoadResult result = run(load.run());
  if (arguments.json)
    fmt::print("{}\n", to_json(arguments, result).dump());
  else
    print_text(arguments, result);
  if (result.latency.count() > 0) return kSuccess;
  throw Error(ErrorCode::kConnection, "no request succeeded at " + base_url(arguments.url) + "/" + arguments.route);
}

}  // namespace sm::cli
