#include "http/connection.hpp"

#include <fmt/core.h>
#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <cstring>
#include <utility>

#include "http/problem.hpp"
#include "http/serialize.hpp"
#include "util/log.hpp"

namespace sm::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kFirstInput = 4 * 1024;
constexpr size_t kInputForBody = 16 * 1024;
constexpr size_t kLongestRead = 4 << 20;
constexpr uint64_t kReadWhenRefused = 64 * 1024;

milliseconds tick_for(const Limits& limits) {
  const milliseconds shortest = std::min({limits.header_timeout, limits.body_timeout, limits.keep_alive_timeout,
                                          limits.write_timeout, limits.linger_timeout});
  return std::clamp(shortest / 4, milliseconds(2), milliseconds(250));
}

Response overloaded() {
  Response response = problem(503, "unavailable", "the server runs as many requests as it may; try again");
  response.headers.set("Retry-After", "1");
  return response;
}

Response problem_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return problem(error);
  } catch (const std::exception& error) {
    return problem(500, code_name(ErrorCode::kInternal), error.what());
  } catch (...) {
    return problem(500, code_name(ErrorCode::kInternal), "the handler threw something that isn't an exception");
  }
}

void check_status(const Response& response) {
  if (response.status < 200 || response.status > 599)
    throw Error(ErrorCode::kInternal, "the handler answered with status " + std::to_string(response.status));
}

}  // namespace

ServerState::ServerState(boost::asio::io_context& the_context, Handler the_handler, const Limits& the_limits,
                         Admit the_admit)
    : context(the_context),
      handler(std::move(the_handler)),
      admit(std::move(the_admit)),
      limits(the_limits),
      watcher(std::make_shared<Watcher>(the_context, tick_for(the_limits))) {}

Connection::Connection(std::shared_ptr<ServerState> server, io::Stream stream, std::string peer)
    : server_(std::move(server)),
      stream_(std::move(stream)),
      peer_(std::make_shared<Peer>()),
      watch_(stream_.fd(), peer_),
      parser_(server_->limits) {
  peer_->address = std::move(peer);
  watch_.enter(Phase::kIdle, server_->limits.header_timeout);
  server_->watcher->add(watch_);
  ++server_->statistics.connections_total;
}

Connection::~Connection() {
  server_->watcher->remove(watch_);
  --server_->statistics.connections_open;
}

Task<> Connection::run(std::unique_ptr<Connection> self) {
  bool talks = true;
  if (self->stream_.tls()) talks = co_await self->handshake();
  if (talks) co_await self->converse();
  if (self->refusal_) co_await self->refuse();
  co_await self->linger();
}

// False when the connection is to end, after refusal_ when there is one. Its
// time is what the connection may take to its first request.
Task<bool> Connection::handshake() {
  ServerStatistics& statistics = server_->statistics;
  io::ErrorInfo error;
  co_await stream_.handshake(error);
  if (!error && !watch_.cut()) {
    statistics.tls_handshakes.fetch_add(1, std::memory_order_relaxed);
    if (stream_.tls()->resumed()) statistics.tls_resumed.fetch_add(1, std::memory_order_relaxed);
    peer_->name = stream_.tls()->peer_name();
    co_return true;
  }
  if (error == boost::asio::error::operation_aborted || server_->stopping) co_return false;
  util::log_debug("http: the TLS handshake with " + peer_->address + " failed: " + error.message());
  statistics.tls_failures.fetch_add(1, std::memory_order_relaxed);
  const bool answers = error.category() == io::tls_category() && !watch_.cut();
  if (answers && stream_.tls()->met_http())
    refusal_ = problem(400, "tls_required", "this port takes only TLS: use a URL with https://");
  broken_ = !answers;
  refused_tls_ = answers;
  stream_.drop_tls();
  co_return false;
}

// One request after another, until the connection is to end, after refusal_
// when there is one. What needs no waiting takes no coroutine.
Task<> Connection::converse() {
  io::ErrorInfo error;
  for (;;) {
    const Next next = advance();
    if (next == Next::kEnd) co_return;
    if (next == Next::kRead) {
      const size_t bytes = co_await stream_.read_some(into_, error);
      if (!received(bytes, error)) co_return;
    } else if (next == Next::kContinue) {
      static const Body kNone;
      continued_ = true;
      const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n", kNone);
      if (!told) co_return;
    } else {
      std::optional<Task<Response>> later = begin_answer();
      if (later) co_await wait_for(std::move(*later));
      bool written = begin_write();
      if (!written && !broken_) written = co_await write_rest();
      if (written && response_.stream) written = co_await write_stream();
      if (!written || !keep_alive_) co_return;
    }
  }
}

