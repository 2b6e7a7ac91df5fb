// Our client against a server at {"port": n}.
#include "workloads.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string url_of(const sm::Json& arguments) {
  return "http://127.0.0.1:" + std::to_string(arguments["port"].as_int64());
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

sm::Task<> call_again(std::string url, sm::Tensor input, Clock::time_point end, std::vector<double>& times) {
  // Once at least, however long the machine stood still.
  do {
    const auto before = Clock::now();
    const sm::Tensor output = co_await sm::io::tfetch(url, input);
    consume(output);
    times.push_back(seconds_since(before));
  } while (Clock::now() < end);
}

// 256 float32 there and back, {"connections": n} requests at a time. Of one: the
// median of what each takes; of more: seconds for a request, over all together.
Workload remote_forward(const sm::Json& arguments) {
  const int64_t connections = arguments["connections"].as_int64();
  return {[connections, url = url_of(arguments) + "/forward", x = noise({256}, 1)](double seconds) {
    std::vector<double> times;
    std::vector<sm::Task<>> callers;
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (int64_t i = 0; i < connections; ++i) callers.push_back(call_again(url, x, end, times));
    sm::run(sm::util::all(std::move(callers)));
    if (connections > 1) return seconds_since(start) / static_cast<double>(times.size());
    const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
  }};
}

// A step as the data team takes it: forward there, loss here, and the gradient
// back there, where the weight moves.
struct Trainer {
  sm::io::RemoteModel model;
  sm::Tensor input, reference;

  sm::Task<double> step() const {
    const sm::Tensor output = co_await model(input);
    const sm::Tensor loss = sm::loss::mse(output, reference);
    co_await loss.backward_async();
    co_return loss.item<double>();
  }
  sm::Task<double> seconds_each(double seconds) const {
    const auto start = Clock::now();
    double spent = 0, steps = 0;
    for (; spent < seconds; spent = seconds_since(start)) {
      (void)co_await step();
      ++steps;
    }
    co_return spent / steps;
  }
  // Whether 20 steps get anywhere: the server may have learned long ago.
  sm::Task<bool> learns() const {
    const double first = co_await step();
    double last = first;
    for (int i = 0; i < 20; ++i) last = co_await step();
    co_return last < first || last < 1e-6;
  }
};

Workload remote_step(const sm::Json& arguments) {
  const bool scalar = arguments["model"].as_string() == "scalar";
  const auto input = scalar ? noise({128}, 1) : noise({512, 128}, 1);
  const Trainer trainer{sm::io::remote_model(url_of(arguments) + (scalar ? "" : "/matrix")), input,
                        scalar ? input * 3.0 : sm::matmul(input, noise({128, 8}, 2))};
  return {[trainer](double seconds) { return sm::run(trainer.seconds_each(seconds)); },
          [trainer] { return std::vector<double>{sm::run(trainer.learns()) ? 1.0 : 0.0}; }};
}

sm::Task<double> copy_there_and_back(std::string url, sm::Tensor input, double seconds) {
  const auto start = Clock::now();
  double spent = 0, calls = 0;
  for (; spent < seconds; spent = seconds_since(start)) {
    const sm::Tensor output = co_await sm::io::tfetch(url, input);
    consume(output);
    ++calls;
  }
  co_return spent / calls;
}

Workload remote_copy(const sm::Json& arguments) {
  const auto x = sm::zeros({arguments["bytes"].as_int64() / 4});
  return {
      [url = url_of(arguments) + "/echo", x](double seconds) { return sm::run(copy_there_and_back(url, x, seconds)); }};
}

}  // namespace

Workloads remote_workloads() {
  return {{"remote_forward", remote_forward}, {"remote_step", remote_step}, {"remote_copy", remote_copy}};
}

}  // namespace bench
