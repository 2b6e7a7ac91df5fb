#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "instance.hpp"
#include "shumai/io.hpp"

namespace sm::js {

// The way back to JavaScript's thread. Shared by whoever may still want to
// call; after close() what is posted is dropped.
class Mailbox {
 public:
  explicit Mailbox(napi_env env);
  ~Mailbox();
  // From any thread. Runs `job` on JavaScript's thread, in order.
  void post(std::function<void(napi_env)> job);
  // On JavaScript's thread: while held, the process doesn't end by itself.
  void hold(napi_env env);
  void release(napi_env env);
  void close();

 private:
  static void run(napi_env env, napi_value, void*, void* data);
  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;  // guarded by mutex_
  size_t held_ = 0;
};

// One request that waits for JavaScript's answer.
struct PendingCall {
  explicit PendingCall(const boost::asio::any_io_executor& executor) : executor(executor), answered(executor, boost::asio::steady_timer::time_point::max()) {}
  boost::asio::any_io_executor executor;
  boost::asio::steady_timer answered;  // inside the server's logic; cancelled when the answer is there
  bool done = false;                   // likewise
  io::Content content;
  bool captured = false;  // the handler stored functions or tensors on user
  bool stored = false;    // or anything at all
  std::exception_ptr failure;
};

struct Network {
  explicit Network(napi_env env);
  ~Network();

  std::shared_ptr<Mailbox> mailbox;
  napi_ref callbacks = nullptr;  // {fetched, requested, dropped}
  std::unique_ptr<io::EventLoop> loop;  // of the client; made at the first fetch
  std::unordered_map<uint32_t, std::shared_ptr<boost::asio::cancellation_signal>> fetching;
  uint32_t last_fetch = 0;
  std::map<uint32_t, std::shared_ptr<io::Server>> servers;
  uint32_t last_server = 0;
  std::unordered_map<uint32_t, std::shared_ptr<PendingCall>> calls;
  uint32_t last_call = 0;
};

}  // namespace sm::js
