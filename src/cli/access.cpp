#include "cli/access.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "shumai/error.hpp"

namespace sm::cli {

std::string token_of(const std::string& file) {
  if (file.empty()) {
    const char* const token = std::getenv("SHUMAI_TOKEN");
    return token ? token : "";
  }
  std::ifstream in(file);
  if (!in) throw Error(ErrorCode::kNotFound, "token file \"" + file + "\" can't be read");
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first, second;
    if (words >> first) return words >> second ? second : first;
  }
  throw Error(ErrorCode::kInvalidArgument, "token file \"" + file + "\" has no token");
}

io::FetchOptions fetch_options(const Access& access) {
  io::FetchOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(access.timeout * 1000));
  options.token = token_of(access.token_file);
  options.tls = tls_options(access);
  return options;
}

io::ClientTlsOptions tls_options(const Access& access) {
  io::ClientTlsOptions options;
  options.ca_file = access.ca;
  options.cert_file = access.cert;
  options.key_file = access.key;
  return options;
}

std::string base_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  // What follows a socket's path is told from it by a colon.
  constexpr std::string_view kSocket = "unix:";
  if (url.starts_with(kSocket) && url.find(':', kSocket.size()) == url.npos) url += ':';
  return url;
}

}  // namespace sm::cli
