#pragma once

#include <any>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "shumai/autograd.hpp"
#include "shumai/content.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "shumai/serve_options.hpp"
#include "shumai/task.hpp"
#include "shumai/tensor.hpp"

namespace sm::io {

namespace detail {

struct Request;

// Converts to a T and to nothing that a T would convert to: whether a callable takes a T itself.
template <class T>
struct Only {
  operator T() const;
};

template <class T>
inline constexpr bool is_content = std::is_void_v<T> || std::is_constructible_v<Content, T>;

// Turns what a callable returned, now or by a task, into Content.
template <class R>
Task<Content> await_content(Task<R> task) {
  if constexpr (std::is_void_v<R>) {
    co_await std::move(task);
    co_return Content();
  } else {
    co_return Content(co_await std::move(task));
  }
}

// A callable on Args, sync or not, with its result as Content. What an async
// callable captured lives until its task has ended.
template <class... Args>
class Callable {
 public:
  Callable() = default;
  template <class F>
  explicit Callable(F function) {
    using R = std::invoke_result_t<F&, Args...>;
    if constexpr (sm::detail::TaskOf<R>::value) {
      static_assert(is_content<typename sm::detail::TaskOf<R>::Value>,
                    "must return a Tensor, Tensors, Json, nothing, or a Task of one of these");
      async_ = [own = std::make_shared<F>(std::move(function))](Args... args) {
        return keep_alive(own, await_content((*own)(std::forward<Args>(args)...)));
      };
    } else {
      static_assert(is_content<R>, "must return a Tensor, Tensors, Json, nothing, or a Task of one of these");
      sync_ = [own = std::make_shared<F>(std::move(function))](Args... args) -> Content {
        if constexpr (std::is_void_v<R>) {
          (*own)(std::forward<Args>(args)...);
          return Content();
        } else {
          return Content((*own)(std::forward<Args>(args)...));
        }
      };
    }
  }

  bool is_async() const { return static_cast<bool>(async_); }
  explicit operator bool() const { return sync_ || async_; }
  Content call(Args... args) const { return sync_(std::forward<Args>(args)...); }
  Task<Content> call_async(Args... args) const { return async_(std::forward<Args>(args)...); }

 private:
  static Task<Content> keep_alive(std::shared_ptr<void> own, Task<Content> task) {
    Content content = co_await std::move(task);
    own.reset();
    co_return content;
  }

  std::function<Content(Args...)> sync_;
  std::function<Task<Content>(Args...)> async_;
};

// What a handler stored on its user to be called later.
using Stored = Callable<Content>;

template <class F>
Stored make_stored(F function) {
  if constexpr (std::is_invocable_v<F&, Only<Tensor>>)
    return Stored([function = std::move(function)](Content input) mutable { return function(input.tensor()); });
  else if constexpr (std::is_invocable_v<F&, Only<Tensors>>)
    return Stored([function = std::move(function)](Content input) mutable { return function(input.tensors()); });
  else
    return Stored([function = std::move(function)](Content) mutable { return function(); });
}

template <class F>
inline constexpr bool is_storable_function =
    std::is_invocable_v<F&, Only<Tensor>> || std::is_invocable_v<F&, Only<Tensors>> || std::is_invocable_v<F&>;

}  // namespace detail

// Who is calling, as a handler sees it: a place to keep things between calls.
//
// What a forward stores belongs to the ticket that its answer carries, so each
// of many forwards in flight finds its own again when its gradient comes back.
// It is visible to the whole session as well, the latest value winning, for
// clients that send no ticket. Functions and tensors stored under a ticket are
// let go when the ticket is done or expires; other values stay with the session.
//
// Use it only inside the handler that got it, which may await.
class User {
 public:
  explicit User(detail::Request& request) : request_(request) {}
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  // The session's identifier.
  const std::string& id() const;
  // The name of the token that the request came with; empty when the server has none.
  const std::string& token() const;
  // A header of the request; empty when there is none. The name's case doesn't matter.
  std::string_view header(std::string_view name) const;
  // Whose verified certificate the client has, where ServeOptions::tls asks for
  // one: its common name, else its first URI, DNS name or mail address. Empty otherwise.
  const std::string& peer_name() const;

