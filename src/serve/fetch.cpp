#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <charconv>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <unordered_map>

#include "autograd/function.hpp"
#include "http/client.hpp"
#include "io/connect.hpp"
#include "io/tls.hpp"
#include "serve/call_context.hpp"
#include "serve/callees.hpp"
#include "serve/wire.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "util/log.hpp"

namespace sm::io {
namespace {

// The sessions that servers gave this process, by account_of().
class Sessions {
 public:
  std::string of(const std::string& account) {
    const std::lock_guard lock(mutex_);
    const auto found = by_account_.find(account);
    return found == by_account_.end() ? std::string() : found->second;
  }
  // It has answered, maybe without naming a session, as an accountal Shumai doesn't.
  bool knows(const std::string& account) {
    const std::lock_guard lock(mutex_);
    return by_account_.contains(account);
  }
  void remember(const std::string& account, std::optional<std::string_view> session) {
    const std::lock_guard lock(mutex_);
    if (by_account_.size() >= kMost) by_account_.clear();
    std::string& known = by_account_[account];
    if (session) known = *session;
  }

 private:
  static constexpr size_t kMost = 10'000;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> by_account_;
};

Sessions& sessions() {
  static Sessions instance;
  return instance;
}

// Who a request is from, to its server: sessions belong to tokens.
std::string account_of(const http::Url& url, const http::Request& request) {
  const std::string_view secret = request.headers.get("Authorization");
  if (secret.empty()) return url.origin();
  return url.origin() + " " + std::to_string(std::hash<std::string_view>()(secret));
}

// Puts the token among the headers. Warns, once for each server, of one that anyone on the way can read.
void add_token(http::Request& request, const http::Url& url, const std::string& token) {
  const auto is_visible = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!std::all_of(token.begin(), token.end(), is_visible))
    throw Error(ErrorCode::kInvalidArgument, "tfetch: a token has visible ASCII characters only");
  if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
  if (url.scheme != "http" || !request.headers.find("Authorization") || is_loopback(url.host)) return;
  static std::mutex mutex;
  static std::set<std::string> warned;
  const std::lock_guard lock(mutex);
  if (warned.size() < 1000 && warned.insert(url.origin()).second)
    util::log_warning("tfetch: the token goes to " + url.origin() + " unencrypted, and anyone on the way can read it");
}

// The ticket that a gradient among `input` carries for `origin`.
const TicketTag* ticket_for(const Content& input, const std::string& origin) {
  if (input.is_json() || input.empty()) return nullptr;
  for (const auto& [name, tensor] : input.tensors()) {
    const TicketTag* tag = tensor.impl()->tag.get();
    if (tag && tag->gradient && tag->origin == origin) return tag;
  }
  return nullptr;
}

// A server's error as ours, with its message and code where it says them.
[[noreturn]] void throw_answer(const http::Url& url, const http::Response& response) {
  std::string message = url.to_string() + " answered " + std::to_string(response.status);
  ErrorCode code = code_from_status(response.status);
  const std::string_view text = http::body_text(response.body);
  if (response.headers.get("Content-Type").starts_with("application/problem+json")) {
    try {
      const Json problem = Json::parse(text);
      if (const Json* name = problem.find("code");
          name && name->is_string() && http_status(code_from_name(name->as_string())) == response.status)
        code = code_from_name(name->as_string());
      if (const Json* detail = problem.find("detail"); detail && detail->is_string()) message = detail->as_string();
    } catch (const Error&) {  // not what it claims to be: the status has to do
    }
  }
  throw Error(code, message);
}

void tag_answer(const Content& content, const http::Response& response, const http::Request& request,
                const std::string& origin) {
  const auto ticket = response.headers.find("Shumai-Ticket");
  if (!ticket || content.is_json() || content.empty()) return;
  const auto tag = std::make_shared<TicketTag>();
  tag->ticket = *ticket;
  tag->session = response.headers.get("Shumai-Session");
  tag->origin = origin;
  tag->trace = request.headers.get("traceparent");
  for (const auto& [name, tensor] : content.tensors()) tensor.impl()->tag = tag;
}

// --- Attempts ---

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How long a server is waited for that hasn't answered yet.
constexpr milliseconds kFirstContact{5000};

// How long to wait before the next of several attempts.
class Backoff {
 public:
  milliseconds next(std::optional<milliseconds> asked_for) {
    const milliseconds most = std::min(kMost, kFirst * (1 << std::min(tries_++, 10)));
    thread_local std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<int64_t> jitter(most.count() / 2, most.count());
    const milliseconds wait(jitter(random));
    return asked_for ? *asked_for + wait : wait;
  }
  int tries() const noexcept { return tries_; }

