#pragma once

#include <boost/asio/execution_context.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/parser.hpp"
#include "io/stream.hpp"

namespace sm::http {

// A client's connection, with what it reads into.
struct Kept {
  Kept(io::Stream the_stream, const Limits& limits) : stream(std::move(the_stream)), parser(limits) {}

  io::Stream stream;
  ResponseParser parser;
  std::vector<char> input;
  std::string head;
  std::vector<boost::asio::const_buffer> output;
  bool reused = false;
  std::chrono::steady_clock::time_point expires;
};

// The idle connections of one execution context, by origin. Expired ones are
// closed when any connection comes or goes: a timer would keep the context
// from running out of work. Thread-safe.
class Pool : public boost::asio::execution_context::service {
 public:
  using key_type = Pool;
  static boost::asio::execution_context::id id;

  explicit Pool(boost::asio::execution_context& context) : service(context) {}

  // The one used last that is still open; null when there is none.
  std::unique_ptr<Kept> take(const std::string& origin);
  // Keeps it until `expires`, in place of the oldest when there are `most`.
  void put(const std::string& origin, std::unique_ptr<Kept> kept, size_t most);

 private:
  void shutdown() override;
  void drop_expired();

  std::mutex mutex_;
  std::map<std::string, std::vector<std::unique_ptr<Kept>>> idle_;  // guarded by mutex_
};

}  // namespace sm::http