  // Keeps a function on nothing, a Tensor or Tensors (what it captures is the
  // usual way to save a backward pass), or any copyable value.
  template <class T>
  void set(std::string_view key, T value) {
    if constexpr (detail::is_storable_function<T>)
      store(key, detail::make_stored(std::move(value)), true);
    else if constexpr (std::is_convertible_v<T, const char*>)
      store(key, std::string(value), false);
    else
      store(key, std::move(value), std::is_same_v<T, Tensor> || std::is_same_v<T, Tensors>);
  }
  // Throws Error (kNotFound) when there is nothing under `key`,
  // kInvalidArgument when it is of another type.
  template <class T>
  T get(std::string_view key) const {
    const std::any& value = find_checked(key);
    if (const T* typed = std::any_cast<T>(&value)) return *typed;
    throw_wrong_type(key);
  }
  template <class T>
  T get(std::string_view key, T fallback) const {
    return has(key) ? get<T>(key) : std::move(fallback);
  }
  bool has(std::string_view key) const;
  void erase(std::string_view key);

  // Calls what set() stored. Throws Error (kNotFound) when there is nothing,
  // and for an async function, which call_async awaits.
  Content call(std::string_view key, Content input = {}) const;
  Task<Content> call_async(std::string_view key, Content input = {}) const;

 private:
  friend struct detail::Request;
  void store(std::string_view key, std::any value, bool owned_by_ticket);
  const std::any& find_checked(std::string_view key) const;
  [[noreturn]] void throw_wrong_type(std::string_view key) const;
  const detail::Stored& stored(std::string_view key) const;

  detail::Request& request_;
};

// Answers one route: any callable on (User&, Tensor), (User&, Tensors),
// (User&, Content) or (User&) that returns a Tensor, Tensors, Json, Content,
// nothing, or a Task of one of these.
class Handler {
 public:
  using Function = detail::Callable<User&, Content>;

  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Handler>) Handler(F function)
      : takes_names_(!std::is_invocable_v<F&, User&, detail::Only<Tensor>> &&
                     std::is_invocable_v<F&, User&, detail::Only<Tensors>>),
        function_(adapt(std::move(function))) {}

  const Function& function() const { return function_; }
  // It takes Tensors, of which a single one has a name too.
  bool takes_names() const { return takes_names_; }

 private:
  template <class F>
  static Function adapt(F function) {
    if constexpr (std::is_invocable_v<F&, User&, detail::Only<Tensor>>)
      return Function([function = std::move(function)](User& user, Content input) mutable {
        return function(user, input_tensor(input));
      });
    else if constexpr (std::is_invocable_v<F&, User&, detail::Only<Tensors>>)
      return Function([function = std::move(function)](User& user, Content input) mutable {
        return function(user, input.tensors());
      });
    else if constexpr (std::is_invocable_v<F&, User&, Content>)
      return Function([function = std::move(function)](User& user, Content input) mutable {
        return function(user, std::move(input));
      });
    else {
      static_assert(std::is_invocable_v<F&, User&>, "a handler takes (User&, Tensor), (User&, Tensors) or (User&)");
      return Function([function = std::move(function)](User& user, Content) mutable { return function(user); });
    }
  }
  // Throws Error (kInvalidArgument) when the request carried no tensor.
  static Tensor input_tensor(const Content& input);

  bool takes_names_;
  Function function_;
};

// A route's name is what follows the host in its URL, without the slash.
struct Route {
  std::string name;
  Handler handler;
};
using Routes = std::vector<Route>;

