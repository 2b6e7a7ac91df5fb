#include "io/tls_session.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "io/tls.hpp"
#include "io/tls_callbacks.hpp"

namespace sm::io {

namespace {

namespace asio = boost::asio;
using ErrorInfo = boost::system::error_code;

class TlsCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tls"; }
  std::string message(int value) const override {
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(value));
    return reason ? "TLS: " + std::string(reason) : "TLS error " + std::to_string(value);
  }
};

ErrorInfo tls_error(unsigned long packed) { return {static_cast<int>(packed), tls_category()}; }
int reason_of(const ErrorInfo& error) { return ERR_GET_REASON(static_cast<unsigned long>(error.value())); }
bool is_alert(const ErrorInfo& error) {
  return error.category() == tls_category() && reason_of(error) >= SSL_AD_REASON_OFFSET;
}

// Empty for what isn't text, or has a null character to pass for another.
std::string text_of(const ASN1_STRING* string) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, string);
  if (size < 0) return "";
  std::string text(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return std::ranges::any_of(text, is_control) ? "" : text;
}

std::string common_name(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? "" : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// The names of the kinds in `kinds`, kind by kind.
std::vector<std::string> alternative_names(const X509* certificate, std::initializer_list<int> kinds) {
  std::vector<std::string> found;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (const int kind : kinds) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
      const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
      if (name->type != kind) continue;
      // URI, DNS and mail are the same member under several names.
      if (std::string text = text_of(name->d.ia5); !text.empty()) found.push_back(std::move(text));
    }
  }
  GENERAL_NAMES_free(names);
  return found;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

// The socket as OpenSSL sees it. The one that comes with OpenSSL writes
// without MSG_NOSIGNAL, and turns an end without goodbye into an error that
// forbids writing, when the answer to a request may still have to be sent.
struct TlsCallbacks {
  static TlsSession& of(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

  static int failed(BIO* bio, int retry) {
    if (errno == EAGAIN || errno == EINTR)
      BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    else
      of(bio).system_error_ = errno;
    return -1;
  }
  static int read(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t got = ::recv(of(bio).fd_, into, static_cast<size_t>(size), 0);
    if (got == 0) of(bio).ended_ = true;
    return got < 0 ? failed(bio, BIO_FLAGS_READ) : static_cast<int>(got);
  }
  static int write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t sent = ::send(of(bio).fd_, from, static_cast<size_t>(size), MSG_NOSIGNAL);
    return sent < 0 ? failed(bio, BIO_FLAGS_WRITE) : static_cast<int>(sent);
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const instance = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shumai socket");
      BIO_meth_set_read(made, read);
      BIO_meth_set_write(made, write);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return instance;
  }

  // Notes whom a certificate that isn't accepted is for.
  static int verify(int accepted, X509_STORE_CTX* store) {
    const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* owner = static_cast<TlsSession*>(SSL_get_app_data(ssl));
    if (!accepted && X509_STORE_CTX_get_error_depth(store) == 0)
      owner->refused_names_ = list(alternative_names(X509_STORE_CTX_get_current_cert(store), {GEN_DNS}));
    return accepted;
  }

  static int keep(SSL* ssl, SSL_SESSION* session) {
    const auto* owner = static_cast<const TlsSession*>(SSL_get_app_data(ssl));
    if (!owner) return 0;
    const auto client = owner->client_.lock();
    return client && client->keep(owner->peer_, session, *owner->context_);
  }
};

int keep_session(SSL* ssl, SSL_SESSION* session) { return TlsCallbacks::keep(ssl, session); }
int note_refused(int accepted, X509_STORE_CTX* store) { return TlsCallbacks::verify(accepted, store); }

const boost::system::error_category& tls_category() noexcept {
  static const TlsCategory instance;
  return instance;
}

bool is_tls_refusal(const ErrorInfo& error) noexcept {
  return is_alert(error) && reason_of(error) != SSL_R_TLSV1_ALERT_INTERNAL_ERROR &&
         reason_of(error) != SSL_R_TLSV1_ALERT_USER_CANCELLED;
}

TlsSession::TlsSession(SSL* ssl, int fd, std::shared_ptr<TlsContext> context)
    : ssl_(ssl), fd_(fd), context_(std::move(context)) {
  BIO* bio = BIO_new(TlsCallbacks::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
}

TlsSession::~TlsSession() {
  say_goodbye();
  SSL_free(ssl_);
}

TlsSession::Wait TlsSession::settle(int result, ErrorInfo& error) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Wait::kRead;
    case SSL_ERROR_WANT_WRITE:
      return Wait::kWrite;
    case SSL_ERROR_ZERO_RETURN:
      error = asio::error::eof;
      return Wait::kNothing;
    case SSL_ERROR_SSL:
      broken_ = true;
      error = tls_error(ERR_peek_error());
      break;
    default:
      if (system_error_)
        error = ErrorInfo(system_error_, boost::system::system_category());
      else if (ended_)
        error = tls_error(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING));
      else
        error = asio::error::connection_aborted;
      broken_ = system_error_ != 0;
  }
  ERR_clear_error();
  return Wait::kNothing;
}

