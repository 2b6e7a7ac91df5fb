#pragma once

#include <any>
#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autograd/held.hpp"
#include "serve/finished.hpp"
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
//              held is let go at once; its answers are kept for retries for a
//              while, and for longer the fact that it was done.
//   expired    its lifetime passed, its session made too many others or holds
//              too much, or its gradient was too stale. Forgotten: the ticket is
//              answered with 410. Never while a request of it runs, but for that
//              request's own gradient being too stale.
//
// Invariant: each route runs at most once to success under one ticket. The same
// body again gets the stored answer, another one 422. A ticket that is done is
// never answered with 410 while it is remembered: to a client that means
// "nothing happened, forward again".
//
// Tickets that are done survive a restart with the checkpoint that their step
// is in (FinishedTicket). All others are unknown afterwards: 410.
namespace sm::io {

using Clock = std::chrono::steady_clock;

struct Session;
struct Ticket;

// What user.set() kept.
struct Entry {
  std::shared_ptr<const std::any> value;  // shared by the ticket and its session
  Ticket* ticket = nullptr;               // whose end takes the entry out of the session as well
};
using Slots = boost::container::flat_map<std::string, Entry, std::less<>>;

// One route called under a ticket.
struct TicketCall {
  BodyDigest body{};
  bool done = false;
  bool kept = false;  // the answer
  Content answer;
  size_t answer_bytes = 0;
  uint64_t sequence = 0;  // of the update that has to be durable before it is answered
  // While the call runs, when another request waits for its end, which destroys it.
  std::shared_ptr<boost::asio::steady_timer> finished;
};

// 128 random bits; as text 32 lower-case hexadecimal digits.
struct TicketId {
  uint64_t high = 0;
  uint64_t low = 0;

  static TicketId random();
  static std::optional<TicketId> parse(std::string_view text);
  std::string text() const;
  friend bool operator==(const TicketId&, const TicketId&) = default;

  struct Hash {
    using is_avalanching = void;
    size_t operator()(const TicketId& id) const noexcept { return id.low; }
  };
};

struct Ticket {
  enum class State : uint8_t { kMinted, kCaptured, kRunning, kDone, kExpired };
  using Hook = boost::intrusive::list_member_hook<>;

  TicketId id;
  std::shared_ptr<Session> session;  // null for one that was restored
  State state = State::kMinted;
  int running = 0;       // requests; it doesn't expire while there are any
  uint64_t version = 0;  // of the weights that its forward saw
  Slots own;
  std::map<std::string, std::shared_ptr<TicketCall>, std::less<>> calls;
  std::vector<HeldBlock> held;
  size_t bytes = 0;  // of those that aren't weights
  Clock::time_point expires;
  Hook in_session;  // while it is live
  Hook in_age;      // among the live, or those that are done
};
template <Ticket::Hook Ticket::*kHook>
using TicketList = boost::intrusive::list<Ticket, boost::intrusive::member_hook<Ticket, Ticket::Hook, kHook>>;
using TicketsOfSession = TicketList<&Ticket::in_session>;
using TicketsByAge = TicketList<&Ticket::in_age>;

struct Session {
  std::string id;
  std::string owner;  // the token's name; no other finds it. Empty without tokens.
  Slots latest;
  Clock::time_point last_used;
  TicketsOfSession tickets;  // live ones, oldest first
  size_t bytes = 0;          // that their graphs hold, weights apart
  size_t running = 0;        // requests being handled
  bool passing = false;      // of one inference: the store doesn't know it, nor its tickets
};

// Counts a request among its session's while it lives.
class Running {
 public:
  explicit Running(Session& session) : session_(session) { ++session_.running; }
  ~Running() { --session_.running; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Session& session_;
};

// Thread-safe to read.
struct StoreStatistics {
  std::atomic<uint64_t> tickets_minted{0};
  std::atomic<uint64_t> tickets_done{0};
  std::atomic<uint64_t> tickets_expired{0};  // in all
  std::atomic<uint64_t> tickets_evicted{0};  // of these, to make room for others
  std::atomic<uint64_t> answers_replayed{0};
};

class Store {
 public:
  explicit Store(const ServeLimits& limits) : limits_(limits) {}
  ~Store();

  // Before the first session: their names begin with `prefix`.
  void name_sessions(std::string prefix) { prefix_ = std::move(prefix); }

  // The session named `id`, or a fresh one when that is empty, forgotten or
  // another owner's. An owner has one session under its own name, which is also
  // the one for an empty `id`. Throws Error (kTooManyRequests) when there are too many.
  std::shared_ptr<Session> session(std::string_view id, std::string_view owner);

