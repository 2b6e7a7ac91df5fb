#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "cli/arguments.hpp"
#include "cli/histogram.hpp"
#include "http/client.hpp"
#include "io/tls.hpp"
#include "shumai/task.hpp"

// Load on a server: `connections` requests at a time, or at a fixed rate.
namespace sm::cli {

struct LoadResult {
  double seconds = 0;                      // that were measured
  uint64_t done = 0;                       // requests, or steps, within them
  uint64_t late = 0;                       // sent within them and answered after, one a connection at most
  Histogram latency;                       // of those that succeeded
  std::map<std::string, uint64_t> errors;  // by status, "connection" or "timeout"
  uint64_t unsent = 0;                     // at a fixed rate: due, but no connection was free before the end
  uint64_t bytes_in = 0, bytes_out = 0;
};

class Load {
 public:
  // Throws UsageError for a shape or dtype that is none, Error for a URL.
  explicit Load(const BenchArguments& arguments);
  Task<LoadResult> run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Visitor;

  Task<> visit();
  Task<Clock::time_point> turn();
  Task<std::string> one(Visitor& visitor);
  Task<std::string> step(Visitor& visitor);
  http::Request request(const http::Body& body, const Visitor& visitor) const;
  Task<http::Response> send(const http::Url& url, http::Request request);
  void record(Clock::time_point due, const std::string& failure);

  const BenchArguments& arguments_;
  http::Url forward_, optimize_;
  http::Client client_;
  std::string token_;
  std::shared_ptr<io::TlsClient> tls_;
  std::string type_;
  http::Body body_;
  Clock::time_point begin_, measured_, end_;
  uint64_t turns_ = 0, sent_ = 0;
  LoadResult result_;
};

}  // namespace sm::cli
