#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/url.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "shumai/json.hpp"
#include "shumai/task.hpp"

namespace sm::io {

// Another server that a server's handlers call: a part of its model.
class Callee {
 public:
  Callee(std::string base, const FetchOptions& options)
      : base_(std::move(base)), token_(*options.token), tls_(options.tls) {}

  // The URL before the name of a route.
  const std::string& base() const noexcept { return base_; }
  bool is_reached_by(std::string_view base, const FetchOptions& options) const;

  void succeeded() { ++calls_; }
  void failed() {
    ++calls_;
    ++failures_;
  }

  // What `path`, below `base`, answers, by the token that calls it. Throws as fetch() does.
  static Task<Json> ask(std::shared_ptr<Callee> self, std::string path);
  // Asks how it goes. Nothing when somebody is just asking.
  static Task<> look(std::shared_ptr<Callee> self);

  // Without those below it that are the server `own`, which would never end.
  Json to_json(size_t number, std::string_view own) const;

 private:
  const std::string base_, token_;
  const ClientTlsOptions tls_;
  std::atomic<uint64_t> calls_{0}, failures_{0};
  std::atomic<bool> asked_{false};

  mutable std::mutex mutex_;
  const char* state_ = "unknown";               // guarded by mutex_, as all of these
  std::string error_;                           // why it isn't up
  Json statistics_;                             // null before the first
  std::chrono::steady_clock::time_point when_;  // of them
};

// All of a server's, in the order of their first calls. Thread-safe.
class Callees {
 public:
  // Beyond that many, further ones aren't looked at.
  static constexpr size_t kMost = 64;

  explicit Callees(std::string server) : server_(std::move(server)) {}

  // That of a call to `url`; null when there are too many.
  std::shared_ptr<Callee> of(const http::Url& url, const FetchOptions& options);
  // By its number; null when there is none.
  std::shared_ptr<Callee> at(size_t number) const;
  void look(const boost::asio::any_io_executor& executor) const;
  bool empty() const;
  Json to_json() const;

  // Those of the server of this process whose handler makes a call that went
  // through `path` (see CallContext); null when it is none.
  static std::shared_ptr<Callees> of_caller(std::string_view path);
  // Lets of_caller() know of the server `own` while the result lives.
  static std::shared_ptr<Callees> make(const std::string& own);

 private:
  std::vector<std::shared_ptr<Callee>> all() const;

  const std::string server_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Callee>> callees_;  // guarded by mutex_
};

}  // namespace sm::io
