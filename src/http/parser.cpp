#include "http/parser.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cctype>
#include <functional>
#include <optional>
#include <string>

#include "http/body_buffer.hpp"
#include "shumai/error.hpp"

namespace sm::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using beast::string_view;

std::string_view view(string_view text) { return {text.data(), text.size()}; }

// Beast's grammar with our own sink. Its callbacks throw what they refuse.
template <bool kRequest>
class Sink final : public beast::http::basic_parser<kRequest> {
 public:
  explicit Sink(const Limits& limits) : max_headers_(limits.max_headers) {
    this->header_limit(static_cast<uint32_t>(std::min<size_t>(limits.max_header_bytes, UINT32_MAX)));
    this->body_limit(limits.max_body_bytes);
  }

  std::string method, target;
  int version = 11;
  int status = 0;
  Headers headers;
  BodyBuffer body;
  uint64_t chunk_left = 0;
  const char* input_end = nullptr;  // of the bytes being parsed

 private:
  using Field = beast::http::field;

  void on_request_impl(beast::http::verb, string_view name, string_view to, int http_version, error_code&) override {
    method.assign(name.data(), name.size());
    target.assign(to.data(), to.size());
    version = http_version;
  }

  void on_response_impl(int code, string_view, int http_version, error_code&) override {
    status = code;
    version = http_version;
  }

  void on_field_impl(Field field, string_view name, string_view value, error_code&) override {
    if (++fields_ > max_headers_)
      throw Error(ErrorCode::kHeadersTooLarge, "http: more than " + std::to_string(max_headers_) + " header fields");
    if (folded(name, value)) throw Error(ErrorCode::kProtocol, "http: a folded header line");
    if (in_body_) return;  // trailers are dropped
    if (field == Field::transfer_encoding && (version < 11 || !iequals(view(value), "chunked")))
      throw Error(ErrorCode::kProtocol, "http: the only Transfer-Encoding taken is chunked, in HTTP/1.1");
    headers.add_checked(view(name), view(value));
  }

  // Beast joins folded lines in a buffer of its own, or skips an empty first
  // one: in both cases more than blanks lie between the name and the value.
  bool folded(string_view name, string_view value) const {
    const char* from = name.data() + name.size() + 1;
    const std::less<const char*> before;
    if (before(value.data(), from) || before(input_end, value.data())) return true;
    return std::find(from, value.data(), '\r') != value.data();
  }

  void on_header_impl(error_code&) override {
    in_body_ = true;
    if constexpr (kRequest) {
      const size_t hosts = headers.count("Host");
      if (hosts > 1 || (hosts == 0 && version >= 11))
        throw Error(ErrorCode::kProtocol, "http: expected one Host header, got " + std::to_string(hosts));
    }
  }

  void on_chunk_header_impl(uint64_t size, string_view, error_code&) override { chunk_left = size; }

  size_t on_chunk_body_impl(uint64_t, string_view bytes, error_code&) override {
    body.append(view(bytes));
    chunk_left -= bytes.size();
    return bytes.size();
  }

  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view bytes, error_code&) override { return bytes.size(); }
  void on_finish_impl(error_code&) override {}

  const size_t max_headers_;
  size_t fields_ = 0;
  bool in_body_ = false;
};

[[noreturn]] void refuse(const error_code& failed, const Limits& limits) {
  using beast::http::error;
  if (failed == error::body_limit)
    throw Error(ErrorCode::kTooLarge, "http: the body is over the limit of " + std::to_string(limits.max_body_bytes) +
                                          " bytes (max_body_bytes)");
  if (failed == error::header_limit)
    throw Error(ErrorCode::kHeadersTooLarge, "http: the header is over the limit of " +
                                                 std::to_string(limits.max_header_bytes) + " bytes (max_header_bytes)");
  throw Error(ErrorCode::kProtocol, "http: " + failed.message());
}

