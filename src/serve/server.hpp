#pragma once

#include <array>
#include <atomic>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/server.hpp"
#include "io/event_loop.hpp"
#include "io/tls.hpp"
#include "optim/guard.hpp"
#include "replicate/replica.hpp"
#include "serve/access.hpp"
#include "serve/call_context.hpp"
#include "serve/callees.hpp"
#include "serve/content.hpp"
#include "serve/history.hpp"
#include "serve/inference.hpp"
#include "serve/meters.hpp"
#include "serve/request.hpp"
#include "serve/saver.hpp"
#include "serve/store.hpp"
#include "shumai/io.hpp"

namespace sm::io {

class BatchedRoute;

// The session of a client that names itself in its tensors; empty when it doesn't.
std::string sender_of(const ShumaiMark& mark);

// A server from its first to its last byte.
//
// Threads: connections and codecs run on any of the loop's threads; handlers,
// sessions and tickets only inside `logic`, one at a time. A request goes into
// `logic` on the thread that parsed it, when nothing else is there, and out
// again without waking another.
struct Server::State {
  State(Routes routes, ServeOptions options);
  ~State();

  void start();
  // False when a handler was still computing after the grace: then its thread,
  // and with it this object, has to be waited for.
  bool stop();
  Json statistics() const;

  struct Served {
    explicit Served(Handler handler) : handler(std::move(handler)) {}
    Handler handler;
    RouteStatistics statistics;
    std::unique_ptr<ServedModel> model;  // null for a route that is none
  };
  struct Outcome {
    Content content;
    std::string session;
    std::string ticket;           // empty when none was made or used
    bool differentiable = false;  // the content has a graph
    std::exception_ptr failure;
    uint64_t version = 0;  // that has to be durable before this is told; 0: nothing
    uint64_t seen = 0;     // by the handler when it began
    uint64_t update = 0;   // as the replica counts it; 0: none
  };
  // One request on its way through `logic`.
  struct Pass {
    Served& route;
    std::string_view name;
    const http::Request& request;
    Clock::time_point begin;
    detail::Request context;
    std::shared_ptr<TicketCall> call;            // under the ticket that the request carries
    const InferenceTarget* inference = nullptr;  // what it asks for, unless it is an ordinary request
    std::string sender;                          // names the session where no header does
    std::optional<LearningStatistics::Report> report = {};
  };

  // --- server.cpp ---
  // The route by whose name a token opens this path: a model's own for its endpoints under /v2.
  std::string_view asked_route(std::string_view path);
  http::Answer receive(http::Request&& request);
  // Takes the request's coding off, and puts one on the answer.
  Task<http::Response> respond_coded(http::Request request, bool compress);
  Task<http::Response> respond(http::Request request);
  // Without a coroutine, where nothing has to be waited for: the handler is a plain function, `logic` is free, and no
  // other request is in the way. Nothing otherwise, with the request as it was.
  std::optional<http::Response> respond_at_once(http::Request& request);
  std::optional<http::Response> answer_at_once(Served& route, std::string_view name, const http::Request& request);
  static Task<http::Response> counted(RouteStatistics& statistics, Task<http::Response> answer);
  Task<http::Response> respond_to_route(Served& route, std::string_view name, http::Request request);
  http::Response compose(Served& route, const Outcome& outcome, const Content& given, const Forms& forms,
                         ShumaiMark mark);
  // What a handler may know of its request.
  void introduce(Pass& pass);
  // Enters `logic`, runs the route there, and leaves again.
  Task<Outcome> inside_logic(Served& route, std::string_view name, const http::Request& request, Content input,
                             const InferenceTarget* inference = nullptr, std::string sender = {});
  Task<> sweep_now_and_then();
  Task<> read_tokens_now_and_then();
  void save_at_stop(Clock::time_point deadline);

  // --- inference.cpp ---
  void add_models();
  // Throws Error (kNotFound).
  Served& route_of_model(std::string_view model);
  Task<http::Response> respond_inference(http::Request request);
  http::Response respond_metadata(const InferenceTarget& target);
  Task<http::Response> infer(Served& route, const InferenceTarget& target, http::Request request);

