#include <mutex>
#include <unordered_map>

#include "autograd/function.hpp"
#include "http/client.hpp"
#include "serve/content.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"

namespace sm::io {
namespace {

// The sessions that servers gave this process, by origin.
class Sessions {
 public:
  std::string of(const std::string& origin) {
    const std::lock_guard lock(mutex_);
    const auto found = by_origin_.find(origin);
    return found == by_origin_.end() ? std::string() : found->second;
  }
  void remember(const std::string& origin, std::string_view session) {
    const std::lock_guard lock(mutex_);
    if (by_origin_.size() >= kMost) by_origin_.clear();
    by_origin_[origin] = session;
  }

 private:
  static constexpr size_t kMost = 10'000;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> by_origin_;
};

Sessions& sessions() {
  static Sessions instance;
  return instance;
}

// The ticket that a gradient among `input` carries for `origin`.
const TicketTag* ticket_for(const Content& input, const std::string& origin) {
  if (input.is_json() || input.empty()) return nullptr;
  for (const auto& [name, tensor] : input.tensors()) {
    const TicketTag* tag = tensor.impl()->tag.get();
    if (tag && tag->gradient && tag->origin == origin) return tag;
  }
  return nullptr;
}

// A server's error as ours, with its message and code where it says them.
[[noreturn]] void throw_answer(const http::Url& url, const http::Response& response) {
  std::string message = url.to_string() + " answered " + std::to_string(response.status);
  ErrorCode code = code_from_status(response.status);
  const std::string_view text = http::body_text(response.body);
  if (response.headers.get("Content-Type").starts_with("application/problem+json")) {
    try {
      const Json problem = Json::parse(text);
      if (const Json* name = problem.find("code");
          name && name->is_string() && http_status(code_from_name(name->as_string())) == response.status)
        code = code_from_name(name->as_string());
      if (const Json* detail = problem.find("detail"); detail && detail->is_string()) message = detail->as_string();
    } catch (const Error&) {  // not what it claims to be: the status has to do
    }
  }
  throw Error(code, message);
}

void tag_answer(const Content& content, const http::Response& response, const std::string& origin) {
  const auto ticket = response.headers.find("Shumai-Ticket");
  if (!ticket || content.is_json() || content.empty()) return;
  const std::string session(response.headers.get("Shumai-Session"));
  const auto tag = std::make_shared<TicketTag>(TicketTag{std::string(*ticket), session, origin, false});
  for (const auto& [name, tensor] : content.tensors()) tensor.impl()->tag = tag;
}

Task<Content> fetch_content(std::string address, Content input, FetchOptions options, bool json_is_tensors) {
  http::Url url = http::Url::parse(address);
  const std::string origin = url.origin();
  http::Request request;
  request.method = input.empty() ? "GET" : "POST";
  Encoded encoded = encode_content(input, kSafetensorsType);
  request.body = std::move(encoded.body);
  if (!encoded.type.empty()) request.headers.add_checked("Content-Type", encoded.type);
  request.headers.add_checked("Accept", "application/x-safetensors, application/json;q=0.5");
  const TicketTag* tag = ticket_for(input, origin);
  // First requests sent together get a session each: a ticket goes back with the one that it belongs to.
  if (const std::string session = tag ? tag->session : sessions().of(origin); !session.empty())
    request.headers.add("Shumai-Session", session);
  if (tag) request.headers.add("Shumai-Ticket", tag->ticket);
  for (const auto& [name, value] : options.headers.get()) request.headers.set(name, value);

  http::SendOptions send;
  send.timeout = options.timeout;
  send.retry_safe = tag != nullptr || input.empty();
  const http::Client client;
  const http::Response response = co_await client.send(url, std::move(request), send);
  if (const auto session = response.headers.find("Shumai-Session")) sessions().remember(origin, *session);
  if (response.status < 200 || response.status >= 300) throw_answer(url, response);
  Content answer = decode_content(response.headers, response.body, json_is_tensors);
  tag_answer(answer, response, origin);
  co_return answer;
}

Task<Tensor> fetch_tensor(std::string url, Tensor input, FetchOptions options) {
  const GradFn gradient = options.grad_fn.get();
  Content answer = co_await fetch_content(std::move(url), input, std::move(options), true);
  Tensor output = answer.tensor();
  if (gradient && output.defined()) {
    std::vector<Tensor> inputs;
    if (input.defined()) inputs.push_back(input);
    output = with_grad_fn(output, std::move(inputs), gradient);
  }
  co_return output;
}

Task<Tensors> fetch_tensors(std::string url, Tensors inputs, FetchOptions options) {
  Content answer = co_await fetch_content(std::move(url), std::move(inputs), std::move(options), true);
  co_return answer.tensors();
}

}  // namespace

// These copy their options before any coroutine starts: see FrameSafe.
Task<Tensor> tfetch(std::string url, Tensor input, FetchOptions options) {
  return fetch_tensor(std::move(url), std::move(input), std::move(options));
}

Task<Tensors> tfetch(std::string url, Tensors inputs, FetchOptions options) {
  if (options.grad_fn.get())
    throw Error(ErrorCode::kInvalidArgument, "tfetch: grad_fn takes one tensor in and out, not named tensors");
  return fetch_tensors(std::move(url), std::move(inputs), std::move(options));
}

Task<Content> fetch(std::string url, Content input, FetchOptions options) {
  return fetch_content(std::move(url), std::move(input), std::move(options), false);
}

}  // namespace sm::io