// A running server. Its handlers run one at a time, like JavaScript's, except
// across an await; everything else goes on while one computes. Destroying it
// stops it. All functions are thread-safe; stop() and the destructor must not
// be called from a handler.
class Server {
 public:
  struct State;
  explicit Server(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Server(Server&&) = default;
  Server& operator=(Server&&) = delete;
  ~Server();

  uint16_t port() const;
  // "http://127.0.0.1:3000", with https where there is TLS; or "unix:/path", whose
  // routes are "unix:/path:/route".
  std::string url() const;
  // Blocks until stop(), SIGINT or SIGTERM, then stops.
  void wait();
  // Refuses new requests, waits for running ones up to the grace, ends.
  void stop();
  // What /statistics answers.
  Json statistics() const;
  // What a checkpoint has to hold beside the weights, for who writes it by
  // CheckpointOptions::ask_state; within ReplicaOptions::run. Empty without replicas.
  Tensors replica_state() const;

 private:
  std::shared_ptr<State> state_;
};

// Serves `routes` until the returned server is stopped or destroyed. Throws
// Error for a port that can't be had (kConnection), a route named twice or
// like one of the server's own (/health, /statistics), or a hostname that
// needs `insecure` (kInvalidArgument).
[[nodiscard]] Server serve(Routes routes, ServeOptions options = {});

// How a client writes tensors, and asks for them: see docs/wire.md.
enum class Wire : uint8_t {
  kSafetensors,
  // float32 is rounded to two bytes on the way, both ways, and is float32 again
  // for the receiver. bfloat16 keeps the range, with 8 bits of precision;
  // float16 has 11, up to 65504: beyond that the call fails, and what is below
  // 6e-8 is lost.
  kBf16,
  kF16,
  // The original Shumai's, for its servers: one float32 tensor each way. They
  // know no tickets: a gradient goes to the last forward of the same `id`.
  kShumai,
};

enum class Compression : uint8_t {  // of the bodies of requests and answers
  kNone,
  kZstd,  // requests that get smaller by it, and answers when the server can
};

// How a client speaks TLS, for https:// URLs. Files are PEM, and are read
// again when they change.
struct ClientTlsOptions {
  // Whom to trust instead of the system's certificate authorities.
  sm::detail::FrameSafe<std::string> ca_file = {};
  // The client's own certificate, and those between it and its root, for
  // servers that want one; and its key, without a passphrase.
  sm::detail::FrameSafe<std::string> cert_file = {};
  sm::detail::FrameSafe<std::string> key_file = {};
  // The name or address in the server's certificate, when it isn't the URL's host.
  sm::detail::FrameSafe<std::string> server_name = {};
};

struct FetchOptions {
  // Makes the answer part of the local graph: gets the gradient of the answer,
  // and may return the gradient of the input. See GradFn.
  sm::detail::FrameSafe<GradFn> grad_fn = {};
  // From the call to its end, retries included. The server drops a request
  // that waited longer than that for its turn.
  std::chrono::milliseconds timeout{60'000};
  // For how long failures that another attempt may cure are retried: the
  // server can't be reached, or answers 429 or 503; and, for requests that may
  // be repeated, the connection breaks or a gateway answers 502 or 504. Waits double from 25 ms to 2 s, each between
  // half of that and all of it by chance, and come after what Retry-After asks
  // for. A server that never answered this process is waited for 5 s at most.
  std::chrono::milliseconds retry_for{10'000};
  // Running the request twice does no harm. True in any case of one with a
  // ticket, which runs once, of one without a body and of one with a grad_fn.
  bool repeatable = false;
  // Further headers, "name: value".
  sm::detail::FrameSafe<std::vector<std::pair<std::string, std::string>>> headers = {};
  // Sent as "Authorization: Bearer TOKEN". Nothing that the request leads to sends it on.
  sm::detail::FrameSafe<std::string> token = {};
  Wire wire = Wire::kSafetensors;
  Compression compress = Compression::kNone;
  // For Wire::kShumai: who the server takes this client for, in hexadecimal digits; empty: this process.
  sm::detail::FrameSafe<std::string> id = {};
  ClientTlsOptions tls = {};
};

// Sends a tensor (or nothing) to a route and returns the tensor that it
// answers, undefined when it answers nothing. The gradient of an answer, sent
// back to the same server, carries the answer's ticket by itself. Throws Error
// with the server's message and code; kConnection and kTimeout when there is
// no answer.
Task<Tensor> tfetch(std::string url, Tensor input = {}, FetchOptions options = {});

// The same for named tensors, both ways; grad_fn isn't supported here.
Task<Tensors> tfetch(std::string url, Tensors inputs, FetchOptions options = {});

// The same for any content, such as a route that answers JSON.
Task<Content> fetch(std::string url, Content input = {}, FetchOptions options = {});

// --- Whole models ---

// A served model's function: any callable from Tensor to Tensor or Task<Tensor>.
// An nn::Module, or what has state() like one, says its named tensors as well,
// and an nn::JsonModel what it is made of.
class Model {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Model>) Model(F function) {
    if constexpr (requires(const F& f) {
                    { f.state() } -> std::convertible_to<Tensors>;
                  })
      state_ = [function] { return function.state(); };
    if constexpr (requires(const F& f) {
                    { f.description() } -> std::convertible_to<const Json&>;
                  })
      description_ = function.description().dump();
    function_ = detail::Callable<Tensor>(std::move(function));
  }
  const detail::Callable<Tensor>& function() const { return function_; }
  // Empty for a plain function.
  const std::function<Tensors()>& state() const { return state_; }
  // JSON text; empty for a model that doesn't say.
  const std::string& description() const { return description_; }

 private:
  detail::Callable<Tensor> function_;
  std::function<Tensors()> state_;
  std::string description_;
};

// Applies the gradients of the model's weights: any callable on Gradients, such
// as optim::sgd. An optim::Optimizer, or what has state() and load_state() like
// one, can be saved as well.
class Update {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Update> && std::is_invocable_v<F&, const Gradients&>)
      Update(F function) {
    if constexpr (requires(const F& f, const Tensors& weights, const Tensors& state) {
                    { f.state(weights) } -> std::convertible_to<Tensors>;
                    f.load_state(state, weights);
                  }) {
      state_ = [function](const Tensors& weights) { return function.state(weights); };
      load_state_ = [function](const Tensors& state, const Tensors& weights) { function.load_state(state, weights); };
    }
    if constexpr (requires(const F& f) {
                    { f.is_additive() } -> std::convertible_to<bool>;
                  })
      is_additive_ = [function] { return function.is_additive(); };
    function_ = std::move(function);
  }