  // --- route.cpp, inside `logic` ---
  Task<Outcome> run_route(Pass& pass, Content input);
  // As run_route. Nothing when something has to be waited for.
  std::optional<Outcome> run_at_once(Pass& pass, Content& input);
  // Finds ticket and session. The outcome when the call was made before.
  Task<std::optional<Outcome>> open(Pass& pass);
  // True when the request carries a ticket.
  bool find_user(Pass& pass);
  // The call of this route under its ticket: done when it was made before, else ours to make.
  Task<std::shared_ptr<TicketCall>> claim(Pass& pass);
  // Another's; null when there is none. Throws Error (kUnprocessable) when it had another body.
  std::shared_ptr<TicketCall> earlier_call(const Pass& pass, const BodyDigest& digest);
  std::shared_ptr<TicketCall> new_call(Pass& pass, const BodyDigest& digest);
  // The stored answer of a call that is done. Throws Error (kAlreadyDone) when it isn't kept.
  Outcome replay(Pass& pass);
  // `input` as the staleness policy and the guard let it through. Throws Error (kStale, kUnprocessable).
  Content admit(Pass& pass, Content input);
  Task<Outcome> run_handler(Pass& pass, Content input);
  // Throws when the handler may not run.
  Content let_in(Pass& pass, Content input);
  Outcome run_plain(Pass& pass, Content input);
  Outcome run_sync(Pass& pass, Content input);
  Task<Outcome> run_async(Pass& pass, Content input);
  static std::exception_ptr attributed(std::string_view route, const std::exception_ptr& failure);
  Outcome conclude(Pass& pass, Content result, std::exception_ptr failure);
  // Moves the ticket on after its call. True when its step was taken.
  bool settle(Pass& pass, const Content& answer, bool failed);
  void count_refusal(const std::exception_ptr& failure);
  std::shared_ptr<const CallContext> context_for(const Pass& pass) const;

  // --- statistics.cpp ---
  // As statistics(), after the handlers' thread had a moment to tell of itself.
  Task<Json> ask_statistics();
  Json weights_statistics() const;
  void add_learning(Json& out) const;
  Json batch_statistics() const;
  Json tls_statistics() const;

  // --- replicas.cpp ---
  // Takes over the checkpoint's options, which get what the replicas know.
  CheckpointOptions with_replica_state(CheckpointOptions checkpoint);
  void make_replica();
  // Waits until the group has `update`, if it has to.
  Task<> averaged(uint64_t update);
  void weights_moved_by_others();
  Tensors replica_state() const;
  Json replica_statistics() const;

  // --- metrics.cpp ---
  http::Response respond_metrics() const;

  // --- dashboard.cpp ---
  static http::Response respond_page(const http::Request& request);
  // Without a token the page comes with the refusal, so that it can ask for one.
  http::Admission admit(const http::RequestHead& head, const http::Peer& peer);
  // What a server is doing and has done since `cursor`, which moves on: this one, or, with a `path` of numbers of
  // callees, one that it calls.
  struct Asked {
    std::string path, cursor, caller;
  };
  static Asked asked_by(const http::Request& request);
  class FeedStream;
  Task<Json> feed(Asked& asked);
  Task<Json> relayed_feed(Asked& asked) const;
  Task<http::Response> respond_feed(const http::Request& request);
  Task<http::Response> respond_stream(const http::Request& request);
  Task<> record_now_and_then();

  // --- checkpoints.cpp ---
  Task<http::Response> respond_checkpoints(const http::Request& request);
  Task<http::Response> restore(uint64_t version);
  // Null where `caller` may not see them, or there are none.
  Json checkpoints_for(const std::string& caller) const;

  Access access;
  const ServeOptions options;
  const std::string id;                  // in the path of requests
  const std::shared_ptr<TlsServer> tls;  // null without
  std::map<std::string, Served, std::less<>> routes;
  std::optional<optim::Guard> guard;
  io::EventLoop loop;
  boost::asio::strand<boost::asio::io_context::executor_type> logic;
  Store store;                              // inside `logic` only
  std::optional<replicate::Agreed> agreed;  // of the checkpoint, until the replica has it
  std::shared_ptr<Saver> saver;             // null without checkpoints
  http::Server http;
  boost::asio::steady_timer sweep_timer;        // inside `logic` only
  std::shared_ptr<replicate::Replica> replica;  // null without replicas
  boost::asio::steady_timer average_timer;      // inside `logic` only; cancelled at each average
  const std::shared_ptr<Callees> callees;       // that handlers call
  History history;
  std::atomic<int64_t> watched_until{0};  // in ticks of Clock: somebody looks at the callees, too
  std::atomic<int> watchers{0};           // streams
  std::atomic<bool> closing{false};       // streams end
  std::atomic<bool> restoring{false};

  UpdateStatistics updates;
  LearningStatistics learning;
  BatchStatistics batches;
  std::shared_ptr<BatchedRoute> batched;                                                   // null without
  std::atomic<size_t> sessions{0}, live_tickets{0}, finished_tickets{0}, ticket_bytes{0};  // copies of the store's
  std::atomic<size_t> waiting{0};     // requests on their way into `logic`
  std::atomic<bool> occupied{false};  // a plain handler runs: there is no entering `logic` at once
  std::atomic<bool> ready{false};
  const std::chrono::steady_clock::time_point started;
  uint16_t port = 0;

  mutable std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  bool stop_asked = false;  // by a signal
  bool stopping = false;
  bool stopped = false;
  bool stopped_clean = false;
  Json user_statistics;  // what options.statistics gave last
};

}  // namespace sm::io
