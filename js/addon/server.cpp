#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <concepts>
#include <utility>

#include "network.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

namespace asio = boost::asio;

void answer(const std::shared_ptr<PendingCall>& call) {
  asio::post(call->executor, [call] {
    call->done = true;
    call->answered.cancel();
  });
}

// Tells JavaScript that what it keeps under a number can go.
class Drop {
 public:
  Drop(std::shared_ptr<Mailbox> mailbox, uint32_t server, std::string kind, std::string key)
      : mailbox_(std::move(mailbox)), server_(server), kind_(std::move(kind)), key_(std::move(key)) {}
  Drop(const Drop&) = delete;
  Drop& operator=(const Drop&) = delete;
  ~Drop() {
    mailbox_->post([server = server_, kind = kind_, key = key_](napi_env env) {
      call_back(env, "dropped", {integer(env, server), text(env, kind), text(env, key)});
    });
  }
  const std::string& key() const { return key_; }

 private:
  std::shared_ptr<Mailbox> mailbox_;
  uint32_t server_;
  std::string kind_, key_;
};

constexpr const char* kView = "shumai.js.view";
constexpr const char* kSession = "shumai.js.session";

// A call on its way to JavaScript. One that never arrives, because the
// environment has ended, is answered with that.
class Question {
 public:
  explicit Question(std::shared_ptr<PendingCall> call) : call_(std::move(call)) {}
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  ~Question() {
    if (call_)
      answer(call_, std::make_exception_ptr(Error(ErrorCode::kUnavailable, "the server's JavaScript has ended")));
  }

  // Hands the call over to JavaScript, which answers it under a number.
  template <class Ask>
  void asked(napi_env env, Ask ask) {
    Network& mine = network(env);
    const uint32_t id = ++mine.last_call;
    mine.calls.emplace(id, std::exchange(call_, nullptr));
    try {
      ask(id);
    } catch (const std::exception&) {
      const auto found = mine.calls.find(id);
      if (found == mine.calls.end()) throw;
      answer(found->second, std::current_exception());
      mine.calls.erase(found);
    }
  }

 private:
  std::shared_ptr<PendingCall> call_;
};

// What a route does: asks JavaScript and waits.
class ScriptHandler {
 public:
  ScriptHandler(std::shared_ptr<Mailbox> mailbox, uint32_t server, uint32_t route)
      : mailbox_(std::move(mailbox)), server_(server), route_(route) {}

  // For Content only: who could be called with a Tensor would be taken to need one.
  template <std::same_as<io::Content> Input>
  Task<io::Content> operator()(io::User& user, Input input) const {
    return answer(mailbox_, server_, route_, user, std::move(input));
  }

 private:
  static Task<io::Content> answer(std::shared_ptr<Mailbox> mailbox, uint32_t server, uint32_t route, io::User& user,
                                  io::Content input) {
    static std::atomic<uint64_t> last_view{0};
    const bool ticketed = !user.header("Shumai-Ticket").empty();
    const std::string view =
        ticketed && user.has(kView) ? user.call(kView).json().as_string() : std::to_string(++last_view);
    const bool wants_gradient = user.header("Shumai-Input-Gradient") != "none";
    const auto call = std::make_shared<PendingCall>(co_await asio::this_coro::executor);
    const auto question = std::make_shared<Question>(call);
    mailbox->post([=, session = user.id()](napi_env env) {
      question->asked(
          env, [&](uint32_t id) { request(env, id, server, route, view, ticketed, session, wants_gradient, input); });
    });
    input = {};
    // While a handler runs, this stays until it answers: JavaScript can't be stopped in the middle.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!call->done) {
      boost::system::error_code ignored;
      co_await call->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (call->failure) std::rethrow_exception(call->failure);
    if (call->captured) {
      const auto drop = std::make_shared<Drop>(mailbox, server, "view", view);
      user.set(kView, [drop] { return Json(drop->key()); });
    }
    if (call->stored && !user.has(kSession))
      user.set(kSession, std::make_shared<Drop>(mailbox, server, "session", user.id()));
    co_return call->content;
  }

