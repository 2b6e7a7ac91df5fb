#include "handler.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>
#include <utility>

#include "autograd/held.hpp"
#include "optim/guard.hpp"
#include "serve/call_context.hpp"
#include "serve/request.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

namespace asio = boost::asio;

void answer(const std::shared_ptr<PendingCall>& call) {
  asio::post(call->executor, [call] {
    call->gate->answer([call] {
      call->done = true;
      call->answered.cancel();
    });
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

// Whose requests the handler's own ones will say that they come from; see to_context().
std::string origin_of(const asio::any_io_executor& executor) {
  const io::CallContext* context = io::context_of(executor);
  return context ? context->traceparent + " " + context->path : "";
}

// What JavaScript is asked.
struct Request {
  uint32_t server, route;
  std::string view;
  bool ticketed, wants_gradient;
  std::string session, token, peer, origin;
  io::Content input;

  void ask(napi_env env, uint32_t call) const {
    napi_value kind, data;
    from_content(env, input, &kind, &data);
    call_back(env, "requested",
              {integer(env, call), integer(env, server), integer(env, route), text(env, view), boolean(env, ticketed),
               text(env, session), text(env, token), text(env, peer), text(env, origin), boolean(env, wants_gradient),
               kind, data});
  }
};

// What a route does: asks JavaScript and waits.
class ScriptHandler {
 public:
  ScriptHandler(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Gate> gate, uint32_t server, uint32_t route)
      : mailbox_(std::move(mailbox)), gate_(std::move(gate)), server_(server), route_(route) {}

  // For Content only: who could be called with a Tensor would be taken to need one.
  template <std::same_as<io::Content> Input>
  Task<io::Content> operator()(io::User& user, Input input) const {
    return answer(mailbox_, gate_, server_, route_, user, std::move(input));
  }

 private:
  static Task<io::Content> answer(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Gate> gate, uint32_t server,
                                  uint32_t route, io::User& user, io::Content input) {
    static std::atomic<uint64_t> last_view{0};
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    if (!gate->logic) gate->logic = executor;
    const bool ticketed = !user.header("Shumai-Ticket").empty();
    const std::string view =
        ticketed && user.has(kView) ? user.call(kView).json().as_string() : std::to_string(++last_view);
    const auto call = std::make_shared<PendingCall>(executor, gate, server, !ticketed);
    post(*mailbox, std::make_shared<Question>(call),
         std::make_shared<const Request>(
             Request{server, route, view, ticketed, user.header("Shumai-Input-Gradient") != "none", user.id(),
                     user.token(), user.peer_name(), origin_of(executor), std::move(input)}));
    // While a handler runs, this stays until it answers: JavaScript can't be stopped in the middle.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!call->done) {
      boost::system::error_code ignored;
      co_await call->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    gate->settling();
    settle(*call, mailbox, user, view);
    co_return std::move(call->content);
  }

  // The input lives on only where JavaScript keeps it.
  static void post(Mailbox& mailbox, const std::shared_ptr<Question>& question,
                   const std::shared_ptr<const Request>& request) {
    mailbox.post(
        [question, request](napi_env env) { question->asked(env, [&](uint32_t id) { request->ask(env, id); }); });
  }

  // Nothing is awaited from here to the end of the request: see Gate.
  static void settle(PendingCall& call, const std::shared_ptr<Mailbox>& mailbox, io::User& user,
                     const std::string& view) {
    io::detail::Request& request = io::detail::Request::of(user);
    for (const auto& [what, together] : call.batches) request.batches->count(what, together);
    request.moved = call.moved;
    request.gradient_norm = call.gradient_norm;
    if (call.failure) std::rethrow_exception(call.failure);
    request.held = std::move(call.held);
    if (call.captured) {
      const auto drop = std::make_shared<Drop>(mailbox, call.server, "view", view);
      user.set(kView, [drop] { return Json(drop->key()); });
    }
    if (call.stored && !user.has(kSession))
      user.set(kSession, std::make_shared<Drop>(mailbox, call.server, "session", user.id()));
  }

  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<Gate> gate_;
  uint32_t server_;
  uint32_t route_;
};

// What `call` has to tell of its handler besides the answer, on JavaScript's thread.
void look_at_weights(Network& mine, PendingCall& call) {
  const auto server = mine.servers.find(call.server);
  if (server != mine.servers.end() && server->second.learner) call.moved = server->second.learner->moved();
  call.gradient_norm = optim::take_gradient_norm();
}

// By the graphs of an answer, of which the server gets only the values.
std::vector<HeldBlock> held_by_answer(napi_env env, napi_value kind, napi_value data) {
  if (missing(env, kind)) return {};
  const std::string name = to_text(env, kind, "kind");
  if (name == "tensor") return held_by(tensor_at(env, data));
  std::vector<HeldBlock> held;
  if (name == "json") return held;
  for (uint32_t i = 0, n = length_of(env, data); i < n; ++i)
    for (const HeldBlock& block : held_by(tensor_at(env, at(env, at(env, data, i), 1)))) held.push_back(block);
  return held;
}

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
  if (call->makes_ticket) call->held = held_by_answer(env, arguments[1], arguments[2]);
  look_at_weights(network(env), *call);
  call->captured = to_boolean(env, arguments[3]);
  call->stored = to_boolean(env, arguments[4]);
  answer(call);
  return undefined(env);
}

// countBatch(call, "forward", "backward" or "fallback", requests)
napi_value count_batch(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto& calls = network(env).calls;
  const auto found = calls.find(to_handle(env, arguments[0]));
  if (found != calls.end())
    found->second->batches.emplace_back(to_text(env, arguments[1], "batch"),
                                        static_cast<uint64_t>(to_integer(env, arguments[2], "requests")));
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
  const auto call = take_call(env, arguments[0]);
  look_at_weights(network(env), *call);
  answer(call, std::make_exception_ptr(Error(code, message)));
  return undefined(env);
}

}  // namespace

void answer(const std::shared_ptr<PendingCall>& call, std::exception_ptr failure) {
  call->failure = std::move(failure);
  answer(call);
}

io::Handler script_handler(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Gate> gate, uint32_t server,
                           uint32_t route) {
  return ScriptHandler(std::move(mailbox), std::move(gate), server, route);
}

void define_answers(napi_env env, napi_value exports) {
  define<respond>(env, exports, "respond");
  define<fail>(env, exports, "fail");
  define<count_batch>(env, exports, "countBatch");
}

}  // namespace sm::js
