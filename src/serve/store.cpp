#include "serve/store.hpp"

#define XXH_INLINE_ALL
#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>

#include "shumai/error.hpp"

namespace sm::io {

std::string random_id() {
  std::array<unsigned char, 16> bytes;
  for (size_t filled = 0; filled < bytes.size();) {
    const ssize_t got = getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got > 0)
      filled += static_cast<size_t>(got);
    else if (errno != EINTR)
      throw Error(ErrorCode::kInternal, "the system has no random bytes");
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

BodyDigest digest_of(std::string_view type, std::string_view body) {
  const XXH64_hash_t seed = XXH3_64bits(type.data(), type.size());
  const XXH128_hash_t hash = XXH3_128bits_withSeed(body.data(), body.size(), seed);
  return {hash.low64, hash.high64};
}

Store::~Store() {
  // A stored function may hold its own user's ticket: cut such rings.
  for (auto& [id, ticket] : tickets_) release(*ticket);
  for (auto& [id, session] : sessions_) session->latest.clear();
}

std::shared_ptr<Session> Store::session(std::string_view id) {
  const Clock::time_point now = Clock::now();
  if (!id.empty())
    if (const auto found = sessions_.find(std::string(id)); found != sessions_.end()) {
      found->second->last_used = now;
      return found->second;
    }
  if (sessions_.size() >= limits_.max_sessions) sweep(now);
  if (sessions_.size() >= limits_.max_sessions)
    throw Error(ErrorCode::kTooManyRequests,
                "too many sessions: the server keeps " + std::to_string(limits_.max_sessions) + ", try again later");
  auto fresh = std::make_shared<Session>();
  fresh->id = random_id();
  fresh->last_used = now;
  sessions_.emplace(fresh->id, fresh);
  return fresh;
}

std::shared_ptr<Ticket> Store::find(std::string_view id, std::string_view session_id) {
  const auto found = tickets_.find(std::string(id));
  if (found == tickets_.end() || found->second->expires <= Clock::now())
    throw Error(ErrorCode::kGone, "the ticket is unknown here: it expired, or the server was restarted; forward again");
  if (!session_id.empty() && found->second->session->id != session_id)
    throw Error(ErrorCode::kForbidden, "the ticket belongs to another session");
  return found->second;
}

std::shared_ptr<Ticket> Store::mint(const std::shared_ptr<Session>& session) {
  const Clock::time_point now = Clock::now();
  if (session->tickets.size() >= limits_.max_tickets_per_session) expire(*session->tickets.front());
  if (tickets_.size() >= limits_.max_tickets) sweep(now);
  if (tickets_.size() >= limits_.max_tickets)
    throw Error(ErrorCode::kTooManyRequests,
                "too many tickets: the server keeps " + std::to_string(limits_.max_tickets) + ", try again later");
  auto ticket = std::make_shared<Ticket>();
  ticket->id = random_id();
  ticket->session = session;
  ticket->expires = now + limits_.ticket_lifetime;
  ticket->in_session = session->tickets.insert(session->tickets.end(), ticket.get());
  ticket->in_age = by_age_.insert(by_age_.end(), ticket.get());
  tickets_.emplace(ticket->id, ticket);
  ++statistics_.tickets_minted;
  ++live_;
  return ticket;
}

void Store::release(Ticket& ticket) {
  auto& latest = ticket.session->latest;
  for (auto at = latest.begin(); at != latest.end();)
    at = at->second.ticket == &ticket ? latest.erase(at) : std::next(at);
  ticket.own.clear();
}

void Store::finish(Ticket& ticket) {
  release(ticket);
  if (ticket.state == Ticket::State::kExpired) return;
  ticket.state = Ticket::State::kDone;
  ++statistics_.tickets_done;
  --live_;
}

void Store::expire(Ticket& ticket) {
  const auto found = tickets_.find(ticket.id);
  const std::shared_ptr<Ticket> alive = found->second;
  if (ticket.state != Ticket::State::kDone) {
    ++statistics_.tickets_expired;
    --live_;
  }
  ticket.state = Ticket::State::kExpired;
  // A call that is running holds what it needs itself.
  release(ticket);
  for (const auto& [route, call] : ticket.calls) answer_bytes_ -= call->answer_bytes;
  ticket.session->tickets.erase(ticket.in_session);
  by_age_.erase(ticket.in_age);
  tickets_.erase(found);
}

void Store::keep_answer(TicketCall& call, const Content& answer) {
  size_t bytes = 0;
  if (answer.is_tensor() || answer.is_tensors())
    for (const auto& [name, tensor] : answer.tensors()) bytes += tensor.nbytes();
  else if (answer.is_json())
    bytes = answer.json().dump().size();
  call.done = true;
  // Over the limit the call is remembered, so that it can't run again, but its answer isn't.
  if (answer_bytes_ + bytes > limits_.max_stored_answer_bytes) return;
  call.answer = answer;
  call.kept = true;
  call.answer_bytes = bytes;
  answer_bytes_ += bytes;
}

void Store::sweep(Clock::time_point now) {
  while (!by_age_.empty() && by_age_.front()->expires <= now) expire(*by_age_.front());
  std::erase_if(sessions_, [&](const auto& item) {
    const Session& session = *item.second;
    return session.tickets.empty() && session.last_used + limits_.session_lifetime < now;
  });
}

}  // namespace sm::io
