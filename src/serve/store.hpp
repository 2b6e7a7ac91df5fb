#pragma once

#include <any>
#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shumai/io.hpp"

// Sessions and tickets. Everything here runs on the server's logical thread.
//
// A ticket's life:
//
//   minted ----> captured ----> running ----> done
//      |            |  ^           |            |
//      |            |  '-----------'            |
//      '------------'-------> expired <---------'
//
//   minted     a handler's first call began to store something, or returned a graph
//   captured   that call ended; what it stored waits for the gradient
//   running    a request that carries the ticket is being handled. It may store
//              more (gradients for a later "apply"): back to captured. When it
//              fails, back to captured too, and it may be sent again.
//   done       such a request succeeded and stored nothing new. What the ticket
//              held is let go at once; its answers are kept for retries.
//   expired    its lifetime passed, or its session made too many others. Forgotten:
//              the ticket is answered with 410.
//
// Invariant: each route runs at most once to success under one ticket. The same
// body again gets the stored answer, another one 422.
namespace sm::io {

using Clock = std::chrono::steady_clock;
using BodyDigest = std::array<uint64_t, 2>;

struct Ticket;

// What user.set() kept.
struct Entry {
  std::any value;
  Ticket* ticket = nullptr;  // whose end takes the entry out of the session as well
};
using Slots = std::map<std::string, Entry, std::less<>>;

struct Session {
  std::string id;
  Slots latest;
  Clock::time_point last_used;
  std::list<Ticket*> tickets;  // oldest first
};

// One route called under a ticket.
struct TicketCall {
  BodyDigest body;
  bool done = false;
  bool kept = false;  // the answer; it may have been too large to keep
  Content answer;
  size_t answer_bytes = 0;
  std::shared_ptr<boost::asio::steady_timer> finished;  // cancelled when the call has ended
};

struct Ticket {
  enum class State : uint8_t { kMinted, kCaptured, kRunning, kDone, kExpired };

  std::string id;
  std::shared_ptr<Session> session;
  State state = State::kMinted;
  Slots own;
  std::map<std::string, std::shared_ptr<TicketCall>, std::less<>> calls;
  Clock::time_point expires;
  std::list<Ticket*>::iterator in_session;
  std::list<Ticket*>::iterator in_age;
};

struct StoreStatistics {
  uint64_t tickets_minted = 0;
  uint64_t tickets_done = 0;
  uint64_t tickets_expired = 0;
  uint64_t answers_replayed = 0;
};

class Store {
 public:
  explicit Store(const ServeLimits& limits) : limits_(limits) {}
  ~Store();

  // The session named `id`, or a fresh one when that is empty or forgotten.
  // Throws Error (kTooManyRequests) when there are too many.
  std::shared_ptr<Session> session(std::string_view id);

  // Throws Error: kGone when it is unknown or expired, kForbidden when it
  // belongs to another session than `session_id`, unless that is empty.
  std::shared_ptr<Ticket> find(std::string_view id, std::string_view session_id);

  // A new ticket of `session`; its oldest one expires when it has too many.
  // Throws Error (kTooManyRequests) when the server has too many.
  std::shared_ptr<Ticket> mint(const std::shared_ptr<Session>& session);

  // Lets go of what the ticket holds, in the session too. Its answers stay.
  void finish(Ticket& ticket);

  // Forgets the ticket.
  void expire(Ticket& ticket);

  // Keeps `call`'s answer for retries, within the limit on bytes.
  void keep_answer(TicketCall& call, const Content& answer);

  // Forgets what has outlived its time. Called now and then.
  void sweep(Clock::time_point now);

  size_t sessions() const noexcept { return sessions_.size(); }
  // Those remembered, and those among them that aren't done.
  size_t tickets() const noexcept { return tickets_.size(); }
  size_t live_tickets() const noexcept { return live_; }
  StoreStatistics& statistics() noexcept { return statistics_; }

 private:
  void release(Ticket& ticket);

  const ServeLimits limits_;
  std::unordered_map<std::string, std::shared_ptr<Session>> sessions_;
  std::unordered_map<std::string, std::shared_ptr<Ticket>> tickets_;
  std::list<Ticket*> by_age_;  // oldest first, so the next to expire
  size_t answer_bytes_ = 0;
  size_t live_ = 0;
  StoreStatistics statistics_;
};

// 128 random bits in hexadecimal.
std::string random_id();

// Identifies a request's body; equal bodies have equal digests, and others in
// practice never.
BodyDigest digest_of(std::string_view type, std::string_view body);

}  // namespace sm::io
