#include "http/client.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <cstring>

#include "http/pool.hpp"
#include "http/serialize.hpp"
#include "io/connect.hpp"
#include "io/tls.hpp"
#include "shumai/error.hpp"

namespace sm::http {
namespace {

namespace asio = boost::asio;
using io::Clock;
using std::chrono::milliseconds;

constexpr size_t kInput = 8 * 1024;

// Where, and since when: for messages.
struct Call {
  const Url& url;
  Clock::time_point start = Clock::now();

  [[noreturn]] void fail(ErrorCode code, const std::string& why) const { throw Error(code, url.origin() + ": " + why); }
  [[noreturn]] void timed_out(const std::string& lacking) const {
    const auto spent = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    fail(ErrorCode::kTimeout, lacking + " after " + std::to_string(spent.count()) + " ms");
  }
};

struct Outcome {
  Response response;
  bool reusable = false;
};

// What comes in over a connection. `space` is where the next bytes go while the message isn't complete.
struct Input {
  Kept& kept;
  size_t end = 0;  // of what is in kept.input
  std::span<char> space{};
  bool into_body = false;

  // Whether the next message, 1xx or final, is there.
  bool complete() {
    parse();
    if (kept.parser.done()) return true;
    const std::span<char> body = end ? std::span<char>() : kept.parser.space();
    into_body = !body.empty();
    if (end == kept.input.size()) kept.input.resize(std::max(kInput, end * 2));
    space = into_body ? body : std::span(kept.input).subspan(end);
    return false;
  }
  void received(size_t bytes) {
    if (into_body)
      kept.parser.commit(bytes);
    else
      end += bytes;
  }