// A whole line that says the size of a chunk, after the end of the one before. Beast asks for more behind it when a
// quote in the chunk's extension isn't closed, and then counts the size once for each time that it is asked.
bool begins_chunk(std::string_view bytes) {
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  const size_t digit = line.find_first_not_of('0');
  return line.size() < bytes.size() && digit < line.size() && std::isxdigit(static_cast<unsigned char>(line[digit]));
}

// One message at a time. Beast reads headers and chunk framing; a body of
// known length, or one that ends with the connection, bypasses it.
template <bool kRequest>
class Machine {
 public:
  enum class Stage { kHeader, kSized, kChunked, kToEnd, kDone };

  explicit Machine(const Limits& limits) : limits_(limits) { restart(); }

  void restart() {
    // Strings that the last message left are written to again.
    std::string method, target;
    Headers headers;
    if (sink_) {
      method = std::move(sink_->method);
      target = std::move(sink_->target);
      headers = std::move(sink_->headers);
      headers.clear();
    }
    sink_.emplace(limits_);
    sink_->method = std::move(method);
    sink_->target = std::move(target);
    sink_->headers = std::move(headers);
    stage_ = Stage::kHeader;
    header_bytes_ = 0;
  }

  size_t feed(std::string_view bytes) {
    size_t used = 0;
    if (stage_ == Stage::kHeader) used += feed_header(bytes);
    if (stage_ == Stage::kSized) used += feed_sized(bytes.substr(used));
    if (stage_ == Stage::kChunked) used += feed_chunked(bytes.substr(used));
    if (stage_ == Stage::kToEnd) used += feed_to_end(bytes.substr(used));
    return used;
  }

  std::span<char> space() { return stage_ == Stage::kSized ? sink_->body.space() : std::span<char>(); }

  void commit(size_t bytes) {
    sink_->body.commit(bytes);
    if (sink_->body.missing() == 0) stage_ = Stage::kDone;
  }

  void feed_end() {
    if (stage_ == Stage::kToEnd) stage_ = Stage::kDone;
    if (stage_ != Stage::kDone)
      throw Error(ErrorCode::kConnection, started() ? "the connection closed in the middle of a message"
                                                    : "the connection closed before a message came");
  }

  Stage stage() const noexcept { return stage_; }
  Sink<kRequest>& sink() noexcept { return *sink_; }
  bool started() const noexcept { return sink_->got_some(); }

 private:
  // Beast returns at each boundary, and counts a limit from there on.
  size_t put(std::string_view bytes, error_code& error) {
    sink_->input_end = bytes.data() + bytes.size();
    return sink_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  }

  size_t feed_header(std::string_view bytes) {
    size_t used = 0;
    // RFC 9112, 2.2: an empty line before a request is ignored.
    if (kRequest && header_bytes_ == 0 && bytes.starts_with("\r\n")) used = header_bytes_ = 2;
    if (kRequest && !sink_->got_some() && bytes.substr(used) == "\r") return used;
    error_code error;
    const size_t taken = used < bytes.size() ? put(bytes.substr(used), error) : 0;
    used += taken;
    header_bytes_ += taken;
    const bool more = error == beast::http::error::need_more;
    if (error && !more) refuse(error, limits_);
    if (header_bytes_ + (more ? bytes.size() - used : 0) > limits_.max_header_bytes)
      refuse(beast::http::error::header_limit, limits_);
    if (sink_->is_header_done()) begin_body();
    return used;
  }

  void begin_body() {
    if (sink_->is_done()) {
      stage_ = Stage::kDone;
    } else if (sink_->chunked()) {
      stage_ = Stage::kChunked;
    } else if (const auto length = sink_->content_length()) {
      sink_->body.expect(*length);
      stage_ = Stage::kSized;
    } else {
      stage_ = Stage::kToEnd;
    }
  }

  size_t feed_sized(std::string_view bytes) {
    const size_t taken = static_cast<size_t>(std::min<uint64_t>(bytes.size(), sink_->body.missing()));
    sink_->body.append(bytes.substr(0, taken));
    commit(0);
    return taken;
  }