  explicit operator bool() const { return static_cast<bool>(function_); }
  void operator()(const Gradients& gradients) const { function_(gradients); }
  // Known to be so, as Optimizer::is_additive().
  bool is_additive() const { return is_additive_ && is_additive_(); }
  bool has_state() const { return static_cast<bool>(state_); }
  Tensors state(const Tensors& weights) const { return state_(weights); }
  void load_state(const Tensors& state, const Tensors& weights) const { load_state_(state, weights); }

 private:
  std::function<void(const Gradients&)> function_;
  std::function<bool()> is_additive_;
  std::function<Tensors(const Tensors& weights)> state_;
  std::function<void(const Tensors& state, const Tensors& weights)> load_state_;
};

// Serves `model` at /forward, and at /optimize what takes the gradient of a
// forward's answer back through it, calls `update` with the gradients of the
// weights, and answers the gradient of the input. `routes` adds others.
//
// With options.checkpoint.directory alone, the checkpoint holds what `model`
// and `update` say of themselves: a Module's parameters and buffers, and an
// optimizer's memory under "optimizer.". Throws Error (kInvalidArgument) when
// the model is a plain function and checkpoint.weights is empty.
//
// With options.batch.max above 1, what several clients send runs as one: see BatchOptions.
[[nodiscard]] Server serve_model(Model model, Update update, ServeOptions options = {}, Routes routes = {});

struct RemoteModelOptions {
  // Where gradients go; default: `url` + "/optimize".
  sm::detail::FrameSafe<std::string> backward_url = {};
  // As FetchOptions::token.
  sm::detail::FrameSafe<std::string> token = {};
  // For `backward_url`; default: `token` when it is on the same server, else none.
  sm::detail::FrameSafe<std::string> backward_token = {};
  std::chrono::milliseconds timeout{60'000};
  // As FetchOptions::retry_for, for as long as a server may take to come back.
  std::chrono::milliseconds retry_for{60'000};
  // Called instead of throwing when a forward, or the way back of a gradient,
  // has failed for good. What it returns takes the place of the answer; it may
  // throw itself.
  sm::detail::FrameSafe<std::function<Tensor(const Error&)>> error_handler = {};
  // The server is told the loss with each gradient, for its dashboard: the value
  // of the tensor that backward_async() was called on, when it has one element,
  // and how many gradients this RemoteModel has sent.
  bool report_loss = false;
  // As in FetchOptions.
  Wire wire = Wire::kSafetensors;
  Compression compress = Compression::kNone;
  sm::detail::FrameSafe<std::string> id = {};
  ClientTlsOptions tls = {};
};

// A model behind a server (serve_model, or one with the same routes) as if it
// were a local function: co_await model(x), then co_await loss.backward_async().
// When the server has forgotten the forward by the time of the gradient (it was
// restarted, say, or finds it stale), the forward is repeated with the input,
// which is kept for that, and the gradient goes to the new one: training goes
// on, a step later. Copies share nothing and may be used from several tasks at once.
class RemoteModel {
 public:
  explicit RemoteModel(std::string url, RemoteModelOptions options = {});
  // Throws as tfetch does.
  Task<Tensor> operator()(Tensor input) const;

 private:
  std::string forward_url_;
  std::string backward_url_;
  std::string token_, backward_token_;
  std::chrono::milliseconds timeout_, retry_for_;
  std::function<Tensor(const Error&)> error_handler_;
  std::shared_ptr<std::atomic<uint64_t>> steps_;  // null: the loss isn't told
  Wire wire_;
  Compression compress_;
  std::string id_;
  ClientTlsOptions tls_;
};

inline RemoteModel remote_model(std::string url, RemoteModelOptions options = {}) {  // the model that `url` serves
  return RemoteModel(std::move(url), std::move(options));
}

}  // namespace sm::io

namespace sm {
using io::User;
namespace network = io;  // by either name, as in JavaScript
}  // namespace sm