 private:
  static constexpr milliseconds kFirst{25}, kMost{2000};
  int tries_ = 0;
};

// Retry-After in seconds; its other form, a date, counts as not given.
std::optional<milliseconds> retry_after(const http::Response& response) {
  const std::string_view text = response.headers.get("Retry-After");
  int seconds = 0;
  if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc()) return {};
  return milliseconds(1000) * std::clamp(seconds, 0, 3600);
}

// What came of an attempt.
struct Attempt {
  http::Response response;
  std::optional<Error> failure;
  bool may_have_arrived = false;
  bool hopeless = false;  // another attempt would fail the same way

  // `repeatable`: to run the request twice does no harm.
  bool worth_another(bool repeatable) const {
    if (hopeless) return false;
    if (failure) return failure->code() == ErrorCode::kConnection && (repeatable || !may_have_arrived);
    if (response.status == 429 || response.status == 503) return true;
    return repeatable && (response.status == 502 || response.status == 504) && !is_ours(response);
  }

 private:
  // A server of ours says its own 502 or 504 for good; a gateway before it may get through next time.
  static bool is_ours(const http::Response& response) {
    return response.headers.get("Content-Type").starts_with("application/problem+json");
  }
};

Task<Attempt> attempt(const http::Url& url, const http::Request& request, http::SendOptions send) {
  Attempt out;
  send.may_have_arrived = &out.may_have_arrived;
  const http::Client client;
  try {
    out.response = co_await client.send(url, request, send);
  } catch (const TlsError& error) {
    out.failure = error;
    out.hopeless = true;
  } catch (const Error& error) {
    out.failure = error;
  }
  co_return out;
}

Task<> pause(milliseconds time) {
  try {
    co_await util::sleep(time);
  } catch (const boost::system::system_error&) {
    throw Error(ErrorCode::kCancelled, "the request was cancelled");
  }
}

// Null without options of one's own. Throws Error (kInvalidArgument) for those that would go unused.
std::shared_ptr<TlsClient> tls_for(const http::Url& url, const ClientTlsOptions& options) {
  TlsClientFiles files{*options.ca_file, *options.cert_file, *options.key_file, *options.server_name};
  if (files.ca_file.empty() && files.cert_file.empty() && files.key_file.empty() && files.server_name.empty())
    return nullptr;
  if (url.scheme != "https")
    throw Error(ErrorCode::kInvalidArgument, url.to_string() + ": options for TLS need a URL with https://");
  return TlsClient::of(files);
}

// The response, whatever its status, of the last attempt.
Task<http::Response> send_patiently(const http::Url& url, http::Request request, const FetchOptions& options,
                                    bool repeatable) {
  const Clock::time_point begin = Clock::now();
  const std::string account = account_of(url, request);
  const bool limited = options.timeout.count() > 0;
  const Clock::time_point end = limited ? begin + options.timeout : Clock::time_point::max();
  // One that never answered isn't coming back: its address may be wrong.
  const auto last_try = [&] {
    const bool known = sessions().knows(account);
    return std::min(end, begin + (known ? options.retry_for : std::min(options.retry_for, kFirstContact)));
  };
  http::SendOptions send;
  send.timeout = milliseconds(0);
  send.deadline = end;
  send.retry_safe = repeatable;
  send.tls = tls_for(url, options.tls);
  Backoff backoff;
  for (;;) {
    if (limited) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      request.headers.set("Shumai-Timeout", std::to_string(std::max<int64_t>(left.count(), 1)));
    }
    Attempt last = co_await attempt(url, request, send);
    const bool again = last.worth_another(repeatable);
    const milliseconds wait = again ? backoff.next(retry_after(last.response)) : milliseconds(0);
    if (!again || Clock::now() + wait > last_try()) {
      if (last.failure) throw Error(*last.failure);
      co_return std::move(last.response);
    }
    if (backoff.tries() == 1)
      util::log_warning(
          (last.failure ? last.failure->what() : url.origin() + " answered " + std::to_string(last.response.status)) +
          std::string("; trying again"));
    co_await pause(wait);
  }
}

