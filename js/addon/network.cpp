#include "network.hpp"

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "shumai/error.hpp"

namespace sm::js {
namespace {

namespace asio = boost::asio;

// The same values for another thread: without the graph, with the ticket.
Tensor for_sending(const Tensor& tensor, bool with_graph_mark) {
  Tensor alias = make_alias(tensor);
  alias.impl()->tag = tensor.impl()->tag;
  if (with_graph_mark) alias.impl()->requires_grad = tensor.requires_grad();
  return alias;
}

// Content from (kind, data): "tensor" and a handle, "tensors" and [[name, handle], ...], "json" and a value.
io::Content to_content(napi_env env, napi_value kind, napi_value data, bool with_graph_mark) {
  if (missing(env, kind)) return {};
  const std::string name = to_text(env, kind, "kind");
  if (name == "tensor") return for_sending(tensor_at(env, data), with_graph_mark);
  if (name == "json") return to_json(env, data);
  Tensors tensors;
  for (uint32_t i = 0, n = length_of(env, data); i < n; ++i) {
    const napi_value pair = at(env, data, i);
    tensors.set(to_text(env, at(env, pair, 0), "name"), for_sending(tensor_at(env, at(env, pair, 1)), with_graph_mark));
  }
  return tensors;
}

// The way back. What it makes has to be wrapped before anything else runs.
void from_content(napi_env env, const io::Content& content, napi_value* kind, napi_value* data) {
  *kind = *data = undefined(env);
  if (content.empty()) return;
  if (content.is_tensor()) {
    *kind = text(env, "tensor");
    *data = integer(env, add(env, content.tensor()));
  } else if (content.is_json()) {
    *kind = text(env, "json");
    *data = from_json(env, content.json());
  } else {
    const Tensors tensors = content.tensors();
    *kind = text(env, "tensors");
    *data = array(env, tensors.size());
    uint32_t i = 0;
    for (const auto& [name, tensor] : tensors) {
      const napi_value pair = array(env, 2);
      set(env, pair, 0u, text(env, name));
      set(env, pair, 1u, integer(env, add(env, tensor)));
      set(env, *data, i++, pair);
    }
  }
}

Network& network(napi_env env) {
  Instance& mine = instance(env);
  if (!mine.network) mine.network = std::make_unique<Network>(env);
  return *mine.network;
}

void call_back(napi_env env, const char* name, std::initializer_list<napi_value> arguments) {
  napi_value callbacks, result;
  check(env, napi_get_reference_value(env, network(env).callbacks, &callbacks));
  check(env, napi_call_function(env, undefined(env), get(env, callbacks, name), arguments.size(), arguments.begin(), &result));
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, error.what());
  }
}

// setCallbacks({fetched, requested, dropped})
napi_value set_callbacks(const Arguments& arguments) {
  check(arguments.env(), napi_create_reference(arguments.env(), arguments[0], 1, &network(arguments.env()).callbacks));
  return undefined(arguments.env());
}

void deliver_fetch(napi_env env, uint32_t id, const io::Content& content, const std::optional<Error>& failure) {
  Network& mine = network(env);
  mine.fetching.erase(id);
  mine.mailbox->release(env);
  napi_value kind = undefined(env), data = undefined(env);
  if (!failure) from_content(env, content, &kind, &data);
  call_back(env, "fetched", {integer(env, id), failure ? make_error(env, *failure) : null(env), kind, data});
}

// fetch(url, kind, data, timeout in ms, [[header, value], ...]): a number; callbacks.fetched(number, error, kind, data) follows.
napi_value start_fetch(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Network& mine = network(env);
  const std::string url = to_text(env, arguments[0], "url");
  io::Content content = to_content(env, arguments[1], arguments[2], false);
  io::FetchOptions options;
  options.timeout = std::chrono::milliseconds(to_integer(env, arguments[3], "timeout"));
  std::vector<std::pair<std::string, std::string>> headers;
  for (uint32_t i = 0, n = length_of(env, arguments[4]); i < n; ++i) {
    const napi_value pair = at(env, arguments[4], i);
    headers.emplace_back(to_text(env, at(env, pair, 0), "header"), to_text(env, at(env, pair, 1), "header"));
  }
  options.headers = headers;
  if (!mine.loop) mine.loop = std::make_unique<io::EventLoop>(1);
  const uint32_t id = ++mine.last_fetch;
  const auto signal = std::make_shared<asio::cancellation_signal>();
  mine.fetching.emplace(id, signal);
  mine.mailbox->hold(env);
  const auto done = [mailbox = mine.mailbox, id, signal](std::exception_ptr error, io::Content answer) {
    std::optional<Error> failure;
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (...) {
        failure = current_error();
      }
    }
    mailbox->post([id, failure, answer](napi_env to) { deliver_fetch(to, id, answer, failure); });
  };
  asio::co_spawn(mine.loop->context(), io::fetch(url, std::move(content), options), asio::bind_cancellation_slot(signal->slot(), done));
  return integer(env, id);
}

