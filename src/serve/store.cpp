#include "serve/store.hpp"

#define XXH_INLINE_ALL
#include <pthread.h>
#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "shumai/error.hpp"

namespace sm::io {

namespace {

// The forks that made this process: a child must not give out its parent's numbers.
std::atomic<uint32_t> forks{0};

void fill_with_random(std::span<unsigned char> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got > 0)
      bytes = bytes.subspan(static_cast<size_t>(got));
    else if (errno != EINTR)
      throw Error(ErrorCode::kInternal, "the system has no random bytes");
  }
}

// The system's random bytes, a page at a time: the call costs more than all else about a ticket.
class RandomPool {
 public:
  TicketId take() {
    if (left_ < sizeof(TicketId) || forks_ != forks) refill();
    TicketId id;
    unsigned char* from = bytes_.data() + bytes_.size() - left_;
    std::memcpy(&id, from, sizeof id);
    explicit_bzero(from, sizeof id);
    left_ -= sizeof id;
    return id;
  }

 private:
  void refill() {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { ++forks; });
    if (registered != 0) throw Error(ErrorCode::kInternal, "can't watch for forks");
    forks_ = forks;
    left_ = 0;
    fill_with_random(bytes_);
    left_ = bytes_.size();
  }

  std::array<unsigned char, 2048> bytes_;
  size_t left_ = 0;
  uint32_t forks_ = 0;
};

}  // namespace

TicketId TicketId::random() {
  // Far from the thread, whose own memory is short: see docs/decisions.md.
  thread_local const auto pool = std::make_unique<RandomPool>();
  return pool->take();
}

std::optional<TicketId> TicketId::parse(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  uint64_t words[2] = {};
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    words[i / 16] = words[i / 16] << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return TicketId{words[0], words[1]};
}

std::string TicketId::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(32, '0');
  for (size_t i = 0; i < 16; ++i) {
    out[15 - i] = kDigits[high >> 4 * i & 15];
    out[31 - i] = kDigits[low >> 4 * i & 15];
  }
  return out;
}

std::string random_id() { return TicketId::random().text(); }

namespace {

// Never 0.
uint64_t digest_of(std::string_view name) { return XXH3_64bits(name.data(), name.size()) | 1; }

Error another_session() { return {ErrorCode::kForbidden, "the ticket belongs to another session"}; }

}  // namespace

BodyDigest digest_of(std::string_view type, std::string_view body) {
  const XXH64_hash_t seed = XXH3_64bits(type.data(), type.size());
  const XXH128_hash_t hash = XXH3_128bits_withSeed(body.data(), body.size(), seed);
  return {hash.low64, hash.high64};
}

Store::~Store() {
  live_.clear();
  finished_.clear();
  for (auto& [id, session] : sessions_) session->tickets.clear();
  // A stored function may hold its own user's ticket: cut such rings.
  for (auto& [id, ticket] : tickets_) release(*ticket);
  for (auto& [id, session] : sessions_) session->latest.clear();
}

std::shared_ptr<Session> Store::session(std::string_view id, std::string_view owner) {
  const Clock::time_point now = Clock::now();
  const std::string own_name = owner.empty() ? std::string() : prefix_ + std::string(owner);
  if (id.empty()) id = own_name;
  if (!id.empty())
    if (const auto found = sessions_.find(id); found != sessions_.end() && found->second->owner == owner) {
      found->second->last_used = now;
      return found->second;
    }
  if (sessions_.size() >= limits_.max_sessions) sweep(now);
  if (sessions_.size() >= limits_.max_sessions)
    throw Error(ErrorCode::kTooManyRequests,
                "too many sessions: the server keeps " + std::to_string(limits_.max_sessions) + ", try again later");
  auto fresh = std::make_shared<Session>();
  fresh->id = id.empty() || id != own_name ? prefix_ + random_id() : own_name;
  fresh->owner = owner;
  fresh->last_used = now;
  sessions_.emplace(fresh->id, fresh);
  return fresh;
}

