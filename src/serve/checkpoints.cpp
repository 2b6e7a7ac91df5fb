#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>

#include "http/problem.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"
#include "util/log.hpp"

// A server's checkpoints, for people: which there are, a copy of one, and the way back to one.
namespace sm::io {
namespace {

namespace asio = boost::asio;

constexpr const char* kOfReplicas =
    "replicas average their weights, and the others would bring the newer ones back: stop all of them, then start "
    "them from the checkpoint (docs/deploy.md)";

}  // namespace

Json Server::State::checkpoints_for(const std::string& caller) const {
  if (!saver || !access.lets(caller, "checkpoints")) return {};
  Json list = Json::array();
  for (const CheckpointDirectory::Entry& entry : saver->entries())
    list.push_back(Json::object({{"version", entry.version}, {"bytes", entry.bytes}, {"time", entry.time}}));
  Json out = Json::object({{"restorable", !replica && saver->can_put_back()}, {"list", std::move(list)}});
  if (replica) out["why"] = kOfReplicas;
  return out;
}

Task<http::Response> Server::State::respond_checkpoints(const http::Request& request) {
  if (!saver) co_return http::problem(404, "not_found", "this server keeps no checkpoints");
  std::string_view rest = route_of(request.path()).substr(std::string_view("checkpoints").size());
  if (rest.empty() && request.method == "GET")
    co_return http::Response::json(200, checkpoints_for(request.caller).dump());
  uint64_t version = 0;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), version);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  const bool restores = rest == "/restore";
  if (error != std::errc() || (!rest.empty() && !restores))
    co_return http::problem(
        404, "not_found", "there is GET /checkpoints, GET /checkpoints/VERSION and POST /checkpoints/VERSION/restore");
  if (request.method != (restores ? "POST" : "GET")) {
    http::Response refused = http::problem(
        405, "method_not_allowed",
        std::string(restores ? "restoring takes POST" : "a checkpoint takes GET") + ", not " + request.method);
    refused.headers.set("Allow", restores ? "POST" : "GET");
    co_return refused;
  }
  if (restores) co_return co_await restore(version);
  const util::BufferRef file = co_await Saver::read_file(saver, version);
  http::Response response = http::Response::empty(200);
  response.headers.set("Content-Type", "application/x-safetensors");
  response.headers.set("Content-Disposition",
                       "attachment; filename=\"checkpoint-" + std::to_string(version) + ".safetensors\"");
  response.body.push_back({file, file->data(), file->size()});
  co_return response;
}

Task<http::Response> Server::State::restore(uint64_t version) {
  if (replica) throw Error(ErrorCode::kConflict, kOfReplicas);
  if (!saver->can_put_back())
    throw Error(ErrorCode::kConflict, "checkpoint: this server's weights can only be loaded when it starts");
  if (restoring.exchange(true)) throw Error(ErrorCode::kConflict, "another checkpoint is being restored");
  struct Restoring {
    std::atomic<bool>& flag;
    explicit Restoring(std::atomic<bool>& which) : flag(which) {}
    ~Restoring() { flag = false; }
  } const mine(restoring);
  const auto executor = co_await asio::this_coro::executor;
  const std::shared_ptr<const Checkpoint> checkpoint = co_await Saver::read(saver, version);
  co_await asio::post(asio::bind_executor(logic, asio::use_awaitable));
  co_await Saver::put_back(saver, checkpoint);
  // Their graphs are of weights that nobody has any more; clients forward again.
  store.expire_live();
  const uint64_t now = ++updates.version;
  ++updates.restored;
  saver->updated(now);
  co_await saver->durable(now);
  co_await asio::post(executor, asio::use_awaitable);  // out of `logic`
  util::log_info("checkpoint: restored version " + std::to_string(version) + "; the weights' version is " +
                 std::to_string(now));
  co_return http::Response::json(200, Json::object({{"restored", version}, {"version", now}}).dump());
}

}  // namespace sm::io
