#include <bit>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "autograd/held.hpp"
#include "kernels/copy.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm::io {
namespace {

namespace asio = boost::asio;

// The same values without their graphs, which stay on the logical thread.
Content without_graph(const Content& content) {
  if (content.is_tensor()) return make_alias(content.tensor());
  if (!content.is_tensors()) return content;
  Tensors bare;
  for (const auto& [name, tensor] : content.tensors()) bare.set(name, make_alias(tensor));
  return bare;
}

bool has_graph(const Content& content) {
  if (content.is_tensor()) return content.tensor().requires_grad();
  if (!content.is_tensors()) return false;
  for (const auto& [name, tensor] : content.tensors())
    if (tensor.requires_grad()) return true;
  return false;
}

std::vector<HeldBlock> held_by_answer(const Content& content) {
  if (content.is_tensor()) return held_by(content.tensor());
  std::vector<HeldBlock> held;
  if (!content.is_tensors()) return held;
  for (const auto& [name, tensor] : content.tensors())
    if (tensor.defined())
      for (const HeldBlock& block : held_by(tensor)) held.push_back(block);
  return held;
}

std::vector<Tensor> floating_tensors(const Content& content) {
  std::vector<Tensor> out;
  if (content.empty() || content.is_json()) return out;
  for (const auto& [name, tensor] : content.tensors())
    if (is_floating(tensor.dtype())) out.push_back(tensor);
  return out;
}

Content scaled(const Content& content, double factor) {
  const auto scale = [factor](const Tensor& x) { return is_floating(x.dtype()) ? x * factor : x; };
  if (content.is_tensor()) return scale(content.tensor());
  Tensors out;
  for (const auto& [name, tensor] : content.tensors()) out.set(name, scale(tensor));
  return out;
}

// Tells others, while it lives, that waiting to enter `logic` at once is in vain.
class Occupied {
 public:
  explicit Occupied(std::atomic<bool>& flag) : flag_(flag) { flag_.store(true, std::memory_order_relaxed); }
  ~Occupied() { flag_.store(false, std::memory_order_relaxed); }
  Occupied(const Occupied&) = delete;
  Occupied& operator=(const Occupied&) = delete;

 private:
  std::atomic<bool>& flag_;
};

// What a client says of its loss. Throws Error (kInvalidArgument).
std::optional<LearningStatistics::Report> reported(const http::Headers& headers) {
  const auto loss = headers.find("Shumai-Loss");
  if (!loss) return std::nullopt;
  LearningStatistics::Report out;
  const auto read = [](std::string_view name, std::string_view text, auto& number, const char* expected) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(name) + " must be " + expected + ", got \"" + std::string(text) + "\"");
  };
  read("Shumai-Loss", *loss, out.loss, "a number");
  if (const auto step = headers.find("Shumai-Step"))
    read("Shumai-Step", *step, out.step.emplace(), "a whole number, 0 or more");
  return out;
}

Error already_done() { return Error(ErrorCode::kAlreadyDone, "the ticket is done: its step was taken"); }

// The last update that was made under the ticket.
uint64_t last_update(const Ticket& ticket) {
  uint64_t last = 0;
  for (const auto& [route, call] : ticket.calls) last = std::max(last, call->sequence);
  return last;
}

}  // namespace

Task<Server::State::Outcome> Server::State::run_route(Pass& pass, Content input) {
  pass.context.check_wanted();
  pass.context.version = updates.version;
  std::optional<Outcome> outcome = co_await open(pass);
  if (!outcome) outcome = co_await run_handler(pass, std::move(input));
  if (replica && outcome->update) co_await averaged(outcome->update);
  if (saver && outcome->version) co_await saver->durable(outcome->version);
  if (outcome->failure) std::rethrow_exception(outcome->failure);
  co_return std::move(*outcome);
}

std::optional<Server::State::Outcome> Server::State::run_at_once(Pass& pass, Content& input) {
  pass.context.check_wanted();
  pass.context.version = updates.version;
  if (!find_user(pass)) return run_plain(pass, std::move(input));
  const Ticket& ticket = *pass.context.ticket;
  const BodyDigest digest = digest_of(pass.request.headers.get("Content-Type"), http::body_text(pass.request.body));
  pass.call = earlier_call(pass, digest);
  if (pass.call && !pass.call->done) return std::nullopt;
  if (pass.call) return replay(pass);
  if (ticket.state == Ticket::State::kDone) throw already_done();
  pass.call = new_call(pass, digest);
  return run_plain(pass, std::move(input));
}

Task<std::optional<Server::State::Outcome>> Server::State::open(Pass& pass) {
  if (!find_user(pass)) co_return std::nullopt;
  pass.call = co_await claim(pass);
  if (!pass.call->done) co_return std::nullopt;
  if (!pass.call->kept && saver) co_await saver->durable(pass.call->sequence);
  co_return replay(pass);
}