std::shared_ptr<Session> Store::named_session(const std::string& name) {
  if (const auto found = sessions_.find(name); found != sessions_.end()) {
    found->second->last_used = Clock::now();
    return found->second;
  }
  auto fresh = sessions_.extract(session({}, {})->id);
  fresh.mapped()->id = name;
  fresh.key() = fresh.mapped()->id;
  return sessions_.insert(std::move(fresh)).position->second;
}

std::shared_ptr<Session> Store::passing_session() {
  auto session = std::make_shared<Session>();
  session->id = random_id();
  session->passing = true;
  return session;
}

void Store::let_go(Session& session, Ticket* ticket) {
  if (ticket) {
    ticket->own.clear();
    ticket->state = Ticket::State::kExpired;
  }
  session.latest.clear();
}

std::shared_ptr<Ticket> Store::find(std::string_view id, std::string_view session_id, std::string_view owner) {
  const std::optional<TicketId> known = TicketId::parse(id);
  const auto found = known ? tickets_.find(*known) : tickets_.end();
  if (known && found == tickets_.end())
    if (std::shared_ptr<Ticket> done = find_done(*known, session_id, owner)) return done;
  if (found == tickets_.end() || (found->second->running == 0 && found->second->expires <= Clock::now()))
    throw Error(ErrorCode::kGone, "the ticket is unknown here: it expired, or the server was restarted; forward again");
  const std::shared_ptr<Session>& session = found->second->session;
  const bool other_id = !session_id.empty() && session && session->id != session_id;
  if (other_id || (session && session->owner != owner)) throw another_session();
  return found->second;
}

std::shared_ptr<Ticket> Store::find_done(const TicketId& id, std::string_view session_id,
                                         std::string_view owner) const {
  const auto found = done_numbers_.find(id);
  if (found == done_numbers_.end()) return nullptr;
  const Done& done = done_[found->second - first_done_];
  if (done.expires <= Clock::now()) return nullptr;
  if (done.session != 0 &&
      ((!session_id.empty() && digest_of(session_id) != done.session) || digest_of(owner) != done.owner))
    throw another_session();
  auto ticket = std::make_shared<Ticket>();
  ticket->id = id;
  ticket->state = Ticket::State::kDone;
  ticket->expires = done.expires;
  auto call = std::make_shared<TicketCall>();
  call->body = done.body;
  call->done = true;
  call->kept = done.kept;
  call->sequence = done.sequence;
  ticket->calls.emplace(done_routes_[done.route], std::move(call));
  return ticket;
}

void Store::check_room(Clock::time_point now) {
  const auto full = [this] { return live_.size() >= limits_.max_tickets || held_bytes_ >= limits_.max_ticket_bytes; };
  if (full()) sweep(now);
  if (!full()) return;
  if (live_.size() >= limits_.max_tickets)
    throw Error(ErrorCode::kTooManyRequests,
                "too many tickets: the server keeps " + std::to_string(limits_.max_tickets) + ", try again later");
  throw Error(ErrorCode::kTooManyRequests, "the graphs of forwards without a backward hold " +
                                               std::to_string(held_bytes_) + " bytes, the server keeps " +
                                               std::to_string(limits_.max_ticket_bytes) + ", try again later");
}

std::shared_ptr<Ticket> Store::mint(const std::shared_ptr<Session>& session, uint64_t version) {
  if (session->passing) {
    auto passing = std::make_shared<Ticket>();
    passing->session = session;
    passing->version = version;
    return passing;
  }
  const Clock::time_point now = Clock::now();
  if (session->tickets.size() >= limits_.max_tickets_per_session)
    if (Ticket* oldest = oldest_idle(*session, nullptr)) evict(*oldest);
  check_room(now);
  auto ticket = std::make_shared<Ticket>();
  ticket->id = TicketId::random();
  ticket->session = session;
  ticket->version = version;
  ticket->expires = now + limits_.ticket_lifetime;
  session->tickets.push_back(*ticket);
  live_.push_back(*ticket);
  tickets_.emplace(ticket->id, ticket);
  ++statistics_.tickets_minted;
  return ticket;
}