// abort(number)
napi_value abort_fetch(const Arguments& arguments) {
  Network& mine = network(arguments.env());
  const auto found = mine.fetching.find(to_handle(arguments.env(), arguments[0]));
  if (found != mine.fetching.end())
    asio::post(mine.loop->context(), [signal = found->second] { signal->emit(asio::cancellation_type::terminal); });
  return undefined(arguments.env());
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

// What a route does: asks JavaScript and waits.
class ScriptHandler {
 public:
  ScriptHandler(std::shared_ptr<Mailbox> mailbox, uint32_t server, uint32_t route) : mailbox_(std::move(mailbox)), server_(server), route_(route) {}

  Task<io::Content> operator()(io::User& user, io::Content input) const {
    return answer(mailbox_, server_, route_, user, std::move(input));
  }

 private:
  static Task<io::Content> answer(std::shared_ptr<Mailbox> mailbox, uint32_t server, uint32_t route, io::User& user, io::Content input) {
    static std::atomic<uint64_t> last_view{0};
    const bool ticketed = !user.header("Shumai-Ticket").empty();
    if (ticketed && !user.has(kView)) throw Error(ErrorCode::kNotFound, "user: nothing is stored for this ticket");
    const std::string view = ticketed ? user.call(kView).json().as_string() : std::to_string(++last_view);
    const bool wants_gradient = user.header("Shumai-Input-Gradient") != "none";
    const auto call = std::make_shared<PendingCall>(co_await asio::this_coro::executor);
    mailbox->post([=, session = user.id()](napi_env env) { request(env, call, server, route, view, ticketed, session, wants_gradient, input); });
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
    if (call->stored && !user.has(kSession)) user.set(kSession, std::make_shared<Drop>(mailbox, server, "session", user.id()));
    co_return call->content;
  }

  static void request(napi_env env, const std::shared_ptr<PendingCall>& call, uint32_t server, uint32_t route, const std::string& view,
                      bool ticketed, const std::string& session, bool wants_gradient, const io::Content& input) {
    Network& mine = network(env);
    const uint32_t id = ++mine.last_call;
    mine.calls.emplace(id, call);
    napi_value kind, data;
    from_content(env, input, &kind, &data);
    call_back(env, "requested", {integer(env, id), integer(env, server), integer(env, route), text(env, view), boolean(env, ticketed),
                                 text(env, session), boolean(env, wants_gradient), kind, data});
  }

  std::shared_ptr<Mailbox> mailbox_;
  uint32_t server_;
  uint32_t route_;
};

void answer(const std::shared_ptr<PendingCall>& call) {
  asio::post(call->executor, [call] {
    call->done = true;
    call->answered.cancel();
  });
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
  call->captured = to_boolean(env, arguments[3]);
  call->stored = to_boolean(env, arguments[4]);
  answer(call);
  return undefined(env);
}

// fail(call, thrown)
napi_value fail(const Arguments& arguments) {
  const auto call = take_call(arguments.env(), arguments[0]);
  call->failure = std::make_exception_ptr(to_error(arguments.env(), arguments[1]));
  answer(call);
  return undefined(arguments.env());
}

template <class T>
void read_limit(napi_env env, napi_value limits, const char* name, T& out) {
  const napi_value value = get(env, limits, name);
  if (missing(env, value)) return;
  const int64_t number = to_integer(env, value, name);
  if (number < 0) throw Error(ErrorCode::kInvalidArgument, std::string("serve: ") + name + " must be 0 or more, got " + std::to_string(number));
  out = T(number);
}

io::ServeOptions to_options(napi_env env, napi_value value) {
  io::ServeOptions options;
  if (missing(env, value)) return options;
  if (const napi_value port = get(env, value, "port"); !missing(env, port)) {
    const int64_t number = type_of(env, port) == napi_string ? std::atoll(to_text(env, port, "port").c_str()) : to_integer(env, port, "port");
    if (number < 0 || number > 65535) throw Error(ErrorCode::kInvalidArgument, "serve: port must be 0 to 65535, got " + std::to_string(number));
    options.port = static_cast<uint16_t>(number);
  }
  if (const napi_value host = get(env, value, "hostname"); !missing(env, host)) options.hostname = to_text(env, host, "hostname");
  if (const napi_value insecure = get(env, value, "insecure"); !missing(env, insecure)) options.insecure = to_boolean(env, insecure);
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

// serve([route, ...], options): [server, port, url]
napi_value start_server(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Network& mine = network(env);
  const uint32_t id = ++mine.last_server;
  io::Routes routes;
  for (uint32_t i = 0, n = length_of(env, arguments[0]); i < n; ++i)
    routes.push_back({to_text(env, at(env, arguments[0], i), "route"), ScriptHandler(mine.mailbox, id, i)});
  const auto server = std::make_shared<io::Server>(io::serve(std::move(routes), to_options(env, arguments[1])));
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
  network(env).servers.erase(id);
  std::thread([server = std::shared_ptr(server), mailbox = network(env).mailbox, done]() mutable {
    server->stop();
    server.reset();
    mailbox->post([done, mailbox](napi_env to) {
      mailbox->release(to);
      napi_value callback, result;
      check(to, napi_get_reference_value(to, done, &callback));
      napi_delete_reference(to, done);
      check(to, napi_call_function(to, undefined(to), callback, 0, nullptr, &result));
    });
  }).detach();
  return undefined(env);
}

// statistics(server): JSON text
napi_value server_statistics(const Arguments& arguments) {
  const auto server = server_at(arguments.env(), arguments[0]);
  if (!server) throw Error(ErrorCode::kNotFound, "the server was stopped already");
  return text(arguments.env(), server->statistics().dump());
}

}  // namespace

Mailbox::Mailbox(napi_env env) {
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "shumai"), 0, 1, nullptr, nullptr, nullptr, run, &function_));
  check(env, napi_unref_threadsafe_function(env, function_));
}

