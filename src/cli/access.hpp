#pragma once

#include <string>

#include "cli/arguments.hpp"
#include "shumai/io.hpp"

// How the commands reach servers.
namespace sm::cli {

// The first secret in `file`, which holds it alone in a line, or has the form
// of a server's ("name secret"); without a file, what SHUMAI_TOKEN says. Empty:
// none. Throws Error for a file that can't be read or holds nothing.
std::string token_of(const std::string& file);

// With the token, the time and the certificates of `access`.
io::FetchOptions fetch_options(const Access& access);
io::ClientTlsOptions tls_options(const Access& access);

// What "/forward" may follow.
std::string base_url(std::string url);

}  // namespace sm::cli
