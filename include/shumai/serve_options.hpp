#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "shumai/json.hpp"
#include "shumai/tensor.hpp"
#include "shumai/tls_options.hpp"

namespace sm::io {

// What a server takes and keeps before it refuses: the one place for all of
// it. docs/limits.md says what a client sees, and names the limits of formats.
struct ServeLimits {
  // --- Requests ---
  uint64_t max_body_bytes = uint64_t{1} << 30;      // 413
  size_t max_header_bytes = 16 * 1024;              // 431
  size_t max_headers = 100;                         // 431
  size_t max_connections = 10'000;                  // 503
  size_t max_requests_in_flight = 1'000;            // 503
  size_t max_requests_in_flight_per_session = 256;  // 429
  size_t max_hops = 16;                             // servers that call each other for one request: 508

  // --- Time that a peer may take ---
  std::chrono::milliseconds header_timeout{10'000};      // 408
  std::chrono::milliseconds body_timeout{30'000};        // longest silence within a body: 408
  uint64_t min_body_rate = 1024;                         // bytes a second over a whole body: 408; 0: any
  std::chrono::milliseconds keep_alive_timeout{75'000};  // between requests
  std::chrono::milliseconds write_timeout{30'000};       // without taking a byte of an answer
  std::chrono::milliseconds linger_timeout{2'000};       // for reading why it was refused

  // --- What is kept for clients ---
  size_t max_sessions = 100'000;                          // 429 for a new one
  std::chrono::milliseconds session_lifetime{3'600'000};  // since its last request
  size_t max_tickets = 100'000;                           // live ones; 429 for a new one
  size_t max_tickets_per_session = 1'000;                 // beyond it the session's oldest expires
  size_t max_ticket_bytes = size_t{4} << 30;              // that the graphs of live tickets hold; 429 for a new one
  // Without the weights, which sessions share. Beyond it the session's oldest expire.
  size_t max_ticket_bytes_per_session = size_t{1} << 30;
  std::chrono::milliseconds ticket_lifetime{600'000};  // 410 afterwards
  // For how long, and of how many tickets, it is remembered that their step was taken: 409.
  std::chrono::milliseconds finished_lifetime{900'000};
  size_t max_finished_tickets = 100'000;
  // For how long, and how much, answers are kept for retries.
  std::chrono::milliseconds answer_lifetime{300'000};
  size_t max_stored_answer_bytes = size_t{64} << 20;

  // --- The end ---
  std::chrono::milliseconds shutdown_grace{10'000};  // for running requests, and the last checkpoint, at stop()
};

// When a checkpoint is written.
enum class Durability : uint8_t {
  // Now and then. A crash loses the updates since the last one.
  kInterval,
  // Before an update is acknowledged. Updates that wait at the same time share one write.
  kEveryUpdate,
};

// Saves what a server has learned, and lets it resume.
//
// A checkpoint is a safetensors file, `directory`/checkpoint-N.safetensors with
// N the number of updates, that appears complete or not at all: the tensors
// under their names, the steps that were taken (so that a retry after a crash
// isn't a second step), the state of the random stream. A server resumes from
// the newest one that is whole, and goes on serving when one can't be written:
// see "checkpoint" in /statistics.
//
// An update belongs to the checkpoint of the call that made it when nothing is
// awaited between the update and the end of the handler.
struct CheckpointOptions {
  std::string directory = {};  // made when missing; empty: no checkpoints
  // What is saved and resumed. Names are unique and don't begin with "shumai.".
  // An update() of one that requires gradients counts as an update of the model.
  Tensors weights = {};
  // Further state, such as an optimizer's: its tensors now, to be saved beside the weights ...
  std::function<Tensors()> save_state = {};
  // ... and those of the checkpoint that the server resumes from.
  std::function<void(const Tensors&)> load_state = {};
  // Instead of save_state, for weights and state that live on another thread:
  // is asked for all of them, as a handler of this server would run, and has to
  // answer once, from any thread, with the failure if there was one.
  // Dropping the answer is a failure. The state then is that of all updates that
  // the server knows of, and no others. `weights` are only resumed then.
  using StateAnswer = std::function<void(std::exception_ptr, Tensors)>;
  std::function<void(StateAnswer)> ask_state = {};
  // Where load_state runs when a checkpoint is restored while the server runs,
  // for weights and state that live on another thread: runs the function there
  // soon. Null: as handlers run.
  std::function<void(std::function<void()>)> run = {};
  // What the model is, as nn::describe() gives it: every file holds this text,
  // from which nn::open_model builds the model again. Empty: nothing.
  std::string model = {};
  Durability durability = Durability::kInterval;
  std::chrono::milliseconds interval{10'000};  // of Durability::kInterval
  int keep = 3;                                // older ones are removed
};

// What happens to a gradient whose forward saw older weights. The staleness is
// the number of updates since. /statistics has its histogram.
struct StalenessOptions {
  enum class Policy : uint8_t {
    kAccept,
    // The gradient is divided by 1 + staleness (Zhang et al., "Staleness-aware
    // async-SGD for distributed deep learning", 2016).
    kScale,
    // Above `limit`: 409 with the code "stale". remote_model then repeats the forward.
    kReject,
  };
  Policy policy = Policy::kAccept;
  uint64_t limit = 0;
};

// Which gradients are refused with 422, before any weight changes: in what a
// ticketed request carries, and in what any optimizer of this process gets
// while the server lives.
struct GuardOptions {
  bool enabled = true;                                        // NaN and infinity
  double max_norm = std::numeric_limits<double>::infinity();  // of all gradients of one step together
};

// How serve_model runs several clients at once: inputs of one dtype and one
// shape but for their rows (axis 0) are joined, go through the model together,
// and each client gets its rows. So do gradients of answers that came of one
// batch, when they arrive within `delay` of each other.
//
// For models in which no row's answer depends on other rows: not for batch
// norm in training, say, nor for what reads axis 0 as anything but rows. Each
// client gets what it would get alone, but for rounding; random numbers are
// drawn in another order. A batch that fails is run again, each client alone,
// and so is one with NaN or infinity in it, whose gradients would spread.
//
// A ticket holds the graph of its batch: for its session's limit all of it counts.
struct BatchOptions {
  enum class Updates : uint8_t {
    // kSummed when the update is an optim::SGD without momentum, weight decay and schedule; else kEach.
    kAuto,
    // One for each client, with its own gradients, as without batches. Each
    // needs a backward pass through the whole batch: for few clients that train.
    kEach,
    // One for all whose gradients went back together, with the sum of them. For
    // plain gradient descent that comes to the same; for others it is one step
    // on a larger batch. Not with a GuardOptions::max_norm, which is for a client's own.
    kSummed,
  };
  size_t max = 1;  // rows; 1: no batches. A client that sends as many alone runs alone.
  // A request waits for others no longer than that, and only while as many may
  // still come as were there lately; a gradient, while others of its batch are due.
  std::chrono::microseconds delay{1000};
  Updates updates = Updates::kAuto;
};

// Several servers of one model that learn together, each from its own clients:
// see docs/replicas.md. Every so often they average what each learned, in the
// background, with an outer optimizer (Douillard et al., "DiLoCo: Distributed
// Low-Communication Training of Language Models", 2023). Servers come and go at
// any time, die, and are cut off; the others go on.
struct ReplicaOptions {
  // Where they find each other: a folder that all share, or
  // "redis://[:PASSWORD@]HOST[:PORT][/DATABASE]". Empty: no replicas.
  std::string rendezvous = {};
  std::string group = "model";  // tells groups in one place apart; letters, digits, '.', '_', '-'
  // This server's name, which no other has: the same after a restart, so that
  // the group knows it again. Sessions begin with it. Empty: host and port,
  // or random with port 0.
  std::string id = {};
  // This machine's, where the other replicas reach it on any port. What they
  // send each other is neither encrypted nor authenticated: a private network.
  std::string address = "127.0.0.1";
  // Averages come when one server has made that many updates (0: by time alone),
  // or has any and so much time has passed (0: by updates alone).
  uint64_t every = 50;
  std::chrono::milliseconds interval{0};
  // Every update is averaged before it is acknowledged: the same as one server
  // that takes the mean of simultaneous updates, for plain gradient descent.
  bool synchronous = false;
  // The outer optimizer: Nesterov's momentum on what an average moves. With rate 1
  // and momentum 0 the weights become their mean, as always when synchronous.
  double outer_rate = 0.7;
  double outer_momentum = 0.9;
  // A member that is silent for so long is gone until it comes back.
  std::chrono::milliseconds timeout{2000};
  // What is averaged: those of a floating dtype. In serve_model the checkpoint's,
  // or else the module's.
  Tensors weights = {};
  // For weights that live on another thread: runs the function there soon, in the
  // order of the calls. Null: as handlers run.
  std::function<void(std::function<void()>)> run = {};
};

// A route as a model of the Open Inference Protocol: see docs/inference.md.
struct InferenceModel {
  struct TensorInfo {
    std::string name;
    DType dtype = DType::f32;
    std::vector<int64_t> shape = {};  // -1: any size
  };

  std::string name = "model";
  std::string route = "forward";
  // What an inference has to send, which is checked, and what it gets. Where
  // they aren't told, anything may be sent, and metadata says what the route
  // saw last.
  std::vector<TensorInfo> inputs = {};
  std::vector<TensorInfo> outputs = {};
};

// A secret that a request carries as "Authorization: Bearer SECRET". The server
// keeps its hash only.
struct Token {
  std::string name;                      // in logs and statistics, and its session; letters, digits, '.', '_', '-'
  std::string secret;                    // at least 16 visible ASCII characters, such as of `openssl rand -hex 32`
  std::vector<std::string> routes = {};  // "statistics", "metrics" and "/" count as routes; empty: all
};

struct ServeOptions {
  uint16_t port = 3000;  // 0: any free one
  std::string hostname = "127.0.0.1";
  // With any token every request needs one, but those of /health/*: 401 without,
  // 403 for a route that it isn't for. See docs/access.md.
  std::vector<Token> tokens = {};
  // More of them, one a line: name secret [route,route...]. A # at the start of
  // a line or after a blank begins a comment. Read again within a second of a change;
  // one that can't be read then leaves things as they were.
  std::string token_file = {};
  // One more, named "environment", whose secret is in SHUMAI_TOKEN.
  bool token_from_environment = false;
  // Allows an address that other machines reach without any token or client's
  // certificate: anyone can train and read the model then.
  bool insecure = false;
  // Origins ("https://app.example") whose pages may call from a browser; "*": all.
  std::vector<std::string> cors = {};
  // Names by which requests may call a server without tokens on this machine's
  // own address, beside "localhost", such addresses, and `hostname`: a proxy's,
  // say. "*": all. See docs/access.md for why others are refused.
  std::vector<std::string> allowed_hosts = {};
  unsigned socket_mode = 0600;  // of the file of a "unix:" hostname: who may connect
  int threads = 2;              // that read, parse, write, and run handlers one at a time
  TlsOptions tls = {};          // https instead of http; see docs/tls.md
  ServeLimits limits = {};
  CheckpointOptions checkpoint = {};
  StalenessOptions staleness = {};
  GuardOptions guard = {};
  BatchOptions batch = {};  // of serve_model
  ReplicaOptions replicas = {};
  // What /v2/models has; when empty, "model" for the route "forward" if there is one.
  std::vector<InferenceModel> inference = {};
  // Further members of /statistics. Runs like a handler.
  std::function<Json()> statistics = {};
};

}  // namespace sm::io
