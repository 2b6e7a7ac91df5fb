#include "cli/load.hpp"

#include <charconv>

#include "cli/access.hpp"
#include "cli/usage.hpp"
#include "codec/json_tensor.hpp"
#include "codec/safetensors.hpp"
#include "codec/shumai_binary.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::cli {
namespace {

Shape shape_of(const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int64_t size = 0;
    const auto [next, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 0 || (next != end && (*next != ',' || next + 1 == end)))
      throw UsageError("--shape must be sizes such as 1,784, got \"" + text + "\"");
    shape.push_back(size);
    at = next == end ? end : next + 1;
  }
  return shape;
}

Tensor input_of(const BenchArguments& arguments) {
  const Shape shape = shape_of(arguments.shape);
  try {
    const DType dtype = dtype_from_name(arguments.dtype);
    // Integers are small, so that an embedding takes them.
    return is_floating(dtype) ? rand(shape).astype(dtype) : zeros(shape, dtype);
  } catch (const Error& error) {
    throw UsageError("--dtype: " + std::string(error.what()));
  }
}

std::string type_of(const std::string& format) {
  if (format == "json") return "application/json";
  return format == "binary" ? "application/octet-stream" : "application/x-safetensors";
}

http::Body encode(const Tensor& tensor, const std::string& format) {
  if (format == "json") return http::copy_body(codec::encode_json(tensor));
  if (format == "binary") return codec::encode_shumai_binary({.tensor = tensor});
  return codec::encode_safetensors(tensor);
}

// The first tensor of an answer.
Tensor decode(const http::Body& body, const std::string& format) {
  if (http::body_size(body) == 0) throw Error(ErrorCode::kProtocol, "the forward answered nothing");
  if (format == "json") return codec::decode_json(http::body_text(body)).at(0).second;
  const util::Slice& bytes = body[0];
  const util::BufferRef copy = util::Buffer::allocate(bytes.size);
  std::copy_n(static_cast<const std::byte*>(static_cast<const void*>(bytes.data)), bytes.size, copy->data());
  if (format == "binary") return codec::decode_shumai_binary(copy, 0, bytes.size).tensor;
  return codec::decode_safetensors(copy, 0, bytes.size).at(0).second;
}

std::string name_of(const Error& error) {
  return error.code() == ErrorCode::kTimeout      ? "timeout"
         : error.code() == ErrorCode::kConnection ? "connection"
                                                  : "answer";
}

std::shared_ptr<io::TlsClient> tls_of(const Access& access) {
  if (access.ca.empty() && access.cert.empty()) return nullptr;
  return io::TlsClient::of({access.ca, access.cert, access.key, ""});
}

bool is_success(int status) { return status >= 200 && status < 300; }

}  // namespace

// One of those who send at the same time.
struct Load::Visitor {
  std::string session, ticket;
  Shape gradient_shape;
  http::Body gradient;
};

Load::Load(const BenchArguments& arguments)
    : arguments_(arguments),
      forward_(http::Url::parse(base_url(arguments.url) + "/" + arguments.route)),
      optimize_(http::Url::parse(base_url(arguments.url) + "/optimize")),
      client_({.max_idle_per_origin = static_cast<size_t>(arguments.connections)}),
      token_(token_of(arguments.access.token_file)),
      tls_(tls_of(arguments.access)),
      type_(type_of(arguments.format)),
      body_(encode(input_of(arguments), arguments.format)) {}

Task<LoadResult> Load::run() {
  const auto nanoseconds = [](double seconds) { return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9)); };
  begin_ = Clock::now();
  measured_ = begin_ + nanoseconds(arguments_.warmup);
  end_ = measured_ + nanoseconds(arguments_.seconds);
  std::vector<Task<>> visitors;
  visitors.reserve(static_cast<size_t>(arguments_.connections));
  for (int i = 0; i < arguments_.connections; ++i) visitors.push_back(visit());
  co_await util::all(std::move(visitors));
  result_.seconds = arguments_.seconds;
  if (arguments_.rate > 0) {
    const auto due = static_cast<uint64_t>(arguments_.rate * (arguments_.warmup + arguments_.seconds));
    result_.unsent = due - std::min(due, sent_);
  }
  co_return std::move(result_);
}