Mailbox::~Mailbox() { close(); }

void Mailbox::post(std::function<void(napi_env)> job) {
  auto* boxed = new std::function<void(napi_env)>(std::move(job));
  const std::lock_guard lock(mutex_);
  if (!function_ || napi_call_threadsafe_function(function_, boxed, napi_tsfn_nonblocking) != napi_ok) delete boxed;
}

void Mailbox::run(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<std::function<void(napi_env)>> job(static_cast<std::function<void(napi_env)>*>(data));
  if (!env) return;  // the environment is going away
  try {
    (*job)(env);
  } catch (const Pending&) {  // an exception of the user's: Node reports it
  } catch (const Error& error) {
    throw_error(env, error);
  }
}

void Mailbox::hold(napi_env env) {
  if (held_++ == 0) napi_ref_threadsafe_function(env, function_);
}

void Mailbox::release(napi_env env) {
  if (--held_ == 0) napi_unref_threadsafe_function(env, function_);
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  if (function_) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

Network::Network(napi_env env) : mailbox(std::make_shared<Mailbox>(env)) {}

Network::~Network() {
  // Nobody will answer any more: calls fail, so that servers can end.
  mailbox->close();
  for (auto& [id, call] : calls) {
    call->failure = std::make_exception_ptr(Error(ErrorCode::kUnavailable, "the server's JavaScript has ended"));
    answer(call);
  }
  servers.clear();
}

void define_network(napi_env env, napi_value exports) {
  define<set_callbacks>(env, exports, "setCallbacks");
  define<start_fetch>(env, exports, "fetch");
  define<abort_fetch>(env, exports, "abort");
  define<respond>(env, exports, "respond");
  define<fail>(env, exports, "fail");
  define<start_server>(env, exports, "serve");
  define<stop_server>(env, exports, "stop");
  define<server_statistics>(env, exports, "statistics");
}

}  // namespace sm::js