Connection::Next Connection::advance() {
  try {
    parse();
    if (!admit()) return Next::kEnd;
    if (parser_.done()) return watch_.enter(Phase::kHandler, milliseconds(0)) ? Next::kAnswer : Next::kEnd;
    into_ = read_space();
  } catch (const Error& failure) {
    refusal_ = problem(failure);
    return Next::kEnd;
  }
  if (!enter_reading()) return Next::kEnd;
  return !continued_ && begin_ == end_ && parser_.expects_continue() ? Next::kContinue : Next::kRead;
}

void Connection::parse() {
  begin_ += parser_.feed({input_.data() + begin_, end_ - begin_});
  if (begin_ == end_) begin_ = end_ = 0;
}

// Asks about the request once its header is there. False when it is refused
// at once: only a small body is read for the sake of the connection.
bool Connection::admit() {
  if (admitted_ || !server_->admit || !parser_.header_done()) return true;
  admission_ = server_->admit(parser_.head(), *peer_);
  admitted_ = true;
  if (!admission_.answer) return true;
  const std::optional<uint64_t> missing = parser_.body_missing();
  if (missing && *missing <= kReadWhenRefused && !parser_.expects_continue()) return true;
  refusal_ = std::move(admission_.answer);
  return false;
}

// Tells the watch what is being waited for. A header's time runs from its
// first byte; a body's is extended by each byte, within its minimum rate.
bool Connection::enter_reading() {
  const Limits& limits = server_->limits;
  if (parser_.header_done()) {
    if (reading_ != Phase::kBody) body_start_ = Clock::now();
    reading_ = Phase::kBody;
    milliseconds budget = limits.body_timeout;
    if (limits.min_body_rate) {
      const milliseconds earned(parser_.body_received() * 1000 / limits.min_body_rate);
      const auto spent = std::chrono::duration_cast<milliseconds>(Clock::now() - body_start_);
      budget = std::min(budget, limits.body_timeout + earned - spent);
    }
    return watch_.enter(Phase::kBody, budget);
  }
  if (begin_ != end_ || parser_.started()) {
    if (reading_ == Phase::kHeader) return !watch_.cut();
    reading_ = Phase::kHeader;
    return watch_.enter(Phase::kHeader, limits.header_timeout);
  }
  // Entering comes first: stop() looks at idle connections after it has set
  // `stopping`, so one of the two sees the other.
  const bool entered = watch_.enter(Phase::kIdle, first_ ? limits.header_timeout : limits.keep_alive_timeout);
  return entered && !server_->stopping;
}

// Where the next bytes go: the body itself when nothing stands before them.
std::span<char> Connection::read_space() {
  if (begin_ == end_) {
    const std::span<char> body = parser_.space();
    into_body_ = !body.empty();
    if (into_body_) return body.first(std::min(body.size(), kLongestRead));
  }
  into_body_ = false;
  if (begin_ > 0) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // The parser never leaves more than max_header_bytes behind.
  if (parser_.header_done() && input_.size() < kInputForBody) input_.resize(kInputForBody);
  if (end_ == input_.size()) input_.resize(std::max(kFirstInput, input_.size() * 2));
  return std::span(input_).subspan(end_);
}

// False when the connection is to end.
bool Connection::received(size_t bytes, const io::ErrorInfo& error) {
  const bool cut = watch_.cut();
  if (cut && reading_ != Phase::kIdle && !server_->stopping)
    refusal_ = problem(408, "timeout", "the request took too long to arrive");
  broken_ = static_cast<bool>(error);
  if (error || cut) return false;
  server_->statistics.bytes_in.fetch_add(bytes, std::memory_order_relaxed);
  if (into_body_) {
    parser_.commit(bytes);
  } else {
    end_ += bytes;
  }
  return true;
}

// The answer comes into response_, or from what is returned.
std::optional<Task<Response>> Connection::begin_answer() {
  parser_.take(request_);
  first_ = false;
  reading_ = Phase::kIdle;
  continued_ = false;
  head_only_ = request_.method == "HEAD";
  keep_alive_ = request_.keep_alive;
  request_.peer = peer_;
  request_.caller = std::move(admission_.caller);
  ++server_->statistics.requests_total;
  if (admission_.answer) {
    response_ = std::move(*admission_.answer);
    return std::nullopt;
  }
  slot_.emplace(server_->statistics.requests_in_flight);
  if (slot_->before >= server_->limits.max_requests_in_flight) {
    response_ = overloaded();
    return std::nullopt;
  }
  try {
    Answer answer = server_->handler(std::move(request_));
    if (auto* later = std::get_if<Task<Response>>(&answer)) return std::move(*later);
    response_ = std::get<Response>(std::move(answer));
    check_status(response_);
  } catch (...) {
    response_ = problem_of(std::current_exception());
  }
  return std::nullopt;
}