TlsSession::Wait TlsSession::handshake(ErrorInfo& error) {
  error = {};
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    shaken_ = true;
    return Wait::kNothing;
  }
  const Wait wait = settle(result, error);
  if (error.category() == tls_category()) {
    const int reason = reason_of(error);
    met_http_ = SSL_is_server(ssl_) && (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST);
  }
  return wait;
}

TlsSession::Wait TlsSession::read(std::span<char> into, size_t& bytes, ErrorInfo& error) {
  bytes = 0;
  error = read_failure_;
  while (!error && bytes < into.size()) {
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(ssl_, into.data() + bytes, into.size() - bytes, &got);
    if (result != 1) {
      const Wait wait = settle(result, read_failure_);
      if (bytes == 0) error = read_failure_;
      return bytes == 0 ? wait : Wait::kNothing;
    }
    bytes += got;
    // A full record is seldom the last; asking costs a system call.
    if (got < SSL3_RT_MAX_PLAIN_LENGTH && !SSL_has_pending(ssl_)) break;
  }
  return Wait::kNothing;
}

namespace {

// What goes into one record, of `buffers` from `offset` on: short pieces
// together, by a copy. The same arguments give the same bytes, which OpenSSL
// wants to see again after it had to wait.
std::span<const char> record_of(std::span<const asio::const_buffer> buffers, size_t offset) {
  constexpr size_t kMost = SSL3_RT_MAX_PLAIN_LENGTH;
  while (!buffers.empty() && offset >= buffers.front().size()) {
    offset -= buffers.front().size();
    buffers = buffers.subspan(1);
  }
  if (buffers.empty()) return {};
  const asio::const_buffer first = buffers.front() + offset;
  if (first.size() >= kMost || buffers.size() == 1)
    return {static_cast<const char*>(first.data()), std::min(first.size(), kMost)};
  thread_local std::vector<char> scratch(kMost);
  size_t filled = 0;
  for (const asio::const_buffer& buffer : buffers) {
    const asio::const_buffer piece = buffer + offset;
    const size_t size = std::min(piece.size(), kMost - filled);
    std::memcpy(scratch.data() + filled, piece.data(), size);
    filled += size;
    offset = 0;
    if (filled == kMost) break;
  }
  return {scratch.data(), filled};
}

}  // namespace

TlsSession::Wait TlsSession::write(std::span<const asio::const_buffer> buffers, size_t& bytes, ErrorInfo& error) {
  bytes = 0;
  error = {};
  for (;;) {
    const std::span<const char> record = record_of(buffers, bytes);
    if (record.empty()) return Wait::kNothing;
    ERR_clear_error();
    size_t written = 0;
    const int result = SSL_write_ex(ssl_, record.data(), record.size(), &written);
    if (result != 1) {
      const Wait wait = settle(result, error);
      return bytes && !error ? Wait::kNothing : wait;
    }
    bytes += written;
  }
}

bool TlsSession::quiet() noexcept {
  if (read_failure_ || broken_) return false;
  char byte;
  size_t got = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(ssl_, &byte, 1, &got);
  return result != 1 && SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ;
}

void TlsSession::say_goodbye() noexcept {
  if (!shaken_ || broken_ || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsSession::resumed() const noexcept { return SSL_session_reused(ssl_); }

bool TlsSession::hopeless(const ErrorInfo& error) const noexcept {
  if (SSL_get_verify_result(ssl_) != X509_V_OK || is_tls_refusal(error)) return true;
  return error.category() == tls_category() && reason_of(error) != SSL_R_UNEXPECTED_EOF_WHILE_READING &&
         !is_alert(error);
}

namespace {

// What to do about a certificate that isn't accepted.
std::string advice(long verify_result, const std::string& names, const std::string& host) {
  switch (verify_result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "; if it is to be trusted, give the certificate of its authority as the CA file";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "; it isn't for " + host + (names.empty() ? "" : " but for " + names) +
             ": use a URL with its name, or set the server name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "; it has to be renewed, unless this machine's clock is wrong";
    default:
      return "";
  }
}

}  // namespace

std::string TlsSession::peer_name() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (!certificate || SSL_get_verify_result(ssl_) != X509_V_OK || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE)
    return "";
  if (std::string name = common_name(certificate); !name.empty()) return name;
  const std::vector<std::string> names = alternative_names(certificate, {GEN_URI, GEN_DNS, GEN_EMAIL});
  return names.empty() ? "" : names.front();
}

std::string TlsSession::explain(const ErrorInfo& error, const std::string& host) const {
  if (const long result = SSL_get_verify_result(ssl_); result != X509_V_OK) {
    return "the server's certificate isn't accepted: " + std::string(X509_verify_cert_error_string(result)) +
           advice(result, refused_names_, host);
  }
  if (is_alert(error)) return explain_refusal(error);
  const int reason = error.category() == tls_category() ? reason_of(error) : 0;
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG)
    return "the server doesn't speak TLS at this port; is its URL http:// ? (" + error.message() + ")";
  return "the TLS handshake failed: " + error.message();
}

std::string explain_refusal(const ErrorInfo& error) {
  const int reason = reason_of(error);
  std::string text = "the server refuses this client: " + error.message();
  if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
    text += "; it may want a certificate: give one, and its key";
  else if (reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE)
    text += "; the authority of this client's certificate isn't among those that the server accepts";
  return text;
}

}  // namespace sm::io