  static void request(napi_env env, uint32_t call, uint32_t server, uint32_t route, const std::string& view,
                      bool ticketed, const std::string& session, bool wants_gradient, const io::Content& input) {
    napi_value kind, data;
    from_content(env, input, &kind, &data);
    call_back(env, "requested",
              {integer(env, call), integer(env, server), integer(env, route), text(env, view), boolean(env, ticketed),
               text(env, session), boolean(env, wants_gradient), kind, data});
  }

  std::shared_ptr<Mailbox> mailbox_;
  uint32_t server_;
  uint32_t route_;
};

std::shared_ptr<PendingCall> take_call(napi_env env, napi_value id) {
  auto& calls = network(env).calls;
  const auto found = calls.find(to_handle(env, id));
  if (found == calls.end()) throw Error(ErrorCode::kInternal, "no such call");
  const auto call = found->second;
  calls.erase(found);
  return call;
}

// respond(call, kind, data, captured, stored)
napi_value respond(const Arguments& arguments) {
  const napi_env env = arguments.env();
  io::Content content = to_content(env, arguments[1], arguments[2], true);
  const auto call = take_call(env, arguments[0]);
  call->content = std::move(content);
  call->captured = to_boolean(env, arguments[3]);
  call->stored = to_boolean(env, arguments[4]);
  answer(call);
  return undefined(env);
}

// fail(call, message, code, status): a code of ours counts, else a status of HTTP's (0 for none).
napi_value fail(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const std::string message = to_text(env, arguments[1], "message");
  const std::string name = to_text(env, arguments[2], "code");
  const int64_t status = to_integer(env, arguments[3], "status");
  ErrorCode code = code_from_name(name);
  if (code_name(code) != name && status >= 400 && status < 600) code = code_from_status(static_cast<int>(status));
  answer(take_call(env, arguments[0]), std::make_exception_ptr(Error(code, message)));
  return undefined(env);
}

template <class T>
void read_limit(napi_env env, napi_value limits, const char* name, T& out) {
  const napi_value value = get(env, limits, name);
  if (missing(env, value)) return;
  const int64_t number = to_integer(env, value, name);
  if (number < 0)
    throw Error(ErrorCode::kInvalidArgument,
                std::string("serve: ") + name + " must be 0 or more, got " + std::to_string(number));
  out = T(number);
}

io::ServeOptions to_options(napi_env env, napi_value value) {
  io::ServeOptions options;
  if (missing(env, value)) return options;
  if (const napi_value port = get(env, value, "port"); !missing(env, port)) {
    const int64_t number = type_of(env, port) == napi_string ? std::atoll(to_text(env, port, "port").c_str())
                                                             : to_integer(env, port, "port");
    if (number < 0 || number > 65535)
      throw Error(ErrorCode::kInvalidArgument, "serve: port must be 0 to 65535, got " + std::to_string(number));
    options.port = static_cast<uint16_t>(number);
  }
  if (const napi_value host = get(env, value, "hostname"); !missing(env, host))
    options.hostname = to_text(env, host, "hostname");
  if (const napi_value insecure = get(env, value, "insecure"); !missing(env, insecure))
    options.insecure = to_boolean(env, insecure);
  const napi_value limits = get(env, value, "limits");
  if (missing(env, limits)) return options;
  read_limit(env, limits, "maxBodyBytes", options.limits.max_body_bytes);
  read_limit(env, limits, "maxConnections", options.limits.max_connections);
  read_limit(env, limits, "maxRequestsInFlight", options.limits.max_requests_in_flight);
  read_limit(env, limits, "maxSessions", options.limits.max_sessions);
  read_limit(env, limits, "maxTickets", options.limits.max_tickets);
  read_limit(env, limits, "maxTicketsPerSession", options.limits.max_tickets_per_session);
  read_limit(env, limits, "ticketLifetime", options.limits.ticket_lifetime);
  read_limit(env, limits, "sessionLifetime", options.limits.session_lifetime);
  read_limit(env, limits, "maxStoredAnswerBytes", options.limits.max_stored_answer_bytes);
  read_limit(env, limits, "shutdownGrace", options.limits.shutdown_grace);
  return options;
}