  size_t feed_chunked(std::string_view bytes) {
    size_t used = 0;
    while (!sink_->is_done()) {
      const std::string_view rest = bytes.substr(used);
      // No chunked body ends in fewer than five bytes, and Beast asserts that
      // it isn't asked about the end with fewer.
      if (rest.size() < (sink_->chunk_left ? 1 : 5)) return used;
      error_code error;
      used += put(rest, error);
      if (error == beast::http::error::need_more) {
        if (sink_->chunk_left == 0 && begins_chunk(bytes.substr(used)))
          refuse(beast::http::error::bad_chunk_extension, limits_);
        if (bytes.size() - used > limits_.max_header_bytes) refuse(beast::http::error::header_limit, limits_);
        return used;
      }
      if (error) refuse(error, limits_);
    }
    stage_ = Stage::kDone;
    return used;
  }

  size_t feed_to_end(std::string_view bytes) {
    if (bytes.size() > limits_.max_body_bytes - sink_->body.size()) refuse(beast::http::error::body_limit, limits_);
    sink_->body.append(bytes);
    return bytes.size();
  }

  const Limits limits_;
  std::optional<Sink<kRequest>> sink_;
  Stage stage_ = Stage::kHeader;
  size_t header_bytes_ = 0;
};

}  // namespace

struct RequestParser::State : Machine<true> {
  using Machine::Machine;
};

RequestParser::RequestParser(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser::~RequestParser() = default;

size_t RequestParser::feed(std::string_view bytes) { return state_->feed(bytes); }
std::span<char> RequestParser::space() { return state_->space(); }
void RequestParser::commit(size_t bytes) { state_->commit(bytes); }
bool RequestParser::started() const noexcept { return state_->started(); }
bool RequestParser::header_done() const noexcept { return state_->stage() != State::Stage::kHeader; }
bool RequestParser::done() const noexcept { return state_->stage() == State::Stage::kDone; }
size_t RequestParser::body_received() const noexcept { return state_->sink().body.size(); }

bool RequestParser::expects_continue() const noexcept {
  if (!header_done() || done()) return false;
  const auto& sink = state_->sink();
  return sink.version >= 11 && sink.body.size() == 0 && iequals(sink.headers.get("Expect"), "100-continue");
}

std::optional<uint64_t> RequestParser::body_missing() const noexcept {
  if (done()) return 0;
  if (state_->stage() != State::Stage::kSized) return std::nullopt;
  return state_->sink().body.missing();
}

RequestHead RequestParser::head() const noexcept {
  const auto& sink = state_->sink();
  return {sink.method, sink.target, sink.headers};
}

void RequestParser::take(Request& request) {
  auto& sink = state_->sink();
  std::swap(request.method, sink.method);
  std::swap(request.target, sink.target);
  std::swap(request.headers, sink.headers);
  request.body = sink.body.take();
  request.version = sink.version;
  request.keep_alive = sink.keep_alive();
  request.caller.clear();
  state_->restart();
}

Request RequestParser::take() {
  Request request;
  take(request);
  return request;
}

struct ResponseParser::State : Machine<false> {
  using Machine::Machine;
};

ResponseParser::ResponseParser(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser::~ResponseParser() = default;

void ResponseParser::expect_no_body() { state_->sink().skip(true); }
size_t ResponseParser::feed(std::string_view bytes) { return state_->feed(bytes); }
void ResponseParser::feed_end() { state_->feed_end(); }
std::span<char> ResponseParser::space() { return state_->space(); }
void ResponseParser::commit(size_t bytes) { state_->commit(bytes); }
bool ResponseParser::started() const noexcept { return state_->started(); }
bool ResponseParser::done() const noexcept { return state_->stage() == State::Stage::kDone; }
bool ResponseParser::keep_alive() const noexcept { return state_->sink().keep_alive(); }

Response ResponseParser::take() {
  auto& sink = state_->sink();
  Response response;
  response.status = sink.status;
  response.headers = std::move(sink.headers);
  response.body = sink.body.take();
  state_->restart();
  return response;
}

}  // namespace sm::http
