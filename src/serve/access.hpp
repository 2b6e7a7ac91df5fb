#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.hpp"
#include "serve/tokens.hpp"
#include "shumai/json.hpp"

namespace sm::io {

// The name of the route that a path asks for: "" for "/".
std::string_view route_of(std::string_view path) noexcept;

// Who may call a server, decided from a request's header alone. Thread-safe.
class Access {
 public:
  // Takes the secrets out of `options`. Throws Error (kInvalidArgument) for
  // tokens, origins or host names that can't be used, kNotFound for a token file
  // that isn't there.
  explicit Access(ServeOptions& options);

  // Throws Error (kInvalidArgument) when `address`, which is in numbers or
  // "unix:...", lets other machines in without being told so.
  void check_address(const std::string& address);
  // Warns of routes that tokens name and the server lacks.
  void check_routes(const std::function<bool(std::string_view)>& is_route) const;

  // `route` is what a token has to be for. The answer is set for a request that is
  // refused, and for a preflight; the caller is the token's name.
  http::Admission admit(const http::RequestHead& head, std::string_view route, const http::Peer& peer);

  // Whether the token named `caller` is for `route`; true where there are no tokens.
  bool lets(std::string_view caller, std::string_view route) const;

  // Reads the token file again if there is one. A broken one leaves the tokens
  // as they are, and is logged once.
  void reload();

  // How many requests were refused, and why.
  Json statistics() const;
  uint64_t unauthorized() const noexcept { return unauthorized_; }
  uint64_t forbidden() const noexcept { return forbidden_; }

 private:
  // Throws Error when the file can't be used; what it says doesn't count then.
  void load_file();
  std::shared_ptr<const TokenSet> tokens() const;
  void add_cors(std::string_view origin, http::Headers& headers) const;
  bool is_listed(std::string_view origin) const;
  // Why a request without tokens may come from a page that has no business here; empty when it may not.
  std::string foreign(const http::RequestHead& head, std::string_view route) const;
  void check_token(const http::RequestHead& head, std::string_view route, const http::Peer& peer, http::Admission& out);
  void count_wrong(const http::Peer& peer);

  const std::vector<std::string> cors_;
  std::vector<std::string> hosts_;  // lower case
  const std::string hostname_, token_file_;
  const bool insecure_;
  const bool certified_;  // clients need a certificate
  bool guarded_ = false;  // by tokens
  bool check_host_ = false;
  TokenSet fixed_;  // tokens that aren't the file's

  mutable std::mutex mutex_;
  std::shared_ptr<const TokenSet> tokens_;        // guarded by mutex_
  std::chrono::steady_clock::time_point told_{};  // guarded by mutex_: of wrong tokens
  uint64_t wrong_since_ = 0;                      // guarded by mutex_
  TokenSet::Digest file_{};                       // of what was read last; reload() only
  std::atomic<uint64_t> unauthorized_{0}, forbidden_{0};
  bool complained_ = false;  // that the file can't be read; reload() only
};

}  // namespace sm::io
