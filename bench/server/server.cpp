// The server of the remote workloads. Prints its port, serves until its input
// ends.
//
//   forward          x times a scalar, trained by optimize
//   matrix/forward   x [512, 128] times a weight [128, 8], trained by matrix/optimize
//   echo             x itself
//   ticket           x itself, and a ticket that holds nothing
//
// bench_server --many has no limits on what it keeps for clients. bench_server
// --batch N serves an MLP 784-1024-10 alone, at forward and optimize, with
// batches of N rows; 1: none.
#include <cstdio>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>

#include "shumai/shumai.hpp"

namespace {

constexpr double kLearningRate = 1e-2;

template <class Model>
sm::io::Handler trained(Model model) {
  return [model](sm::User& user, sm::Tensor x) {
    auto y = model(x);
    user.set("opt", [y](sm::Tensor jacobian) { sm::optim::sgd(y.backward(jacobian), kLearningRate); });
    return y;
  };
}

sm::io::ServeOptions options_of(bool many) {
  sm::io::ServeOptions options;
  options.port = 0;
  if (!many) return options;
  constexpr size_t kAll = std::numeric_limits<int32_t>::max();
  options.limits.max_sessions = options.limits.max_tickets = options.limits.max_tickets_per_session = kAll;
  options.limits.max_connections = kAll;
  options.limits.ticket_lifetime = options.limits.session_lifetime;
  return options;
}

sm::io::Server serve_mlp(size_t rows) {
  const auto weight = [](int64_t in, int64_t out) {
    return (sm::randn({in, out}) * 0.03).detach().requires_grad(true);
  };
  const auto first = weight(784, 1024), second = weight(1024, 10);
  sm::io::ServeOptions options;
  options.port = 0;
  options.batch.max = rows;
  options.limits.max_tickets_per_session = 4;  // nobody trains
  return sm::io::serve_model([=](sm::Tensor x) { return matmul(relu(matmul(x, first)), second); },
                             sm::optim::SGD({.learning_rate = kLearningRate}), options);
}

// Until the input ends.
void announce(const sm::io::Server& server) {
  std::printf("%d\n", server.port());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--batch") {
    announce(serve_mlp(std::stoul(argv[2])));
    return 0;
  }
  const auto scalar = sm::scalar(1.718f).requires_grad(true);
  const auto matrix = sm::zeros({128, 8}).requires_grad(true);
  const auto optimize = [](sm::User& user, sm::Tensor jacobian) { user.call("opt", jacobian); };
  const auto server = sm::io::serve(
      {
          {"forward", trained([scalar](const sm::Tensor& x) { return x * scalar; })},
          {"optimize", optimize},
          {"matrix/forward", trained([matrix](const sm::Tensor& x) { return sm::matmul(x, matrix); })},
          {"matrix/optimize", optimize},
          {"echo", [](sm::User&, sm::Tensor x) { return x; }},
          {"ticket",
           [](sm::User& user, sm::Tensor x) {
             user.set("opt", [](sm::Tensor) {});
             return x;
           }},
      },
      options_of(argc > 1 && std::string_view(argv[1]) == "--many"));
  announce(server);
}