Task<> Load::visit() {
  Visitor visitor;
  for (;;) {
    const Clock::time_point due = co_await turn();
    if (Clock::now() >= end_ || due >= end_) co_return;
    ++sent_;
    std::string failure;
    if (arguments_.train)
      failure = co_await step(visitor);
    else
      failure = co_await one(visitor);
    record(due, failure);
    // A server that refuses at once isn't asked in a tight loop.
    if (failure == "connection") co_await util::sleep(std::chrono::milliseconds(10));
  }
}

// When the next request is due: now, or by the rate, which doesn't wait for answers.
Task<Load::Clock::time_point> Load::turn() {
  if (arguments_.rate <= 0) co_return Clock::now();
  const auto due =
      begin_ + std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(turns_) / arguments_.rate * 1e9));
  if (due >= end_ || Clock::now() >= end_) co_return end_;
  ++turns_;
  if (const auto wait = due - Clock::now(); wait.count() > 0) co_await util::sleep(wait);
  co_return due;
}

void Load::record(Clock::time_point due, const std::string& failure) {
  const Clock::time_point now = Clock::now();
  if (due < measured_) return;
  if (!failure.empty()) {
    ++result_.errors[failure];
    return;
  }
  ++(now <= end_ ? result_.done : result_.late);
  result_.latency.record((now - due).count());
}

http::Request Load::request(const http::Body& body, const Visitor& visitor) const {
  http::Request out;
  out.method = "POST";
  out.headers.set("Content-Type", type_);
  out.headers.set("Accept", type_);
  if (!token_.empty()) out.headers.set("Authorization", "Bearer " + token_);
  if (!visitor.session.empty()) out.headers.set("Shumai-Session", visitor.session);
  if (!visitor.ticket.empty()) out.headers.set("Shumai-Ticket", visitor.ticket);
  out.body = body;
  return out;
}

Task<http::Response> Load::send(const http::Url& url, http::Request request) {
  http::SendOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(arguments_.access.timeout * 1000));
  options.retry_safe = true;
  options.tls = tls_;
  result_.bytes_out += http::body_size(request.body);
  http::Response response = co_await client_.send(url, std::move(request), options);
  result_.bytes_in += http::body_size(response.body);
  co_return response;
}

// What went wrong, in a word; empty when nothing did.
Task<std::string> Load::one(Visitor& visitor) {
  try {
    const http::Response response = co_await send(forward_, request(body_, visitor));
    if (!is_success(response.status)) co_return std::to_string(response.status);
    visitor.session = response.headers.get("Shumai-Session");
    co_return std::string();
  } catch (const Error& error) {
    co_return name_of(error);
  }
}

// A gradient of zeros costs the server what any costs, and leaves plain SGD's weights where they are.
Task<std::string> Load::step(Visitor& visitor) {
  try {
    visitor.ticket.clear();
    const http::Response forward = co_await send(forward_, request(body_, visitor));
    if (!is_success(forward.status)) co_return std::to_string(forward.status);
    visitor.ticket = forward.headers.get("Shumai-Ticket");
    visitor.session = forward.headers.get("Shumai-Session");
    const Tensor output = decode(forward.body, arguments_.format);
    if (visitor.gradient.empty() || output.shape() != visitor.gradient_shape) {
      visitor.gradient = encode(zeros(output.shape(), output.dtype()), arguments_.format);
      visitor.gradient_shape = output.shape();
    }
    const http::Response optimize = co_await send(optimize_, request(visitor.gradient, visitor));
    if (!is_success(optimize.status)) co_return std::to_string(optimize.status);
    co_return std::string();
  } catch (const Error& error) {
    co_return name_of(error);
  }
}

}  // namespace sm::cli