 private:
  // Keeps what the parser leaves.
  void parse() {
    const size_t used = kept.parser.feed({kept.input.data(), end});
    if (used < end) std::memmove(kept.input.data(), kept.input.data() + used, end - used);
    end -= used;
  }
};

[[noreturn]] void broke(const Call& call, const io::ErrorInfo& error) {
  if (error == asio::error::operation_aborted) call.fail(ErrorCode::kCancelled, "the request was cancelled");
  if (io::is_tls_refusal(error))
    throw io::TlsError(ErrorCode::kConnection, call.url.origin() + ": " + io::explain_refusal(error));
  call.fail(ErrorCode::kConnection, "the connection broke: " + error.message());
}

// Writes what doesn't go at once. An error is left to the reader: a server may
// refuse a request early, with an answer, and close.
Task<void> write_rest(Kept& kept, std::span<asio::const_buffer> rest, io::ErrorInfo& error) {
  while (!error && !rest.empty()) {
    const size_t written = co_await kept.stream.write_some(rest, error);
    io::advance(rest, written);
  }
}

// Of few coroutines, since each costs a request as much as a parser does.
Task<Outcome> exchange(Kept& kept, const Request& request, const Call& call) {
  if (request.method == "HEAD") kept.parser.expect_no_body();
  gather(kept.head, request.body, kept.output);
  std::span<asio::const_buffer> rest = kept.output;
  io::ErrorInfo unsent;
  io::advance(rest, kept.stream.try_write(rest, unsent));
  if (!unsent && !rest.empty()) co_await write_rest(kept, rest, unsent);
  Outcome outcome;
  Input input{kept};
  for (;;) {
    io::ErrorInfo error;
    while (!input.complete()) {
      const size_t bytes = co_await kept.stream.read_some(input.space, error);
      if (error) break;
      input.received(bytes);
    }
    if (error == asio::error::eof)
      kept.parser.feed_end();
    else if (error)
      broke(call, unsent && !io::is_tls_refusal(error) && error != asio::error::operation_aborted ? unsent : error);
    outcome.reusable = !unsent && input.end == 0 && request.keep_alive && kept.parser.keep_alive();
    outcome.response = kept.parser.take();
    if (outcome.response.status / 100 != 1) co_return outcome;
    if (outcome.response.status == 101) call.fail(ErrorCode::kProtocol, "the server switched protocols unasked");
    if (request.method == "HEAD") kept.parser.expect_no_body();
  }
}

Task<Outcome> exchange_until(Kept& kept, const Request& request, const Call& call, io::Deadline& deadline) {
  struct Guard {
    io::Deadline& deadline;
    ~Guard() { deadline.release(); }
  } guard{deadline};
  deadline.watch(kept.stream.fd());
  try {
    Outcome outcome = co_await exchange(kept, request, call);
    co_return outcome;
  } catch (const io::TlsError&) {
    throw;
  } catch (const Error& error) {
    if (deadline.passed()) call.timed_out("no complete answer");
    if (error.code() == ErrorCode::kCancelled || std::string_view(error.what()).starts_with(call.url.origin() + ": "))
      throw;
    call.fail(error.code(), error.what());
  }
}

Task<void> shake_hands(io::Stream& stream, io::TlsClient& tls, const Call& call, io::Deadline& deadline) {
  struct Guard {
    io::Deadline& deadline;
    ~Guard() { deadline.release(); }
  } guard{deadline};
  deadline.watch(stream.fd());
  const std::string& host = call.url.host;
  stream.start_tls(tls.open(stream.fd(), host, call.url.port));
  io::ErrorInfo error;
  co_await stream.handshake(error);
  if (deadline.passed()) call.timed_out("no TLS connection");
  if (!error) co_return;
  if (error == asio::error::operation_aborted) call.fail(ErrorCode::kCancelled, "the request was cancelled");
  const std::string why = stream.tls()->explain(error, host);
  // One that just ends may be of a server that is being restarted.
  if (stream.tls()->hopeless(error)) throw io::TlsError(ErrorCode::kConnection, call.url.origin() + ": " + why);
  call.fail(ErrorCode::kConnection, why);
}

Task<std::unique_ptr<Kept>> open(const ClientOptions& options, const Call& call, io::TlsClient* tls,
                                 Clock::time_point until) {
  io::Address address;
  address.host = call.url.host;
  address.port = call.url.port;
  address.unix_path = call.url.socket_path;
  const Clock::time_point limit = std::min(until, Clock::now() + options.connect_timeout);
  io::Deadline deadline(limit);
  bool connected = false;
  try {
    io::Stream stream = co_await io::connect(std::move(address), deadline);
    connected = true;
    if (tls) co_await shake_hands(stream, *tls, call, deadline);
    co_return std::make_unique<Kept>(std::move(stream), options.limits);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kTimeout && !connected) call.timed_out("no connection");
    throw;
  }
}

Task<Response> send_on_pool(const ClientOptions& settings, const Call& call, const Request& request,
                            const SendOptions& options) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Pool& pool = asio::use_service<Pool>(asio::query(executor, asio::execution::context));
  Clock::time_point until = options.deadline;
  if (options.timeout.count() > 0) until = std::min(until, call.start + options.timeout);
  std::string origin = call.url.origin();
  std::shared_ptr<io::TlsClient> tls;
  if (call.url.scheme == "https") {
    tls = options.tls ? options.tls : io::TlsClient::of({});
    origin += " " + tls->identity();
  }

  std::string head;
  append_head(head, request, call.url.host_header());
  io::Deadline deadline(until);
  std::unique_ptr<Kept> kept = pool.take(origin);
  for (;;) {
    if (!kept) kept = co_await open(settings, call, tls.get(), until);
    kept->head = head;
    if (options.may_have_arrived) *options.may_have_arrived = true;
    try {
      Outcome outcome = co_await exchange_until(*kept, request, call, deadline);
      kept->expires = Clock::now() + settings.idle_timeout;
      if (outcome.reusable) pool.put(origin, std::move(kept), settings.max_idle_per_origin);
      co_return std::move(outcome.response);
    } catch (const Error& error) {
      const bool died = error.code() == ErrorCode::kConnection && kept->reused && !kept->parser.started();
      if (!died || !options.retry_safe) throw;
    }
    kept = nullptr;
  }
}

}  // namespace

Task<Response> Client::send(Url url, Request request, SendOptions options) const {
  const ClientOptions settings = options_;
  const Call call{url};
  if (request.target.empty()) request.target = url.target;
  try {
    co_return co_await send_on_pool(settings, call, request, options);
  } catch (const boost::system::system_error& error) {
    // Asio throws this into a cancelled coroutine.
    call.fail(error.code() == asio::error::operation_aborted ? ErrorCode::kCancelled : ErrorCode::kConnection,
              error.code().message());
  }
}

}  // namespace sm::http
