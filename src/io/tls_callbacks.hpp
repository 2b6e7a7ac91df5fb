#pragma once

struct ssl_session_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace sm::io {

// OpenSSL's callback for a session that a client may resume later.
int keep_session(ssl_st* ssl, ssl_session_st* session);
// And for a step in verifying the peer's certificate.
int note_refused(int accepted, x509_store_ctx_st* store);

}  // namespace sm::io
