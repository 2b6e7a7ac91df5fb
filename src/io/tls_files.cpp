#include "io/tls_files.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "io/tls.hpp"
#include "io/tls_callbacks.hpp"

namespace sm::io {
namespace {

// Forward secrecy and authenticated encryption only; all of TLS 1.3's are that.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// The reason that OpenSSL gives; forgets it.
std::string reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return text ? text : "no reason given";
}

[[noreturn]] void fail(const char* what, const std::string& file, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "tls: " + std::string(what) + " " + file + ": " + why);
}

void check_readable(const char* what, const std::string& file) {
  errno = 0;
  std::ifstream stream(file);
  if (!stream || stream.peek() == std::ifstream::traits_type::eof())
    fail(what, file, errno ? std::strerror(errno) : "the file is empty");
}

std::string date(int64_t seconds) {
  char text[32];
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) ? ::timegm(&parts) : 0;
}

// Notes that a passphrase is wanted, instead of asking for it at the terminal.
int no_passphrase(char*, int, int, void* wanted) {
  if (wanted) *static_cast<bool*>(wanted) = true;
  return -1;
}

std::shared_ptr<TlsContext> new_context(const SSL_METHOD* method) {
  // Threads may still use OpenSSL while the process ends.
  static const bool initialised [[maybe_unused]] = OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
  SSL_CTX* context = SSL_CTX_new(method);
  if (!context) throw Error(ErrorCode::kInternal, "tls: " + reason());
  auto out = std::make_shared<TlsContext>(context);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (!SSL_CTX_set_cipher_list(context, kCiphers)) throw Error(ErrorCode::kInternal, "tls: " + reason());
  return out;
}

void load_key(SSL_CTX* context, const std::string& cert_file, const std::string& key_file) {
  check_readable("key file", key_file);
  bool locked = false;
  SSL_CTX_set_default_passwd_cb_userdata(context, &locked);
  const int used = SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (used == 1 && SSL_CTX_check_private_key(context) == 1) return;
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
      (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH || ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH)) {
    ERR_clear_error();
    fail("key file", key_file, "it isn't the key of the certificate in " + cert_file);
  }
  if (locked) {
    ERR_clear_error();
    fail("key file", key_file, "it has a passphrase; store it without one, readable by this process alone");
  }
  fail("key file", key_file, "no private key in PEM format can be read from it (" + reason() + ")");
}

// A certificate with those between it and its root, and its key.
void load_pair(SSL_CTX* context, const std::string& cert_file, const std::string& key_file) {
  if (cert_file.empty() || key_file.empty())
    throw Error(ErrorCode::kInvalidArgument,
                "tls: a certificate and its key belong together, got " +
                    (cert_file.empty() ? "only the key file " + key_file : "only the certificate file " + cert_file));
  check_readable("certificate file", cert_file);
  if (SSL_CTX_use_certificate_chain_file(context, cert_file.c_str()) != 1)
    fail("certificate file", cert_file, "no certificate in PEM format can be read from it (" + reason() + ")");
  const ASN1_TIME* end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
  if (X509_cmp_current_time(end) < 0)
    fail("certificate file", cert_file, "the certificate expired at " + date(seconds_of(end)));
  load_key(context, cert_file, key_file);
}

void load_authorities(SSL_CTX* context, const char* what, const std::string& file) {
  check_readable(what, file);
  if (SSL_CTX_load_verify_file(context, file.c_str()) != 1)
    fail(what, file, "no certificate in PEM format can be read from it (" + reason() + ")");
}

// Whoever offers protocols must offer ours (RFC 7301).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kHttp11, sizeof kHttp11, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

int64_t TlsContext::not_after() const noexcept {
  const X509* certificate = SSL_CTX_get0_certificate(context_);
  return certificate ? seconds_of(X509_get0_notAfter(certificate)) : 0;
}

std::shared_ptr<TlsContext> make_server_context(const TlsOptions& options) {
  auto out = new_context(TLS_server_method());
  SSL_CTX* context = out->get();
  if (options.min_version == TlsVersion::k1_3) SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  load_pair(context, options.cert_file, options.key_file);
  // Sessions are resumed by tickets alone: nothing is kept for clients.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  static constexpr unsigned char kName[] = "shumai";
  SSL_CTX_set_session_id_context(context, kName, sizeof kName - 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (!options.client_ca_file.empty()) {
    load_authorities(context, "client CA file", options.client_ca_file);
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.client_ca_file.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return out;
}

std::shared_ptr<TlsContext> make_client_context(const TlsClientFiles& files) {
  auto out = new_context(TLS_client_method());
  SSL_CTX* context = out->get();
  if (!files.ca_file.empty()) {
    load_authorities(context, "CA file", files.ca_file);
  } else {
    SSL_CTX_set_default_verify_paths(context);
    ERR_clear_error();
  }
  if (!files.cert_file.empty() || !files.key_file.empty()) load_pair(context, files.cert_file, files.key_file);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_refused);
  SSL_CTX_set_alpn_protos(context, kHttp11, sizeof kHttp11);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
  return out;
}

}  // namespace sm::io
