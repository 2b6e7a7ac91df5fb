#include "network.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "http/url.hpp"
#include "serve/call_context.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

namespace asio = boost::asio;

// The same values for another thread: without the graph, with the ticket.
Tensor for_sending(const Tensor& tensor, bool with_graph_mark) {
  Tensor alias = make_alias(tensor);
  alias.impl()->tag = tensor.impl()->tag;
  if (with_graph_mark) alias.impl()->requires_grad = tensor.requires_grad();
  return alias;
}

// setCallbacks({fetched, requested, dropped, askStatistics, tellState, loadState})
napi_value set_callbacks(const Arguments& arguments) {
  check(arguments.env(), napi_create_reference(arguments.env(), arguments[0], 1, &network(arguments.env()).callbacks));
  return undefined(arguments.env());
}

void deliver_fetch(napi_env env, uint32_t id, const io::Content& content, const std::optional<Error>& failure) {
  Network& mine = network(env);
  mine.fetching.erase(id);
  mine.mailbox->release(env);
  napi_value kind = undefined(env), data = undefined(env), error = failure ? make_error(env, *failure) : null(env);
  try {
    if (!failure) from_content(env, content, &kind, &data);
  } catch (const std::exception&) {
    error = make_error(env, current_error());
  }
  call_back(env, "fetched", {integer(env, id), error, kind, data});
}

// From what a handler was told its requests come from; null for none.
std::shared_ptr<const io::CallContext> to_context(const std::string& origin) {
  if (origin.empty()) return nullptr;
  auto context = std::make_shared<io::CallContext>();
  const size_t space = origin.find(' ');
  context->traceparent = origin.substr(0, space);
  context->path = origin.substr(space + 1);
  return context;
}

io::Wire to_wire(const std::string& name) {
  if (name == "safetensors") return io::Wire::kSafetensors;
  if (name == "bf16") return io::Wire::kBf16;
  if (name == "f16") return io::Wire::kF16;
  if (name == "shumai") return io::Wire::kShumai;
  throw Error(ErrorCode::kInvalidArgument,
              "tfetch: wire must be 'safetensors', 'bf16', 'f16' or 'shumai', got '" + name + "'");
}

io::Compression to_compression(const std::string& name) {
  if (name == "zstd") return io::Compression::kZstd;
  throw Error(ErrorCode::kInvalidArgument, "tfetch: compress must be 'zstd', got '" + name + "'");
}

io::ClientTlsOptions to_tls_options(napi_env env, napi_value value) {
  io::ClientTlsOptions out;
  const auto read = [&](const char* name, auto& into) {
    if (const napi_value file = get(env, value, name); !missing(env, file)) into = to_text(env, file, name);
  };
  read("ca", out.ca_file);
  read("cert", out.cert_file);
  read("key", out.key_file);
  read("serverName", out.server_name);
  return out;
}

// {timeout, retryFor, repeatable, headers: [[name, value], ...], token, wire, compress, id, tls}, times in ms
io::FetchOptions to_fetch_options(napi_env env, napi_value value) {
  io::FetchOptions options;
  options.timeout = std::chrono::milliseconds(to_integer(env, get(env, value, "timeout"), "timeout"));
  options.retry_for = std::chrono::milliseconds(to_integer(env, get(env, value, "retryFor"), "retryFor"));
  options.repeatable = to_boolean(env, get(env, value, "repeatable"));
  std::vector<std::pair<std::string, std::string>> headers;
  const napi_value list = get(env, value, "headers");
  for (uint32_t i = 0, n = length_of(env, list); i < n; ++i) {
    const napi_value pair = at(env, list, i);
    headers.emplace_back(to_text(env, at(env, pair, 0), "header"), to_text(env, at(env, pair, 1), "header"));
  }
  options.headers = headers;
  if (const napi_value token = get(env, value, "token"); !missing(env, token))
    options.token = to_text(env, token, "token");
  if (const napi_value wire = get(env, value, "wire"); !missing(env, wire))
    options.wire = to_wire(to_text(env, wire, "wire"));
  if (const napi_value compress = get(env, value, "compress"); !missing(env, compress))
    options.compress = to_compression(to_text(env, compress, "compress"));
  if (const napi_value id = get(env, value, "id"); !missing(env, id)) options.id = to_text(env, id, "id");
  if (const napi_value tls = get(env, value, "tls"); !missing(env, tls)) options.tls = to_tls_options(env, tls);
  return options;
}

