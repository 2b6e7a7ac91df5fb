#pragma once

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace sm::io {

class TlsContext;
struct TlsOptions;
struct TlsClientFiles;

// Contexts from files. Throw Error (kInvalidArgument) that names the file that
// can't be used, and says why.
std::shared_ptr<TlsContext> make_server_context(const TlsOptions& options);
std::shared_ptr<TlsContext> make_client_context(const TlsClientFiles& files);

}  // namespace sm::io
