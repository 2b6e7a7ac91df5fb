// A server for the end-to-end tests, with one of several small models.
//
//   count     y = w[i], rate -1: a step on index i adds 1 to w[i], so that the weights count the steps
//   line      y = x w, learned with Adam
//   heavy     y = exp(x w): each forward holds a graph as large as its input
//   link      y = w x, or w (what --upstream answers to x): one of a chain
//   device    y = w x, 20 ms later, one after the other: as an accelerator would
//
// Further routes: /weights, /nap (awaits the given milliseconds), /work
// (prints "working" and computes for as long), /runs (how often /work and /nap ran, in all).
// At its end it prints how many requests it handled of /nap and /work.
#include <fmt/core.h>
#include <signal.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"

namespace {

using namespace sm;
using std::chrono::milliseconds;

constexpr const char* kUsage =
    "training_server [--model count|line|heavy|link|device] [--size N] [--port N] [--upstream URL] [--directory PATH]\n"
    "  [--durability interval|every-update] [--interval MS] [--lifetime MS] [--grace MS] [--norm N] [--hops N]\n"
    "  [--session-tickets N] [--session-requests N] [--requests N] [--patience MS] [--hostname NAME]\n"
    "  [--rendezvous PLACE] [--id NAME] [--address A] [--every N] [--average-interval MS]\n"
    "  [--mode local|synchronous] [--silence MS]";

milliseconds time(const Arguments& arguments, const char* option, long fallback) {
  return milliseconds(arguments.number(option, fallback, 0, 1'000'000'000));
}

size_t count(const Arguments& arguments, const char* option, size_t fallback) {
  return static_cast<size_t>(arguments.number(option, static_cast<long>(fallback), 1, 1'000'000'000));
}

struct Served {
  Tensor weight;
  io::Model model;
  io::Update update;
  std::function<Tensors()> save = {};
  std::function<void(const Tensors&)> load = {};
};

void descend(const Gradients& gradients) { optim::sgd(gradients, 0.02); }

Served counting(int64_t size) {
  const Tensor w = zeros({size}, DType::f64).requires_grad(true);
  return {w, [w](Tensor index) { return take(w, index); },
          [](const Gradients& found) {
            for (const auto& [weight, gradient] : found) weight.update((weight + gradient).detach());
          }};
}

Served line(int64_t size) {
  const Tensor w = zeros({size, 1}, DType::f64).requires_grad(true);
  const optim::Adam adam({.learning_rate = 0.05});
  Tensors named;
  named.set("w", w);
  return {w, [w](Tensor x) { return matmul(x, w); }, adam,
          [adam, named] {
            Tensors state;
            for (const auto& [name, tensor] : adam.state(named)) state.set("adam/" + name, tensor);
            return state;
          },
          [adam, named](const Tensors& all) {
            Tensors state;
            for (const auto& [name, tensor] : all)
              if (name.starts_with("adam/")) state.set(name.substr(5), tensor);
            adam.load_state(state, named);
          }};
}

Served heavy(int64_t size) {
  const Tensor w = zeros({size}).requires_grad(true);
  return {w, [w](Tensor x) { return exp(x * w); }, descend};
}

Served link(const std::string& upstream) {
  const Tensor w = scalar(1.0).requires_grad(true);
  if (upstream.empty()) return {w, [w](Tensor x) { return x * w; }, descend};
  const io::RemoteModel next = io::remote_model(upstream);
  return {w,
          [w, next](Tensor x) -> Task<Tensor> {
            const Tensor y = co_await next(x);
            co_return y* w;
          },
          descend};
}

Served device() {
  const Tensor w = scalar(1.0).requires_grad(true);
  const auto free_at = std::make_shared<std::chrono::steady_clock::time_point>();
  return {w,
          [w, free_at](Tensor x) -> Task<Tensor> {
            const auto now = std::chrono::steady_clock::now();
            *free_at = std::max(*free_at, now) + milliseconds(20);
            co_await util::sleep(std::chrono::duration_cast<milliseconds>(*free_at - now));
            co_return x* w;
          },
          descend};
}

Served choose(const Arguments& arguments) {
  const std::string name = arguments.choice("--model", {"count", "line", "heavy", "link", "device"});
  const auto size = static_cast<int64_t>(count(arguments, "--size", 8));
  if (name == "count") return counting(size);
  if (name == "line") return line(size);
  if (name == "heavy") return heavy(size);
  if (name == "device") return device();
  return link(arguments.text("--upstream", ""));
}

// The plain mean, so that steps which one replica takes alone are counted in full.
io::ReplicaOptions replicas_of(const Arguments& arguments) {
  io::ReplicaOptions out;
  out.rendezvous = arguments.text("--rendezvous", "");
  out.id = arguments.text("--id", "");
  out.address = arguments.text("--address", out.address);
  out.every = count(arguments, "--every", 50);
  out.interval = time(arguments, "--average-interval", 0);
  out.timeout = time(arguments, "--silence", out.timeout.count());
  out.synchronous = arguments.choice("--mode", {"local", "synchronous"}) == "synchronous";
  out.outer_rate = 1;
  out.outer_momentum = 0;
  return out;
}

io::ServeOptions options_of(const Arguments& arguments, const Served& served) {
  io::ServeOptions out;
  out.port = static_cast<uint16_t>(arguments.number("--port", 0, 0, UINT16_MAX));
  io::ServeLimits& limits = out.limits;
  limits.ticket_lifetime = time(arguments, "--lifetime", limits.ticket_lifetime.count());
  limits.session_lifetime = time(arguments, "--lifetime", limits.session_lifetime.count());
  limits.finished_lifetime = time(arguments, "--lifetime", limits.finished_lifetime.count());
  limits.answer_lifetime = time(arguments, "--lifetime", limits.answer_lifetime.count());
  limits.shutdown_grace = time(arguments, "--grace", limits.shutdown_grace.count());
  limits.header_timeout = time(arguments, "--patience", limits.header_timeout.count());
  limits.body_timeout = time(arguments, "--patience", limits.body_timeout.count());
  limits.max_hops = count(arguments, "--hops", limits.max_hops);
  limits.max_tickets_per_session = count(arguments, "--session-tickets", limits.max_tickets_per_session);
  limits.max_requests_in_flight_per_session =
      count(arguments, "--session-requests", limits.max_requests_in_flight_per_session);
  limits.max_requests_in_flight = count(arguments, "--requests", limits.max_requests_in_flight);
  if (const long norm = arguments.number("--norm", 0, 0, 1'000'000); norm > 0)
    out.guard.max_norm = static_cast<double>(norm);
  out.hostname = arguments.text("--hostname", out.hostname);
  out.insecure = true;
  out.replicas = replicas_of(arguments);
  io::CheckpointOptions& checkpoint = out.checkpoint;
  checkpoint.directory = arguments.text("--directory", "");
  checkpoint.weights = {{"w", served.weight}};
  checkpoint.save_state = served.save;
  checkpoint.load_state = served.load;
  checkpoint.interval = time(arguments, "--interval", checkpoint.interval.count());
  if (arguments.choice("--durability", {"interval", "every-update"}) == "every-update")
    checkpoint.durability = io::Durability::kEveryUpdate;
  return out;
}

struct Runs {
  int naps = 0, works = 0;
};

io::Routes more_routes(const Tensor& weight, const std::shared_ptr<Runs>& runs) {
  return {{"weights", [weight](User&) { return weight.detach(); }},
          {"nap",
           [runs](User&, Tensor time) -> Task<Tensor> {
             ++runs->naps;
             co_await util::sleep(milliseconds(time.item<int64_t>()));
             co_return time;
           }},
          {"work",
           [runs](User&, Tensor time) {
             ++runs->works;
             std::puts("working");
             std::fflush(stdout);
             const auto end = std::chrono::steady_clock::now() + milliseconds(time.item<int64_t>());
             while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
             return time;
           }},
          {"runs", [runs](User&) { return Json(runs->naps + runs->works); }}};
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, kUsage);
  // A file at its size limit is an error of write(), as a full disk is.
  signal(SIGXFSZ, SIG_IGN);
  try {
    const auto runs = std::make_shared<Runs>();
    {
      const Served served = choose(arguments);
      io::Server server =
          io::serve_model(served.model, served.update, options_of(arguments, served), more_routes(served.weight, runs));
      fmt::print("serving on {}\n", server.url());
      std::fflush(stdout);
      server.wait();
    }
    fmt::print("ended: {} naps, {} works\n", runs->naps, runs->works);
  } catch (const std::exception& error) {
    fmt::print(stderr, "training_server: {}\n", error.what());
    return 1;
  }
}
