#pragma once

#include <poll.h>
#include <sys/time.h>

#include <cstring>

#include "e2e/proxy.hpp"
#include "e2e/training.hpp"

// Clients that mean harm, beside one that trains.
namespace sm::e2e {

// How long a client may take for a header, and be silent in a body.
inline constexpr int kPatienceMs = 1000;

// A server with one client that trains all the while. Its every step has to
// succeed, and it has to get on.
class Besieged {
 public:
  Besieged() : server_(options()), client_([this] { return train(); }) {
    EXPECT_TRUE(poll_until([this] { return steps_ >= 20 || client_.ended(); }));
  }
  ~Besieged() { enough_ = true; }

  uint16_t port() const { return server_.port(); }
  const std::string& url() const { return server_.url(); }
  Json statistics() const { return server_.statistics(); }
  double resident() const { return server_.resident(); }

  // Runs `attack` once for the pools that servers keep, and then again and
  // again: memory stays, and the client that trains is served.
  void withstand(int rounds, const std::function<void()>& attack) {
    attack();
    const double quiet = rate([] { std::this_thread::sleep_for(200ms); });
    const double before = settled();
    const double busy = rate([&] {
      // Long enough for steps to be counted.
      const auto least = std::chrono::steady_clock::now() + 300ms;
      for (int i = 0; i < rounds || std::chrono::steady_clock::now() < least; ++i) attack();
    });
    const double after = settled();
    std::printf("resident kB: %.0f before, %.0f after; steps/s: %.0f alone, %.0f under attack\n", before, after, quiet,
                busy);
    // The allocators of the sanitizers keep freed memory aside.
    if (!kSanitized) {
      EXPECT_LE(after, before * 1.2) << "resident kB, before " << before;
    }
    EXPECT_GT(busy, quiet / 20) << "steps a second";
    enough_ = true;
    EXPECT_EQ(client_.join(), "") << "the client that trains saw an error";
    const Json now = statistics();
    EXPECT_EQ(now["weights"]["version"].as_int64(), steps_);
    EXPECT_EQ(now["routes"]["optimize"]["errors"].as_int64(), 0);
    EXPECT_EQ(server_.stop(), 0);
  }

 private:
  static std::vector<std::string> options() {
    // For the server: freed memory goes back at once, so that what stays is held.
    ::setenv("MALLOC_ARENA_MAX", "1", 1);
    ::setenv("MALLOC_TRIM_THRESHOLD_", "65536", 1);
    ::setenv("MALLOC_MMAP_THRESHOLD_", "65536", 1);
    // What is remembered of the trainer's steps would be memory that grows with time, so only for a second.
    return {"--model", "line", "--size", "4", "--patience", std::to_string(kPatienceMs), "--lifetime", "1000"};
  }

  Task<> train() {
    const io::RemoteModel model = io::remote_model(server_.url());
    const Tensor x = ones({2, 4}, DType::f64);
    while (!enough_) {
      const Tensor y = co_await model(x);
      co_await sum(y).backward_async();
      ++steps_;
      co_await util::sleep(10ms);
    }
  }

  double rate(const std::function<void()>& meanwhile) const {
    const int before = steps_;
    const auto begin = std::chrono::steady_clock::now();
    meanwhile();
    return (steps_ - before) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  // Memory once all attackers are gone: the trainer and we remain.
  double settled() const {
    Json last;
    EXPECT_TRUE(poll_until([&] {
      last = statistics();
      return last["connections"].as_int64() <= 2;
    })) << last.dump(2);
    return server_.resident();
  }

  TrainingServer server_;
  std::atomic<bool> enough_{false};
  std::atomic<int> steps_{0};
  Clients client_;
};

// All that comes until the connection ends, or a minute has passed.
inline std::string receive_all(const Socket& socket) {
  const timeval patience{60, 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string all;
  char bytes[16384];
  for (ssize_t got; (got = ::recv(socket.fd(), bytes, sizeof bytes, 0)) > 0;)
    all.append(bytes, static_cast<size_t>(got));
  return all;
}

// The statuses of the answers that `all` holds, such as "200 400".
inline std::string statuses(std::string_view all) {
  std::string out;
  for (size_t at = 0; (at = all.find("HTTP/1.1 ", at)) != all.npos; at += 9)
    out += (out.empty() ? "" : " ") + std::string(all.substr(at + 9, 3));
  return out;
}

// What the server answers to these bytes, and nothing after them.
inline std::string answers_to(uint16_t port, const std::string& bytes) {
  const auto socket = Socket::connect(port);
  if (!socket) return "nobody listens";
  socket->send(bytes);
  ::shutdown(socket->fd(), SHUT_WR);
  return receive_all(*socket);
}

}  // namespace sm::e2e
