#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/deadline.hpp"
#include "io/stream.hpp"

namespace sm::io {

// Where to connect: a Unix socket when `unix_path` isn't empty.
struct Address {
  std::string host;
  uint16_t port = 0;
  std::string unix_path;
};

// "localhost:3000", "[::1]:3000" or "unix:/path".
std::string to_string(const Address& address);

// Tries each of the host's addresses in turn. Throws sm::Error, kConnection
// with the last reason, kTimeout when `deadline` came first, kCancelled.
Task<Stream> connect(Address address, Deadline& deadline);

// The addresses to listen on for `host`, IPv4 first; blocks while names are
// looked up. Throws sm::Error (kConnection).
Endpoint listen_endpoint(const std::string& host, uint16_t port);

// `host` as an address in numbers, looked up once; a Unix socket's as it is.
// Throws as listen_endpoint does.
std::string listen_address(const std::string& host);

// Whether only this machine reaches `host`: "localhost", names under it, or an
// address in numbers that is. Other names are not looked up.
bool is_loopback(std::string_view host);

}  // namespace sm::io