bool Server::State::find_user(Pass& pass) {
  detail::Request& context = pass.context;
  if (pass.inference) {
    pass.inference->check_version(context.version);
    context.session = Store::passing_session();
    context.session->owner = pass.request.caller;
    return false;
  }
  const std::string_view ticket_id = pass.request.headers.get("Shumai-Ticket");
  const std::string_view session_id = pass.request.headers.get("Shumai-Session");
  if (ticket_id.empty()) {
    const bool unnamed = session_id.empty() && pass.request.caller.empty() && !pass.sender.empty();
    context.session = unnamed ? store.named_session(pass.sender) : store.session(session_id, pass.request.caller);
    return false;
  }
  context.ticketed = true;
  context.ticket = store.find(ticket_id, session_id, pass.request.caller);
  context.session = context.ticket->session ? context.ticket->session : store.session(session_id, pass.request.caller);
  context.session->last_used = Clock::now();
  return true;
}

Server::State::Outcome Server::State::replay(Pass& pass) {
  ++store.statistics().answers_replayed;
  if (!pass.call->kept)
    throw Error(ErrorCode::kAlreadyDone, "the ticket's step was taken; its answer isn't kept any more");
  Outcome outcome;
  outcome.content = pass.call->answer;
  outcome.session = pass.context.session->id;
  outcome.ticket = pass.context.ticket->id.text();
  outcome.version = pass.call->sequence;
  return outcome;
}

Task<std::shared_ptr<TicketCall>> Server::State::claim(Pass& pass) {
  const Ticket& ticket = *pass.context.ticket;
  const BodyDigest digest = digest_of(pass.request.headers.get("Content-Type"), http::body_text(pass.request.body));
  while (const std::shared_ptr<TicketCall> earlier = earlier_call(pass, digest)) {
    if (earlier->done) co_return earlier;
    if (!earlier->finished)
      earlier->finished = std::make_shared<asio::steady_timer>(logic, asio::steady_timer::time_point::max());
    boost::system::error_code ignored;
    co_await earlier->finished->async_wait(
        asio::bind_executor(logic, asio::redirect_error(asio::use_awaitable, ignored)));
  }
  if (ticket.state == Ticket::State::kDone) {
    // Clients take this for an acknowledgement.
    if (saver) co_await saver->durable(last_update(ticket));
    throw already_done();
  }
  co_return new_call(pass, digest);
}

std::shared_ptr<TicketCall> Server::State::earlier_call(const Pass& pass, const BodyDigest& digest) {
  const Ticket& ticket = *pass.context.ticket;
  const auto found = ticket.calls.find(pass.name);
  if (found == ticket.calls.end()) return nullptr;
  if (found->second->body != digest)
    throw Error(ErrorCode::kUnprocessable,
                "the ticket was already used for /" + std::string(pass.name) + " with another body");
  return found->second;
}

std::shared_ptr<TicketCall> Server::State::new_call(Pass& pass, const BodyDigest& digest) {
  Ticket& ticket = *pass.context.ticket;
  if (ticket.state == Ticket::State::kExpired)
    throw Error(ErrorCode::kGone, "the ticket expired while the request waited; forward again");
  auto mine = std::make_shared<TicketCall>();
  mine->body = digest;
  ticket.calls.emplace(pass.name, mine);
  ++ticket.running;
  ticket.state = Ticket::State::kRunning;
  return mine;
}

Content Server::State::admit(Pass& pass, Content input) {
  if (!pass.call) return input;
  const std::vector<Tensor> gradients = floating_tensors(input);
  if (gradients.empty()) return input;
  if (options.guard.enabled) optim::check_norm(optim::norm_of(gradients), options.guard.max_norm);
  const uint64_t staleness = updates.version - pass.context.ticket->version;
  if (options.staleness.policy == StalenessOptions::Policy::kReject && staleness > options.staleness.limit) {
    ++updates.stale;
    store.expire(*pass.context.ticket);
    throw Error(ErrorCode::kStale, "the weights were updated " + std::to_string(staleness) +
                                       " times since the ticket's forward, the server accepts " +
                                       std::to_string(options.staleness.limit) + "; forward again");
  }
  if (options.staleness.policy != StalenessOptions::Policy::kScale || staleness == 0) return input;
  ++updates.scaled;
  return scaled(input, 1 / (1 + static_cast<double>(staleness)));
}

Content Server::State::let_in(Pass& pass, Content input) {
  pass.report = reported(pass.request.headers);
  if (pass.context.session->running >= options.limits.max_requests_in_flight_per_session)
    throw Error(ErrorCode::kTooManyRequests,
                "the session has " + std::to_string(pass.context.session->running) +
                    " requests running, which is the limit (max_requests_in_flight_per_session); try again");
  return admit(pass, std::move(input));
}

// The end of the handler and what follows from it are one step: nothing else runs between.
Task<Server::State::Outcome> Server::State::run_handler(Pass& pass, Content input) {
  if (!pass.route.handler.function().is_async()) co_return run_plain(pass, std::move(input));
  const std::shared_ptr<Session> session = pass.context.session;
  std::exception_ptr refusal;
  std::shared_ptr<const CallContext> call;
  try {
    input = let_in(pass, std::move(input));
    call = context_for(pass);
  } catch (...) {
    refusal = std::current_exception();
  }
  if (refusal) co_return conclude(pass, {}, refusal);
  const Running running(*session);
  co_return co_await asio::co_spawn(CallExecutor(logic, call), run_async(pass, std::move(input)),
                                    asio::bind_executor(logic, asio::use_awaitable));
}

