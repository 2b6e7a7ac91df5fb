#include <unistd.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/connect.hpp"
#include "serve/checkpoint.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"

// A server among replicas: what their group needs of it, and it of the group.
namespace sm::io {
namespace {

namespace asio = boost::asio;

std::string name_of(const ServeOptions& options) {
  if (!options.replicas.id.empty()) return options.replicas.id;
  char host[65] = {};
  ::gethostname(host, sizeof(host) - 1);
  if (options.port == 0 || !replicate::is_word(host)) return random_id();
  return std::string(host).substr(0, 58) + "-" + std::to_string(options.port);
}

std::string sent_name(std::string_view weight) { return std::string(kReplicaState) + "sent." + std::string(weight); }

Tensor text_tensor(const std::string& text) {
  return from_data(reinterpret_cast<const uint8_t*>(text.data()), Shape{static_cast<int64_t>(text.size())});
}

Tensors to_tensors(const replicate::Agreed& agreed, const Tensors& weights) {
  Json included = Json::object();
  for (const auto& [id, number] : agreed.included) included[id] = number;
  const Json record = Json::object({{"round", agreed.round}, {"sent", agreed.sent}, {"included", std::move(included)}});
  Tensors out;
  out.set(std::string(kReplicaState) + "record", text_tensor(record.dump()));
  out.set(std::string(kReplicaState) + "base", agreed.base);
  out.set(std::string(kReplicaState) + "velocity", agreed.velocity);
  if (agreed.sent_weights.empty()) return out;
  size_t next = 0;
  for (const auto& [name, weight] : weights)
    if (is_floating(weight.dtype())) out.set(sent_name(name), agreed.sent_weights.at(next++));
  return out;
}

// Nothing when the checkpoint was written without replicas. Throws Error.
std::optional<replicate::Agreed> from_tensors(const Tensors& saved, const Tensors& weights) {
  const Tensor* record = saved.find(std::string(kReplicaState) + "record");
  if (!record) return std::nullopt;
  const std::vector<uint8_t> bytes = record->to_vector<uint8_t>();
  const Json said = Json::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  replicate::Agreed out;
  out.round = said["round"].as_int64();
  out.sent = static_cast<uint64_t>(said["sent"].as_int64());
  for (const auto& [id, number] : said["included"].as_object())
    out.included[id] = static_cast<uint64_t>(number.as_int64());
  out.base = saved[std::string(kReplicaState) + "base"];
  out.velocity = saved[std::string(kReplicaState) + "velocity"];
  for (const auto& [name, weight] : weights)
    if (const Tensor* sent = saved.find(sent_name(name))) out.sent_weights.push_back(*sent);
  return out;
}

Tensors without_replica_state(const Tensors& saved) {
  Tensors out;
  for (const auto& [name, tensor] : saved)
    if (!name.starts_with(kReplicaState)) out.set(name, tensor);
  return out;
}

}  // namespace

CheckpointOptions Server::State::with_replica_state(CheckpointOptions checkpoint) {
  const bool replicates = !options.replicas.rendezvous.empty();
  // One that was written among replicas serves alone, too.
  if (checkpoint.load_state || replicates)
    checkpoint.load_state = [this, replicates, load = std::move(checkpoint.load_state)](const Tensors& saved) {
      if (replicates) agreed = from_tensors(saved, options.replicas.weights);
      if (load) load(without_replica_state(saved));
    };
  if (!replicates) return checkpoint;
  checkpoint.save_state = [this, save = std::move(checkpoint.save_state)] {
    Tensors out = save ? save() : Tensors();
    for (const auto& [name, tensor] : replica_state()) out.set(name, tensor);
    return out;
  };
  return checkpoint;
}

void Server::State::make_replica() {
  const ReplicaOptions& given = options.replicas;
  if (given.weights.empty()) throw Error(ErrorCode::kInvalidArgument, "serve: replicas need `weights`, got none");
  replicate::Options own;
  own.rendezvous = given.rendezvous;
  own.group = given.group;
  own.id = name_of(options);
  own.address = listen_address(given.address);
  own.every = given.every;
  own.interval = given.interval;
  own.synchronous = given.synchronous;
  own.outer = {given.outer_rate, given.outer_momentum};
  own.timeout = given.timeout;
  replicate::Owner owner;
  owner.weights = given.weights;
  owner.run = given.run ? given.run : [this](std::function<void()> work) { asio::post(logic, std::move(work)); };
  owner.moved = [this] {
    if (options.replicas.run)
      asio::post(logic, [this] { weights_moved_by_others(); });
    else
      weights_moved_by_others();
  };
  if (saver && saver->strict())
    owner.save = [this](std::function<void()> done) {
      asio::post(logic, [this, done = std::move(done)] {
        const uint64_t version = ++updates.version;
        saver->updated(version);
        asio::co_spawn(
            logic,
            [](std::shared_ptr<Saver> own, uint64_t until) -> Task<> { co_await own->durable(until); }(saver, version),
            [done](const std::exception_ptr&) { done(); });
      });
    };
  store.name_sessions(own.id + ".");
  replica = std::make_shared<replicate::Replica>(std::move(own), std::move(owner), std::move(agreed), updates.version);
  replica->on_average([this] { asio::post(logic, [this] { average_timer.cancel(); }); });
}

void Server::State::weights_moved_by_others() {
  ++updates.version;
  if (!saver) return;
  saver->weights_moved();
  saver->updated(updates.version);
}

Task<> Server::State::averaged(uint64_t update) {
  if (!options.replicas.synchronous) co_return;
  // A group that breaks lets its members go on; this is for a bug in that.
  const auto deadline = Clock::now() + 4 * options.replicas.timeout;
  while (!replica->has(update) && Clock::now() < deadline) {
    boost::system::error_code ignored;
    co_await average_timer.async_wait(asio::bind_executor(logic, asio::redirect_error(asio::use_awaitable, ignored)));
  }
}

Tensors Server::State::replica_state() const {
  return replica ? to_tensors(replica->agreed(), options.replicas.weights) : Tensors();
}

Json Server::State::replica_statistics() const {
  const replicate::Replica::Status status = replica->status();
  Json members = Json::array();
  for (const std::string& member : status.members) members.push_back(member);
  Json out = Json::object({{"id", replica->options().id},
                           {"members", std::move(members)},
                           {"forming", status.forming},
                           {"round", status.round},
                           {"averages", status.averages},
                           {"drift", status.drift},
                           {"bytes_sent", status.bytes_sent},
                           {"failures", status.failures}});
  if (status.seconds_since_average >= 0) out["seconds_since_average"] = status.seconds_since_average;
  if (!status.failure.empty()) out["failure"] = status.failure;
  return out;
}

}  // namespace sm::io
