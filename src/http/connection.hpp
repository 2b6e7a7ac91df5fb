#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/parser.hpp"
#include "http/server.hpp"
#include "http/watch.hpp"
#include "io/stream.hpp"

namespace sm::http {

// What a server and its connections share.
struct ServerState {
  ServerState(boost::asio::io_context& context, Handler handler, const Limits& limits, Admit admit);

  boost::asio::io_context& context;
  const Handler handler;
  const Admit admit;  // may be empty
  const Limits limits;
  ServerStatistics statistics;
  std::atomic<bool> stopping{false};
  const std::shared_ptr<Watcher> watcher;

  std::mutex mutex;
  std::vector<int> listeners;             // descriptors, guarded by mutex
  std::vector<std::string> socket_files;  // guarded by mutex
};

// One accepted connection. Its coroutine is the only one to touch it, whatever
// thread that runs on; others reach it through its Watch.
class Connection {
 public:
  Connection(std::shared_ptr<ServerState> server, io::Stream stream, std::string peer);
  ~Connection();

  static Task<> run(std::unique_ptr<Connection> self);

 private:
  // What the connection does next.
  enum class Next : uint8_t { kRead, kContinue, kAnswer, kEnd };
  // Counts a request among those that run.
  class Slot {
   public:
    explicit Slot(std::atomic<size_t>& count) : count_(count), before(count.fetch_add(1)) {}
    ~Slot() { --count_; }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    std::atomic<size_t>& count_;

   public:
    const size_t before;
  };

  Task<bool> handshake();
  Task<> converse();
  Task<> wait_for(Task<Response> answer);
  Task<bool> write(std::string_view head, const Body& body);
  Task<bool> write_rest();
  Task<bool> write_stream();
  Task<> refuse();
  Task<> linger();

  Next advance();
  void parse();
  bool admit();
  bool enter_reading();
  std::span<char> read_space();
  bool received(size_t bytes, const io::ErrorInfo& error);
  std::optional<Task<Response>> begin_answer();
  bool begin_write();
  bool try_write();
  void count(const Response& response);

  const std::shared_ptr<ServerState> server_;
  io::Stream stream_;
  const std::shared_ptr<Peer> peer_;
  Watch watch_;
  RequestParser parser_;

  std::vector<char> input_;  // bytes [begin_, end_) wait to be parsed
  size_t begin_ = 0;
  size_t end_ = 0;
  bool into_body_ = false;  // the last read_space() was the body's own

  bool first_ = true;
  bool broken_ = false;  // the stream failed or ended
  bool refused_tls_ = false;
  bool continued_ = false;  // "100 Continue" has been sent
  Phase reading_ = Phase::kIdle;
  std::chrono::steady_clock::time_point body_start_;

  Request request_;  // being answered; its memory is used again
  bool head_only_ = false;
  bool keep_alive_ = true;
  std::optional<Slot> slot_;
  Response response_;
  std::span<char> into_;  // where the next bytes go

  std::string head_;
  std::vector<boost::asio::const_buffer> output_;
  std::span<boost::asio::const_buffer> rest_;  // of output_, to be written
  bool admitted_ = false;                      // admission_ is the current request's
  Admission admission_;
  std::optional<Response> refusal_;
};

}  // namespace sm::http