  // The session of that very name, made when there is none. Throws likewise.
  std::shared_ptr<Session> named_session(const std::string& name);

  // For one inference, of which nothing is kept: let_go() ends it.
  static std::shared_ptr<Session> passing_session();
  static void let_go(Session& session, Ticket* ticket);

  // Throws Error: kGone when it is unknown or expired, kForbidden when it
  // belongs to another owner's session, or to another than `session_id`, unless that is empty.
  std::shared_ptr<Ticket> find(std::string_view id, std::string_view session_id, std::string_view owner);

  // Throws Error (kTooManyRequests) when a new ticket would have no room.
  void check_room(Clock::time_point now);

  // A new ticket of `session`; its oldest one expires when it has too many.
  // Throws as check_room does. For a passing session that ticket isn't the store's.
  std::shared_ptr<Ticket> mint(const std::shared_ptr<Session>& session, uint64_t version);

  // Counts what the ticket's graph holds; the session's oldest others expire when that is too much.
  void hold(Ticket& ticket, std::vector<HeldBlock> blocks);

  // Lets go of what the ticket holds, in the session too. That it is done stays known.
  void finish(Ticket& ticket);

  // Forgets the ticket.
  void expire(Ticket& ticket);

  // Forgets all live ones that no request uses now.
  void expire_live();

  // Marks `call` as done, and keeps its answer for retries.
  void keep_answer(const std::shared_ptr<TicketCall>& call, const Content& answer);

  // The latest tickets that are done, oldest first, with those answers that are small enough.
  FinishedTickets finished() const;
  void restore(const FinishedTickets& finished);

  // Forgets what has outlived its time. Called now and then.
  void sweep(Clock::time_point now);

  size_t sessions() const noexcept { return sessions_.size(); }
  size_t live_tickets() const noexcept { return live_.size(); }
  size_t finished_tickets() const noexcept { return finished_.size() + done_.size(); }
  // Of the graphs that live tickets hold, shared blocks counted once.
  size_t held_bytes() const noexcept { return held_bytes_; }
  StoreStatistics& statistics() noexcept { return statistics_; }
  const StoreStatistics& statistics() const noexcept { return statistics_; }

 private:
  struct Held {
    size_t bytes = 0;
    size_t tickets = 0;
  };
  struct Kept {
    std::weak_ptr<TicketCall> call;
    Clock::time_point expires;
  };
  // All that is remembered of a ticket that is done, when there is no answer to keep.
  struct Done {
    TicketId id;
    BodyDigest body{};
    uint64_t sequence = 0;
    uint64_t session = 0, owner = 0;  // digests of the session's id and of whom it belonged to; 0: anybody
    Clock::time_point expires;
    uint32_t route = 0;  // in done_routes_
    bool kept = false;
  };

  // The session's oldest ticket that no request uses, other than `except`; null when there is none.
  static Ticket* oldest_idle(Session& session, const Ticket* except);
  void evict(Ticket& ticket);
  void release(Ticket& ticket);
  void leave_live(Ticket& ticket);
  void drop_answer(TicketCall& call);
  void make_room_for_answers(Clock::time_point now);
  // The ticket as it was; null when it isn't among the done. Throws as find() does.
  std::shared_ptr<Ticket> find_done(const TicketId& id, std::string_view session_id, std::string_view owner) const;
  // Those of the finished that no request uses, up to the first that has an answer.
  void reduce_finished();
  bool reduce(const Ticket& ticket);
  void forget_oldest();

  const ServeLimits limits_;
  std::string prefix_;
  std::unordered_map<std::string_view, std::shared_ptr<Session>> sessions_;  // by their own ids
  // Of many entries few are in a cache: what is looked up lies in one piece.
  boost::unordered_flat_map<TicketId, std::shared_ptr<Ticket>, TicketId::Hash> tickets_;
  TicketsByAge live_;        // oldest first, so the next to expire
  TicketsByAge finished_;    // the first that was done first
  std::deque<Done> done_;    // and those before them, likewise
  uint64_t first_done_ = 0;  // the number of the first
  boost::unordered_flat_map<TicketId, uint64_t, TicketId::Hash> done_numbers_;
  std::vector<std::string> done_routes_;
  boost::unordered_flat_map<const void*, Held> held_;
  size_t held_bytes_ = 0;
  std::deque<Kept> answers_;  // oldest first
  size_t answer_bytes_ = 0;
  StoreStatistics statistics_;
};

// 128 random bits in hexadecimal.
std::string random_id();

// Identifies a request's body; equal bodies have equal digests, and others in
// practice never.
BodyDigest digest_of(std::string_view type, std::string_view body);

}  // namespace sm::io
