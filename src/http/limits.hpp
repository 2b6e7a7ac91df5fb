#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sm::http {

// What one side takes from the other before it refuses. The sizes hold for
// requests at a server and for responses at a client; the rest is a server's.
struct Limits {
  // Start line and fields together, and each chunk header or trailer: 431.
  size_t max_header_bytes = 16 * 1024;
  size_t max_headers = 100;                     // 431
  uint64_t max_body_bytes = uint64_t{1} << 30;  // 413, before anything is allocated
  size_t max_connections = 10'000;              // 503, then closed
  size_t max_requests_in_flight = 1'000;        // handlers running at once: 503 with Retry-After

  // From a request's first byte (or the connection's start) to its last header.
  std::chrono::milliseconds header_timeout{10'000};
  // Longest silence within a body. A body that trickles is cut off as well:
  // after the first such span it must have come at min_body_rate on average.
  std::chrono::milliseconds body_timeout{30'000};
  uint64_t min_body_rate = 1024;  // bytes a second; 0: any
  // How long a connection may wait for its next request.
  std::chrono::milliseconds keep_alive_timeout{75'000};
  // Longest time without the peer taking any byte of a response.
  std::chrono::milliseconds write_timeout{30'000};
  // After a refused request: how long its rest is read and dropped, so that
  // the peer gets to see the answer.
  std::chrono::milliseconds linger_timeout{2'000};
};

}  // namespace sm::http
