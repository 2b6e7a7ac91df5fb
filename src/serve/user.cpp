#include <charconv>

#include "serve/request.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"

namespace sm::io {

const std::string& User::id() const { return request_.session->id; }

const std::string& User::token() const { return request_.session->owner; }

std::string_view User::header(std::string_view name) const { return request_.headers.get(name); }

const std::string& User::peer_name() const {
  static const std::string none;
  return request_.peer_name ? *request_.peer_name : none;
}

void User::store(std::string_view key, std::any value, bool owned_by_ticket) {
  if (!request_.ticket) request_.ticket = request_.store.mint(request_.session, request_.version);
  Ticket& ticket = *request_.ticket;
  // One that expired while its call was running keeps nothing any more.
  Ticket* owner = owned_by_ticket && ticket.state != Ticket::State::kExpired ? &ticket : nullptr;
  if (owned_by_ticket && !owner) return;
  request_.captured = request_.captured || owned_by_ticket;
  const auto shared = std::make_shared<const std::any>(std::move(value));
  ticket.own.insert_or_assign(std::string(key), Entry{shared, owner});
  request_.session->latest.insert_or_assign(std::string(key), Entry{shared, owner});
}

namespace {

// A call with a ticket sees what belongs to that ticket or to nobody: another
// ticket's function would differentiate another graph.
const Entry* visible(const detail::Request& request, std::string_view key) {
  if (request.ticket)
    if (const auto found = request.ticket->own.find(key); found != request.ticket->own.end()) return &found->second;
  const auto found = request.session->latest.find(key);
  if (found == request.session->latest.end() || (request.ticketed && found->second.ticket)) return nullptr;
  return &found->second;
}

}  // namespace

bool User::has(std::string_view key) const { return visible(request_, key) != nullptr; }

void User::erase(std::string_view key) {
  for (Slots* slots : {request_.ticket ? &request_.ticket->own : nullptr, &request_.session->latest})
    if (slots)
      if (const auto found = slots->find(key); found != slots->end()) slots->erase(found);
}

const std::any& User::find_checked(std::string_view key) const {
  if (const Entry* entry = visible(request_, key)) return *entry->value;
  throw Error(ErrorCode::kNotFound,
              "user: nothing is stored under \"" + std::string(key) + "\" for this " +
                  (request_.ticketed ? "ticket" : "session; did a forward come before, from the same client?"));
}

void User::throw_wrong_type(std::string_view key) const {
  throw Error(ErrorCode::kInvalidArgument, "user: what is stored under \"" + std::string(key) + "\" has another type");
}

const detail::Stored& User::stored(std::string_view key) const {
  const Entry* entry = visible(request_, key);
  if (entry && entry->ticket && !request_.ticketed) request_.called_latest = true;
  if (const auto* function = std::any_cast<detail::Stored>(&find_checked(key))) return *function;
  throw_wrong_type(key);
}

Content User::call(std::string_view key, Content input) const {
  // A copy: the function may store over itself.
  const detail::Stored function = stored(key);
  if (function.is_async())
    throw Error(ErrorCode::kInvalidArgument,
                "user: \"" + std::string(key) + "\" is async, await call_async instead of call");
  return function.call(std::move(input));
}

Task<Content> User::call_async(std::string_view key, Content input) const {
  const detail::Stored function = stored(key);
  if (function.is_async()) return function.call_async(std::move(input));
  const auto now = [](detail::Stored own, Content content) -> Task<Content> { co_return own.call(std::move(content)); };
  return now(function, std::move(input));
}

Tensor Handler::input_tensor(const Content& input) {
  if (input.empty()) throw Error(ErrorCode::kInvalidArgument, "this route takes a tensor, the request has no body");
  return input.tensor();
}

void detail::Request::check_wanted() const {
  if (message && message->client_gone())
    throw Error(ErrorCode::kCancelled, "the client went away while its request waited for its turn");
  const std::string_view text = headers.get("Shumai-Timeout");
  int64_t patience = 0;
  if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), patience).ec != std::errc()) return;
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  if (waited.count() > patience)
    throw Error(ErrorCode::kTimeout, "the request waited " + std::to_string(waited.count()) +
                                         " ms for its turn, and its client waits no longer than " +
                                         std::to_string(patience) + " ms");
}

}  // namespace sm::io
