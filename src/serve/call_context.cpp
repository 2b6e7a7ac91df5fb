#include "serve/call_context.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>

#include "shumai/error.hpp"

namespace sm::io {
namespace {

constexpr size_t kTraceEnd = 35;  // of "00-<32 digits>"
constexpr size_t kLength = 55;    // "00-<32 digits>-<16 digits>-01"

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) noexcept { return text.find_first_not_of('0') == std::string_view::npos; }

// Ids of traces need to differ, not to be secret.
uint64_t random_word() {
  // Far from the thread, whose own memory is short: see docs/decisions.md.
  thread_local const std::unique_ptr<std::mt19937_64> words = std::make_unique<std::mt19937_64>(
      (uint64_t{std::random_device()()} << 32 | std::random_device()()) ^ reinterpret_cast<uintptr_t>(&words));
  for (;;)
    if (const uint64_t word = (*words)()) return word;
}

void append_hex(std::string& out, uint64_t word) {
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[word >> shift & 15];
}

}  // namespace

const CallContext* context_of(const boost::asio::any_io_executor& executor) noexcept {
  const CallExecutor* call = executor.target<CallExecutor>();
  return call ? &call->context() : nullptr;
}

bool is_traceparent(std::string_view text) noexcept {
  if (text.size() < kLength || text[2] != '-' || text[kTraceEnd] != '-' || text[52] != '-') return false;
  if (!is_hex(text.substr(0, 2)) || text.substr(0, 2) == "ff") return false;
  // A later version may be longer.
  if (text.size() > kLength && (text.substr(0, 2) == "00" || text[kLength] != '-')) return false;
  const std::string_view trace = text.substr(3, 32), span = text.substr(36, 16);
  return is_hex(trace) && is_hex(span) && is_hex(text.substr(53, 2)) && !is_zero(trace) && !is_zero(span);
}

std::string next_traceparent(std::string_view parent) {
  std::string out = "00-";
  out.reserve(kLength);
  if (is_traceparent(parent)) {
    out += parent.substr(3, kTraceEnd - 3);
  } else {
    append_hex(out, random_word());
    append_hex(out, random_word());
    parent = {};
  }
  out += '-';
  append_hex(out, random_word());
  out += '-';
  out += parent.empty() ? std::string_view("01") : parent.substr(53, 2);
  return out;
}

std::string extend_path(std::string_view path, std::string_view step, size_t max_hops) {
  size_t hops = 0;
  for (std::string_view rest = path; !rest.empty(); ++hops) {
    const size_t comma = std::min(rest.find(','), rest.size());
    if (rest.substr(0, comma) == step)
      throw Error(ErrorCode::kLoop, "the request has come back to /" + std::string(step.substr(step.find('/') + 1)) +
                                        " of a server that it went through: the servers call each other in a circle");
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (hops >= max_hops)
    throw Error(ErrorCode::kLoop, "the request went through " + std::to_string(hops) +
                                      " servers, which is as many as this one allows (max_hops)");
  return path.empty() ? std::string(step) : std::string(path) + "," + std::string(step);
}

}  // namespace sm::io
