#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct LoadSettings {
  int port = 0;
  size_t connections = 1;  // requests in flight
  // Connections that are open, and take their turns at those requests; at least `connections`.
  size_t open = 1;
  std::string path = "/forward";
  size_t elements = 256;  // of float32, in safetensors
  size_t rows = 0;        // so many of them each; 0: a vector
  // Sends back the session that an answer names, as our clients do.
  bool keeps_session = true;
};

// Requests that cost their sender little: one thread, all the same bytes.
// Throws std::runtime_error when the server closes or refuses.
class Load {
 public:
  explicit Load(const LoadSettings& settings);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Sends for so many seconds, or so many requests, and waits for the last
  // answer. The seconds that each took, in the order of the answers.
  std::vector<double> run(double seconds, size_t requests = SIZE_MAX);
  // From now on only the first `count` connections get requests.
  void use(size_t count);

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    int fd = -1;
    std::string request;
    bool has_session = false;
    Clock::time_point begin;
    std::string head;    // until it is complete
    size_t missing = 0;  // bytes of the answer, once its header is complete
    bool waits = false;
  };

  void send(Connection& connection);
  bool receive(Connection& connection);
  void read_header(Connection& connection);

  LoadSettings settings_;
  int epoll_ = -1;
  std::vector<Connection> all_;
  std::deque<size_t> free_;
};

}  // namespace bench
