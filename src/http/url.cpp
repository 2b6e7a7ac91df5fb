#include "http/url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

struct Parse {
  std::string_view text;  // all of it, for messages

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorCode::kInvalidArgument, "url '" + std::string(text) + "': " + why);
  }

  std::string target(std::string_view rest) const {
    rest = rest.substr(0, rest.find('#'));
    if (std::ranges::any_of(rest, [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
      fail("the path has a space or a control character; percent-encode it");
    return rest.empty() || rest.front() != '/' ? "/" + std::string(rest) : std::string(rest);
  }

  uint16_t port(std::string_view digits) const {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value == 0 || value > 65535)
      fail("expected a port from 1 to 65535, got '" + std::string(digits) + "'");
    return static_cast<uint16_t>(value);
  }

  std::string host(std::string_view name) const {
    std::string host(name);
    std::ranges::transform(host, host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    if (host.empty()) fail("the host is missing");
    if (!std::ranges::all_of(host, allowed)) fail("'" + std::string(name) + "' isn't a host name");
    return host;
  }

  // "host", "host:port", "[v6]" or "[v6]:port".
  void authority(std::string_view part, Url& url) const {
    if (part.find('@') != std::string_view::npos) fail("names and passwords aren't taken here; send a token instead");
    std::string_view after;
    if (part.starts_with('[')) {
      const size_t close = part.find(']');
      if (close == std::string_view::npos) fail("']' is missing after the IPv6 address");
      url.host = std::string(part.substr(1, close - 1));
      in6_addr address;
      if (::inet_pton(AF_INET6, url.host.c_str(), &address) != 1) fail("'" + url.host + "' isn't an IPv6 address");
      char canonical[INET6_ADDRSTRLEN];
      url.host = ::inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
      after = part.substr(close + 1);
      if (!after.empty() && after.front() != ':') fail("expected ':' and a port after ']'");
    } else {
      const size_t colon = part.find(':');
      if (colon != std::string_view::npos && part.find(':', colon + 1) != std::string_view::npos)
        fail("an IPv6 address needs brackets, as in [::1]:3000");
      url.host = host(part.substr(0, colon));
      if (colon != std::string_view::npos) after = part.substr(colon);
    }
    if (after.size() > 1) url.port = port(after.substr(1));
  }
};

uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

}  // namespace

Url Url::parse(std::string_view text) {
  const Parse parse{text};
  Url url;
  if (text.empty()) parse.fail("it is empty");
  if (text.starts_with("unix:")) {
    const std::string_view rest = text.substr(5);
    const size_t colon = std::min(rest.find(":/"), rest.ends_with(':') ? rest.size() - 1 : std::string_view::npos);
    url.scheme = "unix";
    url.socket_path = std::string(rest.substr(0, colon));
    if (url.socket_path.empty()) parse.fail("the socket's path is missing");
    if (url.socket_path.find('\0') != std::string::npos) parse.fail("the socket's path has a null character");
    url.target = parse.target(colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1));
    return url;
  }
  std::string_view rest = text;
  const size_t mark = text.find("://");
  if (mark != std::string_view::npos && mark < text.find_first_of("/?#")) {
    url.scheme = std::string(text.substr(0, mark));
    std::ranges::transform(url.scheme, url.scheme.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    if (url.scheme != "http" && url.scheme != "https")
      parse.fail("expected http, https or unix, got '" + url.scheme + "'");
    rest.remove_prefix(mark + 3);
  }
  url.port = default_port(url.scheme);
  const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  parse.authority(rest.substr(0, end), url);
  url.target = parse.target(rest.substr(end));
  return url;
}

std::string Url::host_header() const {
  if (scheme == "unix") return "localhost";
  std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) name += ":" + std::to_string(port);
  return name;
}

std::string Url::origin() const {
  if (scheme == "unix") return "unix:" + socket_path;
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return scheme + "://" + name + ":" + std::to_string(port);
}

std::string Url::to_string() const { return scheme == "unix" ? origin() + ":" + target : origin() + target; }

std::string route_url(std::string server, std::string_view route) {
  constexpr std::string_view kUnix = "unix:";
  if (server.starts_with(kUnix) && !server.ends_with(':') && server.find(":/", kUnix.size()) == std::string::npos)
    server += ':';
  return server.append("/").append(route);
}

}  // namespace sm::http
