#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <charconv>
#include <initializer_list>
#include <mutex>

#include "replicate/rendezvous.hpp"
#include "shumai/error.hpp"

namespace sm::replicate {
namespace {

struct Place {
  std::string password, host;
  int port = 6379, database = 0;
};

int number(std::string_view text, int most) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most)
    throw Error(ErrorCode::kInvalidArgument, "replicas: rendezvous: \"" + std::string(text) +
                                                 "\" isn't a number up to " + std::to_string(most) +
                                                 " in redis://[:PASSWORD@]HOST[:PORT][/DATABASE]");
  return value;
}

Place parse(const std::string& url) {
  Place place;
  std::string_view rest(url);
  rest.remove_prefix(std::string_view("redis://").size());
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    place.password = user.substr(user.find(':') == std::string_view::npos ? user.size() : user.find(':') + 1);
    rest.remove_prefix(at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size()) place.database = number(rest.substr(slash + 1), 1 << 20);
    rest = rest.substr(0, slash);
  }
  // An IPv6 address has brackets.
  const size_t end = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
  const size_t colon = rest.find(':', end == std::string_view::npos ? 0 : end);
  if (colon != std::string_view::npos) place.port = number(rest.substr(colon + 1), 65535);
  place.host = end == std::string_view::npos ? rest.substr(0, colon) : rest.substr(1, end - 1);
  if (place.host.empty())
    throw Error(ErrorCode::kInvalidArgument, "replicas: rendezvous: redis:// needs a host, as redis://10.0.0.1:6379");
  return place;
}

// One connection, made again when it breaks.
class Redis final : public Rendezvous {
 public:
  Redis(Place place, std::string prefix, std::chrono::milliseconds timeout)
      : place_(std::move(place)), prefix_(std::move(prefix)), timeout_(timeout) {}

  void put(const std::string& name, std::string_view value) override { run({"SET", prefix_ + name, value}); }

  bool put_new(const std::string& name, std::string_view value) override {
    return run({"SET", prefix_ + name, value, "NX"})->type != REDIS_REPLY_NIL;
  }

  std::optional<std::string> get(const std::string& name) override {
    const Reply reply = run({"GET", prefix_ + name});
    if (reply->type != REDIS_REPLY_STRING) return std::nullopt;
    if (reply->len > kMaxValue)
      throw Error(ErrorCode::kProtocol,
                  "replicas: rendezvous: \"" + name + "\" is larger than any that replicas write");
    return std::string(reply->str, reply->len);
  }

  std::vector<std::string> list(const std::string& folder) override {
    const std::string begin = prefix_ + folder + "/";
    std::vector<std::string> names;
    for (const std::string& key : keys(begin))
      if (is_word(std::string_view(key).substr(begin.size()))) names.push_back(key.substr(begin.size()));
    return names;
  }

  void remove(const std::string& name) override {
    run({"DEL", prefix_ + name});
    for (const std::string& key : keys(prefix_ + name + "/")) run({"DEL", key});
  }

 private:
  struct Free {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
    void operator()(redisContext* context) const { redisFree(context); }
  };
  using Reply = std::unique_ptr<redisReply, Free>;

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorCode::kConnection,
                "replicas: rendezvous: Redis at " + place_.host + ":" + std::to_string(place_.port) + ": " + why);
  }

  std::vector<std::string> keys(const std::string& begin) {
    std::vector<std::string> found;
    std::string cursor = "0";
    do {
      const Reply reply = run({"SCAN", cursor, "MATCH", begin + "*", "COUNT", "1000"});
      if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
          reply->element[1]->type != REDIS_REPLY_ARRAY)
        throw Error(ErrorCode::kProtocol, "replicas: rendezvous: Redis answered SCAN in a way of its own");
      cursor.assign(reply->element[0]->str, reply->element[0]->len);
      for (size_t i = 0; i < reply->element[1]->elements; ++i) {
        const redisReply* key = reply->element[1]->element[i];
        if (key->type == REDIS_REPLY_STRING && std::string_view(key->str, key->len).starts_with(begin))
          found.emplace_back(key->str, key->len);
      }
    } while (cursor != "0");
    return found;
  }

  Reply run(std::initializer_list<std::string_view> words) {
    const std::lock_guard lock(mutex_);
    // A connection that stood idle may be gone: once more with a new one. All commands may run twice, but for a SET NX
    // whose first run succeeded: then nobody has the name, and another is tried.
    for (const bool last : {false, true}) {
      if (!connection_) connect();
      if (Reply reply = send(words)) return reply;
      const std::string why = connection_->errstr;
      connection_.reset();
      if (last) fail(why);
    }
    fail("unreachable");
  }

  Reply send(std::initializer_list<std::string_view> words) const {
    std::vector<const char*> data;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
      data.push_back(word.data());
      sizes.push_back(word.size());
    }
    Reply reply(static_cast<redisReply*>(
        redisCommandArgv(connection_.get(), static_cast<int>(data.size()), data.data(), sizes.data())));
    if (reply && reply->type == REDIS_REPLY_ERROR) fail(std::string(reply->str, reply->len));
    return reply;
  }

  void connect() {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout_);
    const timeval limit{seconds.count(), std::chrono::microseconds(timeout_ - seconds).count()};
    connection_.reset(redisConnectWithTimeout(place_.host.c_str(), place_.port, limit));
    if (!connection_) fail("no memory");
    if (connection_->err) {
      const std::string why = connection_->errstr;
      connection_.reset();
      fail(why);
    }
    redisSetTimeout(connection_.get(), limit);
    if (!place_.password.empty()) greet({"AUTH", place_.password});
    if (place_.database != 0) greet({"SELECT", std::to_string(place_.database)});
  }

  void greet(std::initializer_list<std::string_view> words) {
    try {
      if (!send(words)) fail(connection_->errstr);
    } catch (...) {
      connection_.reset();
      throw;
    }
  }

  const Place place_;
  const std::string prefix_;
  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::unique_ptr<redisContext, Free> connection_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<Rendezvous> open_redis(const std::string& url, const std::string& group,
                                       std::chrono::milliseconds timeout) {
  return std::make_unique<Redis>(parse(url), "shumai/" + group + "/", timeout);
}

}  // namespace sm::replicate
