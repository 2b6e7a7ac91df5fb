#include "cli/access.hpp"

#include <cstdlib>
#include <fstream>

#include "shumai/error.hpp"

namespace sm::cli {

std::string token_of(const std::string& file) {
  const char* const from_environment = std::getenv("SHUMAI_TOKEN_FILE");
  if (file.empty()) {
    if (const char* token = std::getenv("SHUMAI_TOKEN"); token && *token) return token;
    if (!from_environment || !*from_environment) return "";
  }
  const std::string path = file.empty() ? from_environment : file;
  std::ifstream in(path);
  if (!in) throw Error(ErrorCode::kNotFound, "token file \"" + path + "\" can't be read");
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  if (line.empty())
    throw Error(ErrorCode::kInvalidArgument, "token file \"" + path + "\" has no token in its first line");
  return line;
}

io::FetchOptions fetch_options(const Access& access) {
  io::FetchOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(access.timeout * 1000));
  if (const std::string token = token_of(access.token_file); !token.empty())
    options.headers = std::vector<std::pair<std::string, std::string>>{{"Authorization", "Bearer " + token}};
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
