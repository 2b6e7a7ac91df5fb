#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

// Whether replicas reach each other, apart from what the rendezvous says.
namespace sm::replicate {

// Tells whoever connects who is here, in one line, and hangs up. It reads
// nothing. Thread-safe.
class Presence {
 public:
  // Listens on any free port of `address`, which is one in numbers. Throws Error (kConnection).
  Presence(const std::string& address, std::string line);
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  uint16_t port() const noexcept { return port_; }

 private:
  void run();

  const std::string line_;
  int listener_ = -1, wake_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

struct Place {
  std::string address;
  uint16_t port = 0;
  std::string line;  // that has to come from there
};

// Which of `places` answer with their line within `timeout`; all are asked at once.
std::vector<bool> reachable(const std::vector<Place>& places, std::chrono::milliseconds timeout);

}  // namespace sm::replicate