void Store::hold(Ticket& ticket, std::vector<HeldBlock> blocks) {
  if (ticket.state == Ticket::State::kDone || ticket.state == Ticket::State::kExpired) return;
  for (const HeldBlock& block : blocks) {
    Held& held = held_[block.block];
    if (held.tickets++ == 0) {
      held.bytes = block.bytes;
      held_bytes_ += block.bytes;
    }
    if (!block.weight) ticket.bytes += block.bytes;
  }
  ticket.session->bytes += ticket.bytes;
  ticket.held = std::move(blocks);
  while (ticket.session->bytes > limits_.max_ticket_bytes_per_session) {
    Ticket* oldest = oldest_idle(*ticket.session, &ticket);
    if (!oldest) break;
    evict(*oldest);
  }
}

Ticket* Store::oldest_idle(Session& session, const Ticket* except) {
  for (Ticket& ticket : session.tickets)
    if (ticket.running == 0 && &ticket != except) return &ticket;
  return nullptr;
}

void Store::release(Ticket& ticket) {
  if (ticket.session) {
    auto& latest = ticket.session->latest;
    for (auto at = latest.begin(); at != latest.end();)
      at = at->second.ticket == &ticket ? latest.erase(at) : std::next(at);
    ticket.session->bytes -= ticket.bytes;
  }
  for (const HeldBlock& block : ticket.held) {
    const auto found = held_.find(block.block);
    if (--found->second.tickets > 0) continue;
    held_bytes_ -= found->second.bytes;
    held_.erase(found);
  }
  // Not by clear(), which keeps the memory: what is done is remembered for long.
  ticket.held = {};
  ticket.bytes = 0;
  ticket.own = {};
}

void Store::leave_live(Ticket& ticket) {
  ticket.session->tickets.erase(ticket.session->tickets.iterator_to(ticket));
  live_.erase(live_.iterator_to(ticket));
}

void Store::finish(Ticket& ticket) {
  release(ticket);
  if (ticket.state == Ticket::State::kExpired || ticket.state == Ticket::State::kDone) return;
  leave_live(ticket);
  ticket.state = Ticket::State::kDone;
  ticket.expires = Clock::now() + limits_.finished_lifetime;
  finished_.push_back(ticket);
  ++statistics_.tickets_done;
  if (finished_tickets() > limits_.max_finished_tickets) forget_oldest();
}

void Store::forget_oldest() {
  if (done_.empty()) return expire(finished_.front());
  done_numbers_.erase(done_.front().id);
  done_.pop_front();
  ++first_done_;
}

void Store::reduce_finished() {
  while (!finished_.empty()) {
    Ticket& oldest = finished_.front();
    if (!reduce(oldest)) return;
    finished_.pop_front();
    tickets_.erase(TicketId(oldest.id));
  }
}

// False when more than that is still to be known of it.
bool Store::reduce(const Ticket& ticket) {
  if (ticket.running > 0 || ticket.calls.size() != 1) return false;
  const auto& [route, call] = *ticket.calls.begin();
  if (!call->done || !call->answer.empty() || tickets_.find(ticket.id)->second.use_count() > 1) return false;
  Done done{ticket.id, call->body, call->sequence, 0, 0, ticket.expires, 0, call->kept};
  if (ticket.session) {
    done.session = digest_of(ticket.session->id);
    done.owner = digest_of(ticket.session->owner);
  }
  auto known = std::find(done_routes_.begin(), done_routes_.end(), route);
  if (known == done_routes_.end()) known = done_routes_.insert(known, route);
  done.route = static_cast<uint32_t>(known - done_routes_.begin());
  done_numbers_.emplace(ticket.id, first_done_ + done_.size());
  done_.push_back(done);
  return true;
}

void Store::evict(Ticket& ticket) {
  ++statistics_.tickets_evicted;
  expire(ticket);
}

void Store::expire(Ticket& ticket) {
  const auto found = tickets_.find(ticket.id);
  const std::shared_ptr<Ticket> alive = found->second;
  // A call that is running holds what it needs itself.
  release(ticket);
  if (ticket.state == Ticket::State::kDone) {
    finished_.erase(finished_.iterator_to(ticket));
  } else {
    ++statistics_.tickets_expired;
    leave_live(ticket);
  }
  ticket.state = Ticket::State::kExpired;
  for (const auto& [route, call] : ticket.calls) drop_answer(*call);
  tickets_.erase(found);
}

