#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sm::http {

// Where a request goes: "localhost:3000/forward" (no scheme means http),
// "https://host/path?query", "http://[::1]:3000/", "unix:/run/shumai.sock" or,
// with a path, "unix:/run/shumai.sock:/forward".
struct Url {
  std::string scheme = "http";  // "http", "https" or "unix"
  std::string host;             // lower case, an IPv6 address without brackets
  uint16_t port = 0;
  std::string socket_path;   // for "unix"
  std::string target = "/";  // path and query; a fragment is dropped

  // Throws sm::Error (kInvalidArgument) that names the text and what is wrong.
  static Url parse(std::string_view text);

  // Equal for URLs that reach the same server: "http://localhost:3000",
  // "unix:/run/shumai.sock".
  std::string origin() const;
  // The value of the Host header: without the port when it is the scheme's own.
  std::string host_header() const;
  std::string to_string() const;
};

// The URL of a route of the server at `server`, which for a Unix socket may
// lack the colon after its path.
std::string route_url(std::string server, std::string_view route);

}  // namespace sm::http