// What /statistics adds: JavaScript's answer of now, or else its last.
std::function<Json()> caller_statistics(const std::shared_ptr<Mailbox>& mailbox, uint32_t server) {
  constexpr std::chrono::milliseconds kPatience{10};
  return [=, entries = std::make_shared<Entries>()] {
    std::unique_lock lock(entries->mutex);
    if (!entries->asking) {
      entries->asking = true;
      mailbox->post([=](napi_env env) {
        const napi_value told = call_back(env, "tellStatistics", {integer(env, server)});
        const bool failed = missing(env, at(env, told, 0));
        const std::string said = to_text(env, at(env, told, failed ? 1 : 0), "statistics");
        const std::lock_guard guard(entries->mutex);
        entries->asking = false;
        entries->failure = failed ? said : "";
        if (!failed) entries->last = Json::parse(said);
        entries->changed.notify_all();
      });
    }
    entries->changed.wait_for(lock, kPatience, [&] { return !entries->asking; });
    if (!entries->failure.empty()) throw Error(ErrorCode::kInternal, entries->failure);
    return entries->last;
  };
}

// serve([route, ...], options): [server, port, url]
napi_value start_server(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Network& mine = network(env);
  const uint32_t id = ++mine.last_server;
  io::Routes routes;
  for (uint32_t i = 0, n = length_of(env, arguments[0]); i < n; ++i)
    routes.push_back({to_text(env, at(env, arguments[0], i), "route"), ScriptHandler(mine.mailbox, id, i)});
  io::ServeOptions options = to_options(env, arguments[1]);
  if (type_of(env, arguments[1]) == napi_object && !missing(env, get(env, arguments[1], "statistics")))
    options.statistics = caller_statistics(mine.mailbox, id);
  const auto server = std::make_shared<io::Server>(io::serve(std::move(routes), std::move(options)));
  mine.servers.emplace(id, server);
  mine.mailbox->hold(env);
  const napi_value out = array(env, 3);
  set(env, out, 0u, integer(env, id));
  set(env, out, 1u, integer(env, server->port()));
  set(env, out, 2u, text(env, server->url()));
  return out;
}

std::shared_ptr<io::Server> server_at(napi_env env, napi_value id) {
  const auto& servers = network(env).servers;
  const auto found = servers.find(to_handle(env, id));
  return found == servers.end() ? nullptr : found->second;
}

// stop(server, done): running handlers may need this thread, so the waiting is done on another.
napi_value stop_server(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto server = server_at(env, arguments[0]);
  if (!server) throw Error(ErrorCode::kNotFound, "the server was stopped already");
  const uint32_t id = to_handle(env, arguments[0]);
  napi_ref done;
  check(env, napi_create_reference(env, arguments[1], 1, &done));
  Network& mine = network(env);
  mine.servers.erase(id);
  std::thread stopper([server = std::shared_ptr(server), mailbox = mine.mailbox, id, done]() mutable {
    server->stop();
    server.reset();
    mailbox->post([mailbox, id, done](napi_env to) {
      mailbox->release(to);
      if (auto ended = network(to).stopping.extract(id)) ended.mapped().join();
      napi_value callback, result;
      check(to, napi_get_reference_value(to, done, &callback));
      napi_delete_reference(to, done);
      check(to, napi_call_function(to, undefined(to), callback, 0, nullptr, &result));
    });
  });
  mine.stopping.emplace(id, std::move(stopper));
  return undefined(env);
}

// statistics(server): JSON text
napi_value server_statistics(const Arguments& arguments) {
  const auto server = server_at(arguments.env(), arguments[0]);
  if (!server) throw Error(ErrorCode::kNotFound, "the server was stopped already");
  return text(arguments.env(), server->statistics().dump());
}

}  // namespace

void answer(const std::shared_ptr<PendingCall>& call, std::exception_ptr failure) {
  call->failure = std::move(failure);
  answer(call);
}

void define_server(napi_env env, napi_value exports) {
  define<respond>(env, exports, "respond");
  define<fail>(env, exports, "fail");
  define<start_server>(env, exports, "serve");
  define<stop_server>(env, exports, "stop");
  define<server_statistics>(env, exports, "statistics");
}

}  // namespace sm::js
