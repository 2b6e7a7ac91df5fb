#include <chrono>
#include <memory>
#include <utility>

#include "gate.hpp"
#include "handler.hpp"
#include "learner.hpp"
#include "network.hpp"
#include "options.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

// What /statistics adds: JavaScript's answer of now, or else its last.
std::function<Json()> caller_statistics(const std::shared_ptr<Mailbox>& mailbox, uint32_t server,
                                        const std::shared_ptr<Entries>& entries) {
  constexpr std::chrono::milliseconds kPatience{10};
  return [=] {
    std::unique_lock lock(entries->mutex);
    if (!entries->asking) {
      entries->asking = true;
      mailbox->post([=](napi_env env) { call_back(env, "askStatistics", {integer(env, server)}); });
    }
    entries->changed.wait_for(lock, kPatience, [&] { return !entries->asking; });
    if (!entries->failure.empty()) throw Error(ErrorCode::kInternal, entries->failure);
    return entries->last;
  };
}

io::Server* server_at(napi_env env, napi_value id) {
  const auto& servers = network(env).servers;
  const auto found = servers.find(to_handle(env, id));
  return found == servers.end() || found->second.stopper.joinable() ? nullptr : found->second.server.get();
}

std::vector<Tensor> to_tensors(napi_env env, napi_value handles) {
  std::vector<Tensor> out;
  for (uint32_t i = 0, n = length_of(env, handles); i < n; ++i) out.push_back(tensor_at(env, at(env, handles, i)));
  return out;
}

Tensors to_named(napi_env env, napi_value pairs) {
  Tensors out;
  for (uint32_t i = 0, n = length_of(env, pairs); i < n; ++i) {
    const napi_value pair = at(env, pairs, i);
    out.set(to_text(env, at(env, pair, 0), "name"), tensor_at(env, at(env, pair, 1)));
  }
  return out;
}

// serve([route, ...], options, [weight, ...] or nothing, what loads a checkpoint or nothing,
// [[name, weight], ...] of replicas or nothing): [server, port, url]
napi_value start_server(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Network& mine = network(env);
  const uint32_t id = ++mine.last_server;
  const auto load = std::make_shared<const napi_value>(arguments[3]);
  ScriptServer own;
  own.gate = std::make_shared<Gate>();
  io::Routes routes;
  for (uint32_t i = 0, n = length_of(env, arguments[0]); i < n; ++i)
    routes.push_back({to_text(env, at(env, arguments[0], i), "route"), script_handler(mine.mailbox, own.gate, id, i)});
  io::ServeOptions options = to_serve_options(env, arguments[1]);
  if (!missing(env, arguments[1]) && !missing(env, get(env, arguments[1], "statistics")))
    options.statistics = caller_statistics(mine.mailbox, id, own.entries = std::make_shared<Entries>());
  if (!missing(env, arguments[2])) {
    own.learner = std::make_unique<Learner>(to_tensors(env, arguments[2]));
    options.checkpoint.ask_state = state_asker(mine.mailbox, id, own.gate);
    options.checkpoint.load_state = state_loader(env, id, load);
    options.checkpoint.run = runner(mine.mailbox, id);
  }
  if (!missing(env, arguments[4])) {
    options.replicas.weights = to_named(env, arguments[4]);
    options.replicas.run = runner(mine.mailbox, id);
  }
  own.server = std::make_unique<io::Server>(io::serve(std::move(routes), std::move(options)));
  if (own.learner) own.learner->moved();  // by resuming, which is no update
  const napi_value out = array(env, 3);
  set(env, out, 0u, integer(env, id));
  set(env, out, 1u, integer(env, own.server->port()));
  set(env, out, 2u, text(env, own.server->url()));
  mine.servers.emplace(id, std::move(own));
  mine.mailbox->hold(env);
  return out;
}

// stop(server, done): running handlers may need this thread, so the waiting is done on another.
napi_value stop_server(const Arguments& arguments) {
  const napi_env env = arguments.env();
  io::Server* server = server_at(env, arguments[0]);
  if (!server) throw Error(ErrorCode::kNotFound, "the server was stopped already");
  const uint32_t id = to_handle(env, arguments[0]);
  napi_ref done;
  check(env, napi_create_reference(env, arguments[1], 1, &done));
  Network& mine = network(env);
  mine.servers.at(id).stopper = std::thread([server, mailbox = mine.mailbox, id, done] {
    server->stop();
    mailbox->post([mailbox, id, done](napi_env to) {
      network(to).end_server(id);
      mailbox->release(to);
      napi_value callback, result;
      check(to, napi_get_reference_value(to, done, &callback));
      napi_delete_reference(to, done);
      check(to, napi_call_function(to, undefined(to), callback, 0, nullptr, &result));
    });
  });
  return undefined(env);
}

// tellStatistics(server, JSON text, or nothing and what failed): answers askStatistics.
napi_value tell_statistics(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto& servers = network(env).servers;
  const auto found = servers.find(to_handle(env, arguments[0]));
  if (found == servers.end() || !found->second.entries) return undefined(env);
  Entries& entries = *found->second.entries;
  const bool failed = missing(env, arguments[1]);
  const std::string said = to_text(env, arguments[failed ? 2 : 1], "statistics");
  const std::lock_guard guard(entries.mutex);
  entries.asking = false;
  entries.failure = failed ? said : "";
  if (!failed) entries.last = Json::parse(said);
  entries.changed.notify_all();
  return undefined(env);
}

// statistics(server): JSON text
napi_value server_statistics(const Arguments& arguments) {
  const io::Server* server = server_at(arguments.env(), arguments[0]);
  if (!server) throw Error(ErrorCode::kNotFound, "the server was stopped already");
  return text(arguments.env(), server->statistics().dump());
}

}  // namespace

// Nothing that knows the server's loop may outlive it: calls, and the gate's executor.
void Network::end_server(uint32_t id) {
  auto ended = servers.extract(id);
  if (ended.empty()) return;
  ScriptServer& own = ended.mapped();
  if (own.stopper.joinable())
    own.stopper.join();
  else
    own.server->stop();
  std::erase_if(calls, [id](const auto& item) { return item.second->server == id; });
  own.gate->close();
}

void define_server(napi_env env, napi_value exports) {
  define_answers(env, exports);
  define<start_server>(env, exports, "serve");
  define<stop_server>(env, exports, "stop");
  define<server_statistics>(env, exports, "statistics");
  define<tell_statistics>(env, exports, "tellStatistics");
}

}  // namespace sm::js
