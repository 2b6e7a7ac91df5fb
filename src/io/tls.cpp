#include "io/tls.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <tuple>

#include "io/tls_files.hpp"

namespace sm::io {
namespace {

// For how many servers, and how many of each: connections that are opened
// together want one each.
constexpr size_t kMostPeers = 1'000;
constexpr size_t kMostSessions = 4;

std::vector<std::string> named(std::vector<std::string> files) {
  std::erase(files, std::string());
  return files;
}

bool is_address(const std::string& host) {
  in6_addr address;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

SSL* new_ssl(const TlsContext& context) {
  SSL* ssl = SSL_new(context.get());
  if (!ssl) throw Error(ErrorCode::kInternal, "tls: no memory for a connection");
  return ssl;
}

// The peer has to show a certificate for `name`, and learns that it is asked for it.
void expect(SSL* ssl, const std::string& name) {
  X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(rules, name.c_str(), name.size());
    SSL_set_tlsext_host_name(ssl, name.c_str());
  }
}

}  // namespace

TlsServer::TlsServer(TlsOptions options, std::chrono::milliseconds check_every)
    : files_(
          named({options.cert_file, options.key_file, options.client_ca_file}),
          [options] { return make_server_context(options); }, check_every) {}

std::unique_ptr<TlsSession> TlsServer::open(int fd) {
  std::shared_ptr<TlsContext> context = files_.get();
  SSL* ssl = new_ssl(*context);
  SSL_set_accept_state(ssl);
  return std::make_unique<TlsSession>(ssl, fd, std::move(context));
}

std::shared_ptr<TlsClient> TlsClient::of(const TlsClientFiles& files) {
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  static std::mutex mutex;
  static auto& known = *new std::map<Key, std::shared_ptr<TlsClient>>;
  const std::lock_guard lock(mutex);
  if (known.size() >= kMostPeers) known.clear();
  auto& client = known[{files.ca_file, files.cert_file, files.key_file, files.server_name}];
  if (!client) client = std::make_shared<TlsClient>(files);
  return client;
}

namespace {
std::atomic<uint64_t> last_number{0};
}  // namespace

TlsClient::TlsClient(TlsClientFiles files)
    : settings_(std::move(files)),
      number_(++last_number),
      files_(
          named({settings_.ca_file, settings_.cert_file, settings_.key_file}),
          [this] { return make_client_context(settings_); }, std::chrono::seconds(1)) {}

TlsClient::~TlsClient() { forget_sessions(); }

std::string TlsClient::identity() {
  files_.get();
  return std::to_string(number_) + "." + std::to_string(files_.reloads());
}

std::unique_ptr<TlsSession> TlsClient::open(int fd, const std::string& host, uint16_t port) {
  const std::string& name = settings_.server_name.empty() ? host : settings_.server_name;
  std::shared_ptr<TlsContext> context = files_.get();
  SSL* ssl = new_ssl(*context);
  SSL_set_connect_state(ssl);
  expect(ssl, name);
  const std::string peer = host + ":" + std::to_string(port);
  resume(ssl, peer, context);
  auto session = std::make_unique<TlsSession>(ssl, fd, std::move(context));
  session->client_ = weak_from_this();
  session->peer_ = peer;
  return session;
}

void TlsClient::resume(SSL* ssl, const std::string& peer, const std::shared_ptr<TlsContext>& context) {
  const std::lock_guard lock(mutex_);
  if (sessions_of_ != context) {
    forget_sessions();
    sessions_of_ = context;
  }
  const auto found = sessions_.find(peer);
  if (found == sessions_.end() || found->second.empty()) return;
  SSL_SESSION* session = found->second.back();
  SSL_set_session(ssl, session);
  // A ticket of TLS 1.3 is used once, so that nobody sees which connections are of one client (RFC 8446, C.4).
  if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) return;
  found->second.pop_back();
  SSL_SESSION_free(session);
}

bool TlsClient::keep(const std::string& peer, SSL_SESSION* session, const TlsContext& context) {
  const std::lock_guard lock(mutex_);
  if (sessions_of_.get() != &context) return false;
  if (sessions_.size() >= kMostPeers && !sessions_.contains(peer)) forget_sessions();
  auto& kept = sessions_[peer];
  if (kept.size() >= kMostSessions) {
    SSL_SESSION_free(kept.front());
    kept.erase(kept.begin());
  }
  kept.push_back(session);
  return true;
}

void TlsClient::forget_sessions() {
  for (auto& [peer, kept] : sessions_)
    for (SSL_SESSION* session : kept) SSL_SESSION_free(session);
  sessions_.clear();
}

}  // namespace sm::io