Server::State::Outcome Server::State::run_plain(Pass& pass, Content input) {
  const std::shared_ptr<Session> session = pass.context.session;
  try {
    input = let_in(pass, std::move(input));
  } catch (...) {
    return conclude(pass, {}, std::current_exception());
  }
  const Running running(*session);
  const Occupied here(occupied);
  return run_sync(pass, std::move(input));
}

Server::State::Outcome Server::State::run_sync(Pass& pass, Content input) {
  std::exception_ptr failure;
  Content result;
  try {
    User user(pass.context);
    result = pass.route.handler.function().call(user, std::move(input));
  } catch (...) {
    failure = std::current_exception();
  }
  return conclude(pass, std::move(result), failure);
}

Task<Server::State::Outcome> Server::State::run_async(Pass& pass, Content input) {
  std::exception_ptr failure;
  Content result;
  try {
    User user(pass.context);
    result = co_await pass.route.handler.function().call_async(user, std::move(input));
  } catch (...) {
    failure = std::current_exception();
  }
  co_return conclude(pass, std::move(result), failure);
}

// A connection that failed is the handler's to another server, not the client's to this one.
std::exception_ptr Server::State::attributed(std::string_view route, const std::exception_ptr& failure) {
  if (!failure) return failure;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConnection) return failure;
    return std::make_exception_ptr(
        Error(error.code(), "a server that /" + std::string(route) + " needs: " + error.what()));
  } catch (...) {
    return failure;
  }
}

Server::State::Outcome Server::State::conclude(Pass& pass, Content result, std::exception_ptr failure) {
  detail::Request& context = pass.context;
  const bool passing = context.session->passing;
  Outcome outcome;
  outcome.failure = attributed(pass.name, failure);
  outcome.seen = context.version;
  try {
    if (!failure && !passing && !context.ticket && has_graph(result))
      context.ticket = store.mint(context.session, context.version);
    outcome.differentiable = !failure && has_graph(result);
    outcome.content = without_graph(result);
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  const bool failed = static_cast<bool>(outcome.failure);
  const bool fresh = context.ticket && !pass.call;
  bool moved = false;
  if (passing) {
    Store::let_go(*context.session, context.ticket.get());
    context.ticket.reset();
  }
  if (context.ticket) {
    if (fresh && !failed) store.hold(*context.ticket, context.held.empty() ? held_by_answer(result) : context.held);
    moved = settle(pass, outcome.content, failed);
  }
  moved = moved || context.moved || (!failed && context.called_latest);
  if (saver) moved = saver->weights_moved() || moved;
  // Of an optimizer that ran on this thread, unless the handler told of its own.
  const std::optional<double> norm = context.gradient_norm ? context.gradient_norm : optim::take_gradient_norm();
  if (moved && norm) learning.gradient_norm(*norm);
  if (pass.report && !failed) learning.report(*pass.report);
  if (moved) {
    outcome.version = ++updates.version;
    ++updates.updates;
    if (pass.call) pass.call->sequence = outcome.version;
    if (saver) saver->updated(outcome.version);
    if (replica) outcome.update = replica->updated();
  }
  if (failed && context.ticketed) count_refusal(outcome.failure);
  sessions.store(store.sessions(), std::memory_order_relaxed);
  live_tickets.store(store.live_tickets(), std::memory_order_relaxed);
  ticket_bytes.store(store.held_bytes(), std::memory_order_relaxed);
  outcome.session = context.session->id;
  if (context.ticket) outcome.ticket = context.ticket->id.text();
  return outcome;
}

void Server::State::count_refusal(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnprocessable) ++updates.refused;
  } catch (...) {  // the handler's own
  }
}

bool Server::State::settle(Pass& pass, const Content& answer, bool failed) {
  Ticket& ticket = *pass.context.ticket;
  if (!pass.call) {
    if (ticket.state == Ticket::State::kExpired) return false;
    ticket.state = Ticket::State::kCaptured;
    if (failed) store.expire(ticket);  // nobody will learn its name
    return false;
  }
  // Its end wakes those that wait for this call.
  pass.call->finished.reset();
  if (--ticket.running == 0 && ticket.state == Ticket::State::kRunning) ticket.state = Ticket::State::kCaptured;
  if (failed) {
    ticket.calls.erase(ticket.calls.find(pass.name));
    return false;
  }
  store.keep_answer(pass.call, answer);
  if (pass.context.captured) return false;
  store.finish(ticket);
  updates.count_staleness(pass.context.version - ticket.version);
  return true;
}

std::shared_ptr<const CallContext> Server::State::context_for(const Pass& pass) const {
  const http::Headers& headers = pass.request.headers;
  const std::string_view trace = headers.get("traceparent");
  auto context = std::make_shared<CallContext>();
  if (is_traceparent(trace)) context->traceparent = trace;
  context->path = extend_path(headers.get("Shumai-Path"), id + "/" + std::string(pass.name), options.limits.max_hops);
  return context;
}

}  // namespace sm::io