void Store::expire_live() {
  for (auto next = live_.begin(); next != live_.end();) {
    Ticket& ticket = *next++;
    if (ticket.running == 0) expire(ticket);
  }
}

void Store::drop_answer(TicketCall& call) {
  answer_bytes_ -= std::exchange(call.answer_bytes, 0);
  call.answer = Content();
  call.kept = false;
}

void Store::make_room_for_answers(Clock::time_point now) {
  while (!answers_.empty() && (answers_.front().expires <= now || answer_bytes_ > limits_.max_stored_answer_bytes)) {
    if (const std::shared_ptr<TicketCall> call = answers_.front().call.lock()) drop_answer(*call);
    answers_.pop_front();
  }
}

namespace {

size_t bytes_of(const Content& answer) {
  if (answer.is_json()) return answer.json().dump().size();
  size_t bytes = 0;
  if (!answer.empty())
    for (const auto& [name, tensor] : answer.tensors()) bytes += tensor.nbytes();
  return bytes;
}

}  // namespace

void Store::keep_answer(const std::shared_ptr<TicketCall>& call, const Content& answer) {
  const Clock::time_point now = Clock::now();
  call->done = true;
  call->kept = true;
  call->answer = answer;
  if (answer.empty()) return;
  call->answer_bytes = bytes_of(answer);
  answer_bytes_ += call->answer_bytes;
  answers_.push_back({call, now + limits_.answer_lifetime});
  make_room_for_answers(now);
}

FinishedTickets Store::finished() const {
  constexpr size_t kTickets = 4096, kAnswers = 256, kAnswerBytes = size_t{8} << 20;
  FinishedTickets out;
  size_t answers = 0, bytes = 0;
  // The latest first: they are what a retry after a crash asks for.
  for (auto at = finished_.rbegin(); at != finished_.rend() && out.size() < kTickets; ++at) {
    FinishedTicket ticket{at->id.text(), {}};
    for (const auto& [route, call] : at->calls) {
      if (!call->done) continue;
      bytes += call->answer_bytes;
      answers += call->answer_bytes > 0;
      const bool kept = call->kept && answers <= kAnswers && bytes <= kAnswerBytes;
      ticket.calls.push_back({route, call->body, kept, kept ? call->answer : Content()});
    }
    out.push_back(std::move(ticket));
  }
  for (auto at = done_.rbegin(); at != done_.rend() && out.size() < kTickets; ++at)
    out.push_back({at->id.text(), {{done_routes_[at->route], at->body, at->kept, Content()}}});
  std::reverse(out.begin(), out.end());
  return out;
}

void Store::restore(const FinishedTickets& finished) {
  for (const FinishedTicket& known : finished) {
    const std::optional<TicketId> id = TicketId::parse(known.id);
    if (!id) continue;
    auto ticket = std::make_shared<Ticket>();
    ticket->id = *id;
    ticket->state = Ticket::State::kDone;
    ticket->expires = Clock::now() + limits_.finished_lifetime;
    if (!tickets_.emplace(ticket->id, ticket).second) continue;
    finished_.push_back(*ticket);
    for (const FinishedTicket::Call& done : known.calls) {
      auto call = std::make_shared<TicketCall>();
      call->body = done.body;
      call->done = true;
      if (done.kept) keep_answer(call, done.answer);
      ticket->calls.emplace(done.route, std::move(call));
    }
  }
}

void Store::sweep(Clock::time_point now) {
  for (auto at = live_.begin(); at != live_.end() && at->expires <= now;) {
    Ticket& ticket = *at++;
    if (ticket.running == 0) expire(ticket);
  }
  while (!done_.empty() && done_.front().expires <= now) forget_oldest();
  while (!finished_.empty() && finished_.front().expires <= now) expire(finished_.front());
  make_room_for_answers(now);
  reduce_finished();
  std::erase_if(sessions_, [&](const auto& item) {
    const Session& session = *item.second;
    return session.tickets.empty() && session.running == 0 && session.last_used + limits_.session_lifetime < now;
  });
}

}  // namespace sm::io