// fetch(url, kind, data, options, origin): a number; callbacks.fetched(number, error, kind, data) follows.
napi_value start_fetch(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Network& mine = network(env);
  const std::string url = to_text(env, arguments[0], "url");
  const io::FetchOptions options = to_fetch_options(env, arguments[3]);
  // Only the original's binary says whether a tensor requires gradients.
  io::Content content = to_content(env, arguments[1], arguments[2], options.wire == io::Wire::kShumai);
  const auto context = to_context(to_text(env, arguments[4], "origin"));
  if (!mine.loop) mine.loop = std::make_unique<io::EventLoop>(1);
  const uint32_t id = ++mine.last_fetch;
  const auto signal = std::make_shared<asio::cancellation_signal>();
  mine.fetching.emplace(id, signal);
  mine.mailbox->hold(env);
  const auto done = [mailbox = mine.mailbox, id, signal](std::exception_ptr error, io::Content answer) {
    std::optional<Error> failure;
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (...) {
        failure = current_error();
      }
    }
    mailbox->post([id, failure, answer](napi_env to) { deliver_fetch(to, id, answer, failure); });
  };
  asio::any_io_executor executor = mine.loop->context().get_executor();
  if (context) executor = io::CallExecutor(executor, context);
  asio::co_spawn(executor, io::fetch(url, std::move(content), options),
                 asio::bind_cancellation_slot(signal->slot(), done));
  return integer(env, id);
}

// sameServer(url, url): whether a secret for one is for the other.
napi_value same_server(const Arguments& arguments) {
  const auto origin = [&](size_t i) {
    return http::Url::parse(to_text(arguments.env(), arguments[i], "url")).origin();
  };
  return boolean(arguments.env(), origin(0) == origin(1));
}

// abort(number)
napi_value abort_fetch(const Arguments& arguments) {
  Network& mine = network(arguments.env());
  const auto found = mine.fetching.find(to_handle(arguments.env(), arguments[0]));
  if (found != mine.fetching.end())
    asio::post(mine.loop->context(), [signal = found->second] { signal->emit(asio::cancellation_type::terminal); });
  return undefined(arguments.env());
}

}  // namespace

io::Content to_content(napi_env env, napi_value kind, napi_value data, bool with_graph_mark) {
  if (missing(env, kind)) return {};
  const std::string name = to_text(env, kind, "kind");
  if (name == "tensor") return for_sending(tensor_at(env, data), with_graph_mark);
  if (name == "json") return Json::parse(to_text(env, data, "JSON"));
  Tensors tensors;
  for (uint32_t i = 0, n = length_of(env, data); i < n; ++i) {
    const napi_value pair = at(env, data, i);
    tensors.set(to_text(env, at(env, pair, 0), "name"), for_sending(tensor_at(env, at(env, pair, 1)), with_graph_mark));
  }
  return tensors;
}

void from_content(napi_env env, const io::Content& content, napi_value* kind, napi_value* data) {
  *kind = *data = undefined(env);
  if (content.empty()) return;
  if (content.is_tensor()) {
    *kind = text(env, "tensor");
    *data = integer(env, add(env, content.tensor()));
  } else if (content.is_json()) {
    *kind = text(env, "json");
    *data = text(env, content.json().dump());
  } else {
    const Tensors tensors = content.tensors();
    *kind = text(env, "tensors");
    *data = array(env, tensors.size());
    uint32_t i = 0;
    for (const auto& [name, tensor] : tensors) {
      const napi_value pair = array(env, 2);
      set(env, pair, 0u, text(env, name));
      set(env, pair, 1u, integer(env, add(env, tensor)));
      set(env, *data, i++, pair);
    }
  }
}

Network& network(napi_env env) {
  Instance& mine = instance(env);
  if (!mine.network) mine.network = std::make_unique<Network>(env);
  return *mine.network;
}

napi_value call_back(napi_env env, const char* name, std::initializer_list<napi_value> arguments) {
  napi_value callbacks, result;
  check(env, napi_get_reference_value(env, network(env).callbacks, &callbacks));
  check(env, napi_call_function(env, undefined(env), get(env, callbacks, name), arguments.size(), arguments.begin(),
                                &result));
  return result;
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, error.what());
  }
}

Network::Network(napi_env env) : mailbox(Mailbox::make(env)) {}

Network::~Network() {
  // Nobody will answer any more: calls fail, so that servers can end.
  for (auto& [id, call] : calls)
    answer(call, std::make_exception_ptr(Error(ErrorCode::kUnavailable, "the server's JavaScript has ended")));
  calls.clear();
  mailbox->close();
  while (!servers.empty()) end_server(servers.begin()->first);
}

void define_network(napi_env env, napi_value exports) {
  define<set_callbacks>(env, exports, "setCallbacks");
  define<start_fetch>(env, exports, "fetch");
  define<abort_fetch>(env, exports, "abort");
  define<same_server>(env, exports, "sameServer");
}

}  // namespace sm::js