Task<> Connection::wait_for(Task<Response> answer) {
  std::exception_ptr failure;
  try {
    response_ = co_await std::move(answer);
    check_status(response_);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) response_ = problem_of(failure);
}

// True when all of response_ is on its way.
bool Connection::begin_write() {
  slot_.reset();
  request_.body.clear();
  for (const Headers::Field field : admission_.headers) response_.headers.add_checked(field.name, field.value);
  admission_ = {};
  admitted_ = false;
  keep_alive_ = keep_alive_ && !server_->stopping && !response_.headers.lists("Connection", "close");
  // Only the end of the connection tells an older client where the stream ends.
  if (response_.stream && request_.version < 11) keep_alive_ = false;
  head_.clear();
  append_head(head_, response_, request_.version, keep_alive_);
  if (head_only_ || bodiless(response_.status)) {
    response_.body.clear();
    response_.stream.reset();
  }
  count(response_);
  gather(head_, response_.body, output_);
  rest_ = output_;
  const bool written = try_write();
  if (written) response_.body.clear();
  return written;
}

// Most answers fit the socket's buffer and are gone at once.
bool Connection::try_write() {
  io::ErrorInfo error;
  const size_t written = stream_.try_write(rest_, error);
  server_->statistics.bytes_out.fetch_add(written, std::memory_order_relaxed);
  io::advance(rest_, written);
  broken_ = static_cast<bool>(error);
  return !error && rest_.empty();
}

Task<bool> Connection::write(std::string_view head, const Body& body) {
  gather(head, body, output_);
  rest_ = output_;
  bool written = try_write();
  if (!written && !broken_) written = co_await write_rest();
  co_return written;
}

Task<bool> Connection::write_rest() {
  io::ErrorInfo error;
  while (!rest_.empty()) {
    if (!watch_.enter(Phase::kWrite, server_->limits.write_timeout)) co_return false;
    const size_t written = co_await stream_.write_some(rest_, error);
    server_->statistics.bytes_out.fetch_add(written, std::memory_order_relaxed);
    io::advance(rest_, written);
    broken_ = static_cast<bool>(error);
    if (error) co_return false;
  }
  response_.body.clear();
  co_return true;
}

Task<bool> Connection::write_stream() {
  const std::shared_ptr<BodyStream> stream = std::exchange(response_.stream, nullptr);
  const bool chunked = request_.version >= 11;
  static const Body kNone;
  for (;;) {
    if (!watch_.enter(Phase::kHandler, milliseconds(0))) co_return false;
    std::string piece;
    bool failed = false;
    try {
      piece = co_await stream->next();
    } catch (...) {
      failed = true;
    }
    if (failed || peer_->gone) co_return false;
    const bool ends = piece.empty();
    if (chunked) piece = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    const bool written = piece.empty() || co_await write(piece, kNone);
    if (!written || ends) co_return written;
  }
}

// Answers what wasn't a proper request.
Task<> Connection::refuse() {
  for (const Headers::Field field : admission_.headers) refusal_->headers.add_checked(field.name, field.value);
  head_.clear();
  append_head(head_, *refusal_, 11, false);
  count(*refusal_);
  co_await write(head_, refusal_->body);
}

// Closing with unread bytes would reset the connection before the peer has
// read its answer, so they are read and dropped for a while.
Task<> Connection::linger() {
  if (broken_ || (!refusal_ && !refused_tls_ && begin_ == end_ && stream_.quiet())) co_return;
  stream_.shutdown_send();
  if (!watch_.enter(Phase::kLinger, server_->limits.linger_timeout)) co_return;
  input_.resize(kInputForBody);
  io::ErrorInfo error;
  while (!error && !watch_.cut()) {
    const size_t dropped = co_await stream_.read_some(input_, error);
    server_->statistics.bytes_in.fetch_add(dropped, std::memory_order_relaxed);
  }
}

void Connection::count(const Response& response) {
  server_->statistics.responses[response.status / 100].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace sm::http
