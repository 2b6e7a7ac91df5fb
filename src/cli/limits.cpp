#include "cli/limits.hpp"

#include <charconv>
#include <utility>
#include <variant>

#include "cli/usage.hpp"

namespace sm::cli {
namespace {

using io::ServeLimits;
using std::chrono::milliseconds;

struct Entry {
  const char* name;
  std::variant<uint64_t ServeLimits::*, milliseconds ServeLimits::*> member;
};

static_assert(std::is_same_v<size_t, uint64_t>);

constexpr Entry kEntries[] = {
    {"max_body_bytes", &ServeLimits::max_body_bytes},
    {"max_header_bytes", &ServeLimits::max_header_bytes},
    {"max_headers", &ServeLimits::max_headers},
    {"max_connections", &ServeLimits::max_connections},
    {"max_requests_in_flight", &ServeLimits::max_requests_in_flight},
    {"max_requests_in_flight_per_session", &ServeLimits::max_requests_in_flight_per_session},
    {"max_hops", &ServeLimits::max_hops},
    {"header_timeout", &ServeLimits::header_timeout},
    {"body_timeout", &ServeLimits::body_timeout},
    {"min_body_rate", &ServeLimits::min_body_rate},
    {"keep_alive_timeout", &ServeLimits::keep_alive_timeout},
    {"write_timeout", &ServeLimits::write_timeout},
    {"linger_timeout", &ServeLimits::linger_timeout},
    {"max_sessions", &ServeLimits::max_sessions},
    {"session_lifetime", &ServeLimits::session_lifetime},
    {"max_tickets", &ServeLimits::max_tickets},
    {"max_tickets_per_session", &ServeLimits::max_tickets_per_session},
    {"max_ticket_bytes", &ServeLimits::max_ticket_bytes},
    {"max_ticket_bytes_per_session", &ServeLimits::max_ticket_bytes_per_session},
    {"ticket_lifetime", &ServeLimits::ticket_lifetime},
    {"finished_lifetime", &ServeLimits::finished_lifetime},
    {"max_finished_tickets", &ServeLimits::max_finished_tickets},
    {"answer_lifetime", &ServeLimits::answer_lifetime},
    {"max_stored_answer_bytes", &ServeLimits::max_stored_answer_bytes},
    {"shutdown_grace", &ServeLimits::shutdown_grace},
};

using Units = std::vector<std::pair<std::string_view, uint64_t>>;

const Units& time_units() {
  static const Units units = {{"ms", 1}, {"", 1000}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};
  return units;
}

const Units& size_units() {
  static const Units units = {
      {"", 1}, {"KiB", uint64_t{1} << 10}, {"MiB", uint64_t{1} << 20}, {"GiB", uint64_t{1} << 30}};
  return units;
}

uint64_t amount_of(const std::string& assignment, std::string_view text, const Units& units) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  std::string known;
  for (const auto& [name, factor] : units) {
    if (error == std::errc() && name == unit && number < (uint64_t{1} << 62) / factor) return number * factor;
    if (!name.empty()) known += (known.empty() ? "" : ", ") + std::string(name);
  }
  throw UsageError("--limit " + assignment + ": expected a whole number, with " + known + " or nothing after it");
}

}  // namespace

void set_limit(ServeLimits& limits, const std::string& assignment) {
  const size_t equals = std::min(assignment.find('='), assignment.size());
  const std::string_view name = std::string_view(assignment).substr(0, equals);
  const std::string_view value = std::string_view(assignment).substr(std::min(equals + 1, assignment.size()));
  for (const Entry& entry : kEntries) {
    if (entry.name != name) continue;
    if (const auto* time = std::get_if<milliseconds ServeLimits::*>(&entry.member))
      limits.** time = milliseconds(static_cast<int64_t>(amount_of(assignment, value, time_units())));
    else
      limits.*std::get<uint64_t ServeLimits::*>(entry.member) = amount_of(assignment, value, size_units());
    return;
  }
  std::string known;
  for (const Entry& entry : kEntries) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  throw UsageError("--limit " + assignment + ": there is no such limit; there is " + known);
}

std::vector<std::string> limit_names() {
  std::vector<std::string> out;
  for (const Entry& entry : kEntries) out.emplace_back(entry.name);
  return out;
}

}  // namespace sm::cli
