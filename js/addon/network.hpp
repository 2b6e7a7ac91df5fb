#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/held.hpp"
#include "gate.hpp"
#include "instance.hpp"
#include "learner.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"

namespace sm::js {

// The way back to JavaScript's thread. Shared by whoever may still want to
// call; once the environment goes away, what is posted is destroyed unrun.
class Mailbox {
 public:
  static std::shared_ptr<Mailbox> make(napi_env env);
  // From any thread. Runs `job` on JavaScript's thread, in order.
  void post(std::function<void(napi_env)> job);
  // On JavaScript's thread: while held, the process doesn't end by itself.
  void hold(napi_env env);
  void release(napi_env env);
  // What is posted from now on is dropped, and so is, oldest first, what hasn't run.
  void close();

 private:
  static void run(napi_env env, napi_value, void*, void* data);
  std::function<void(napi_env)> next();

  std::mutex mutex_;
  // Guarded by mutex_:
  napi_threadsafe_function function_ = nullptr;
  std::deque<std::function<void(napi_env)>> jobs_;
  size_t held_ = 0;
};

// One request that waits for JavaScript's answer.
struct PendingCall {
  PendingCall(const boost::asio::any_io_executor& executor, std::shared_ptr<Gate> gate, uint32_t server,
              bool makes_ticket)
      : executor(executor),
        gate(std::move(gate)),
        server(server),
        makes_ticket(makes_ticket),
        answered(executor, boost::asio::steady_timer::time_point::max()) {}
  boost::asio::any_io_executor executor;
  std::shared_ptr<Gate> gate;
  uint32_t server;
  bool makes_ticket;                   // the request carries none, so an answer with a graph gets one
  boost::asio::steady_timer answered;  // inside the server's logic; cancelled when the answer is there
  bool done = false;                   // likewise
  io::Content content;
  bool captured = false;                // the handler stored functions or tensors on user
  bool stored = false;                  // or anything at all
  bool moved = false;                   // a weight of the server's checkpoints was updated
  std::optional<double> gradient_norm;  // of the update
  // What ran in batches that began with this call, to be counted with its end.
  std::vector<std::pair<std::string, uint64_t>> batches;
  std::vector<HeldBlock> held;
  std::exception_ptr failure;
};

// What the caller adds to /statistics, as JavaScript told it last. It is asked
// anew each time, and waited for only briefly: it may be busy for long.
struct Entries {
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  Json last;
  std::string failure;  // of the last time; empty when there was none
  bool asking = false;
};

// The server of a call of serve().
struct ScriptServer {
  std::shared_ptr<Gate> gate;
  std::unique_ptr<Learner> learner;  // null without checkpoints
  std::shared_ptr<Entries> entries;  // null without the caller's statistics
  std::unique_ptr<io::Server> server;
  std::thread stopper;  // while it stops
};

struct Network {
  explicit Network(napi_env env);
  ~Network();
  // Waits until it has stopped, and forgets it.
  void end_server(uint32_t id);

  std::shared_ptr<Mailbox> mailbox;
  napi_ref callbacks = nullptr;         // {fetched, requested, dropped, askStatistics, tellState, loadState}
  std::unique_ptr<io::EventLoop> loop;  // of the client; made at the first fetch
  std::unordered_map<uint32_t, std::shared_ptr<boost::asio::cancellation_signal>> fetching;
  uint32_t last_fetch = 0;
  std::map<uint32_t, ScriptServer> servers;
  uint32_t last_server = 0;
  std::unordered_map<uint32_t, std::shared_ptr<PendingCall>> calls;
  uint32_t last_call = 0;
};

Network& network(napi_env env);

// Content from (kind, data): "tensor" and a handle, "tensors" and [[name, handle], ...], "json" and its text.
io::Content to_content(napi_env env, napi_value kind, napi_value data, bool with_graph_mark);
// The way back. What it makes has to be wrapped before anything else runs.
void from_content(napi_env env, const io::Content& content, napi_value* kind, napi_value* data);

// Calls one of the functions that JavaScript registered. Throws Pending when it throws.
napi_value call_back(napi_env env, const char* name, std::initializer_list<napi_value> arguments);

// The exception being handled, as ours.
Error current_error();
void answer(const std::shared_ptr<PendingCall>& call, std::exception_ptr failure);

}  // namespace sm::js