// A call to another server among those of the handler that makes it.
struct CountedCall {
  CountedCall(const CallContext* context, const http::Url& url, const FetchOptions& options) {
    if (!context || context->path.empty()) return;
    if (const auto callees = Callees::of_caller(context->path)) callee = callees->of(url, options);
  }
  ~CountedCall() {
    if (callee) answered ? callee->succeeded() : callee->failed();
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

  std::shared_ptr<Callee> callee;
  bool answered = false;
};

// What says where the request comes from: its session or ticket, its trace, the servers that it went through.
// What the caller said of that counts more.
void add_origin(http::Request& request, const TicketTag* tag, const CallContext* context, const std::string& account) {
  // First requests sent together get a session each: a ticket goes back with the one that it belongs to.
  std::string session = tag ? tag->session : sessions().of(account);
  // Without one, all who use a token would share its own.
  if (session.empty() && request.headers.find("Authorization")) session = "new";
  const auto add = [&request](std::string_view name, std::string_view value) {
    if (!request.headers.find(name)) request.headers.add(name, value);
  };
  if (!session.empty()) add("Shumai-Session", session);
  if (tag) add("Shumai-Ticket", tag->ticket);
  const std::string_view parent = context && !context->traceparent.empty() ? context->traceparent
                                  : tag                                    ? std::string_view(tag->trace)
                                                                           : std::string_view();
  add("traceparent", next_traceparent(parent));
  if (context) add("Shumai-Path", context->path);
}

Task<Content> fetch_content(std::string address, Content input, FetchOptions options, bool json_is_tensors) {
  http::Url url = http::Url::parse(address);
  const std::string origin = url.origin();
  http::Request request;
  write_request(request, input, options);
  const TicketTag* tag = ticket_for(input, origin);
  const auto executor = co_await boost::asio::this_coro::executor;
  CountedCall call(context_of(executor), url, options);
  for (const auto& [name, value] : options.headers.get()) request.headers.set(name, value);
  add_token(request, url, *options.token);
  const std::string account = account_of(url, request);
  add_origin(request, tag, context_of(executor), account);

  // A forward that runs twice leaves one ticket too many, which expires.
  const bool repeatable = options.repeatable || tag || input.empty() || options.grad_fn.get();
  http::Response response = co_await send_patiently(url, request, options, repeatable);
  sessions().remember(account, response.headers.find("Shumai-Session"));
  call.answered = response.status < 500;
  if (response.status < 200 || response.status >= 300) throw_answer(url, response);
  Content answer = read_answer(url, response, json_is_tensors);
  tag_answer(answer, response, request, origin);
  co_return answer;
}

Task<Tensor> fetch_tensor(std::string url, Tensor input, FetchOptions options) {
  const GradFn gradient = options.grad_fn.get();
  Content answer = co_await fetch_content(std::move(url), input, std::move(options), true);
  Tensor output = answer.tensor();
  if (gradient && output.defined()) {
    std::vector<Tensor> inputs;
    if (input.defined()) inputs.push_back(input);
    output = with_grad_fn(output, std::move(inputs), gradient);
  }
  co_return output;
}

Task<Tensors> fetch_tensors(std::string url, Tensors inputs, FetchOptions options) {
  Content answer = co_await fetch_content(std::move(url), std::move(inputs), std::move(options), true);
  co_return answer.tensors();
}

}  // namespace

// These copy their options before any coroutine starts: see FrameSafe.
Task<Tensor> tfetch(std::string url, Tensor input, FetchOptions options) {
  return fetch_tensor(std::move(url), std::move(input), std::move(options));
}

Task<Tensors> tfetch(std::string url, Tensors inputs, FetchOptions options) {
  if (options.grad_fn.get())
    throw Error(ErrorCode::kInvalidArgument, "tfetch: grad_fn takes one tensor in and out, not named tensors");
  return fetch_tensors(std::move(url), std::move(inputs), std::move(options));
}

Task<Content> fetch(std::string url, Content input, FetchOptions options) {
  return fetch_content(std::move(url), std::move(input), std::move(options), false);
}

}  // namespace sm::io
