// The model team's side of the demo: a small convolutional network, served.
// It gets pictures and gradients; labels, losses and fonts it never sees.
// Several of them, told where to meet, learn together (docs/replicas.md).
// Runs until Ctrl-C.
#include <fmt/core.h>

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"

namespace {

// Normal with variance 2 / inputs, which keeps the size of activations from
// layer to layer under relu: He et al., "Delving Deep into Rectifiers", 2015.
sm::Tensor initial_weight(const sm::Dims& shape, int inputs) {
  return (sm::randn(shape) * std::sqrt(2.0 / inputs)).requires_grad(true);
}

sm::Tensor initial_bias(int outputs) { return sm::zeros({outputs}).requires_grad(true); }

// Pictures [n, 1, 28, 28] to logits [n, 10].
struct Network {
  sm::Tensor filter1 = initial_weight({8, 1, 5, 5}, 25), bias1 = initial_bias(8);
  sm::Tensor filter2 = initial_weight({16, 8, 5, 5}, 8 * 25), bias2 = initial_bias(16);
  sm::Tensor weight = initial_weight({16 * 7 * 7, 10}, 16 * 7 * 7), bias = initial_bias(10);

  sm::Tensors weights() const {
    return {{"filter1", filter1}, {"bias1", bias1},   {"filter2", filter2},
            {"bias2", bias2},     {"weight", weight}, {"bias", bias}};
  }

  sm::Tensor operator()(sm::Tensor x) const {
    x = sm::max_pool2d(sm::relu(sm::conv2d(x, filter1, bias1, {1, 1}, {2, 2})), {2, 2});
    x = sm::max_pool2d(sm::relu(sm::conv2d(x, filter2, bias2, {1, 1}, {2, 2})), {2, 2});
    return sm::matmul(x.reshape({x.size(0), -1}), weight) + bias;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv,
                            "digits_server [--port N] [--host ADDRESS] [--seed N]\n"
                            "  [--replicas PLACE] [--replica-id NAME] [--replica-address ADDRESS] [--average-every N]\n"
                            "  [--averages local|synchronous]");
  sm::manual_seed(static_cast<uint64_t>(arguments.number("--seed", 1, 0, INT64_MAX)));

  const sm::optim::SGD sgd({.momentum = 0.9, .nesterov = true, .weight_decay = 5e-4});
  int updates = 0;
  const auto update = [&](const sm::Gradients& gradients) {
    // Small enough for gradients that are an update or two old, and falling, so
    // that the end is quieter than the start.
    sgd.set_learning_rate(0.02 / (1 + updates++ / 1000.0));
    sgd(gradients);
  };

  sm::io::ServeOptions options;
  options.port = static_cast<uint16_t>(arguments.number("--port", 3000, 0, UINT16_MAX));
  // Whoever names an address wants to be reached there.
  options.insecure = !arguments.text("--host", "").empty();
  options.hostname = arguments.text("--host", options.hostname);
  const Network network;
  options.replicas.rendezvous = arguments.text("--replicas", "");
  options.replicas.id = arguments.text("--replica-id", "");
  options.replicas.address = arguments.text("--replica-address", options.replicas.address);
  options.replicas.every = static_cast<uint64_t>(arguments.number("--average-every", 50, 1, INT64_MAX));
  options.replicas.synchronous = arguments.choice("--averages", {"local", "synchronous"}) == "synchronous";
  options.replicas.weights = network.weights();
  auto server = sm::io::serve_model(network, update, options);
  fmt::print("serving on {}\n", server.url());
  std::fflush(stdout);
  server.wait();
}
