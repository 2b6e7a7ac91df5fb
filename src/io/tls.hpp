#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/from_files.hpp"
#include "io/tls_session.hpp"
#include "shumai/error.hpp"
#include "shumai/tls_options.hpp"

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace sm::io {

// A failure of TLS that another attempt won't cure: a certificate that isn't
// accepted, a port that speaks something else.
class TlsError : public Error {
 public:
  using Error::Error;
};

// A configured SSL_CTX.
class TlsContext {
 public:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const noexcept { return context_; }
  // When the certificate ends, in seconds since 1970; 0 without one.
  int64_t not_after() const noexcept;

 private:
  ssl_ctx_st* context_;
};

// The side of a server: its certificate, and whom it lets in. Thread-safe.
class TlsServer {
 public:
  // Reads the files. Throws Error (kInvalidArgument) that names the one that
  // can't be used, and why.
  explicit TlsServer(TlsOptions options, std::chrono::milliseconds check_every = std::chrono::seconds(1));

  // A session on a connected socket that doesn't block, with the newest files.
  std::unique_ptr<TlsSession> open(int fd);

  // Looks whether the files have changed, if it is time to.
  void check_files() { files_.get(); }
  int64_t not_after() { return files_.get()->not_after(); }
  uint64_t reloads() { return files_.reloads(); }
  // Why what is in the files now isn't in use; empty when it is.
  std::string reload_failure() { return files_.failure(); }

 private:
  FromFiles<TlsContext> files_;
};

// What a client trusts and who it says it is. Empty files: the system's
// certificate authorities, and no certificate.
struct TlsClientFiles {
  std::string ca_file;  // instead of the system's
  std::string cert_file;
  std::string key_file;
  // What the server's certificate must be for, instead of the URL's host.
  std::string server_name;
};

// The side of a client: contexts and sessions to resume. Thread-safe.
class TlsClient : public std::enable_shared_from_this<TlsClient> {
 public:
  // The same object for the same files, for as long as the process lives.
  // Throws Error (kInvalidArgument) for a file that can't be used.
  static std::shared_ptr<TlsClient> of(const TlsClientFiles& files);

  explicit TlsClient(TlsClientFiles files);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Connections under different identities mustn't be used for each other's
  // requests. Changes with the contents of the files.
  std::string identity();

  // A session on a connected socket that doesn't block. The server's
  // certificate must be for `host`, a name or an address.
  std::unique_ptr<TlsSession> open(int fd, const std::string& host, uint16_t port);

 private:
  friend struct TlsCallbacks;
  // Takes `session` when it is one of the newest files'.
  bool keep(const std::string& peer, ssl_session_st* session, const TlsContext& context);
  void resume(ssl_st* ssl, const std::string& peer, const std::shared_ptr<TlsContext>& context);
  void forget_sessions();

  const TlsClientFiles settings_;
  const uint64_t number_;
  FromFiles<TlsContext> files_;
  std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, std::vector<ssl_session_st*>> sessions_;
  std::shared_ptr<TlsContext> sessions_of_;
};

}  // namespace sm::io
