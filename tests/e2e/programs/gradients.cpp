// Gradients of a random model, for clients to compare.
//
//   gradients serve SEED       serves it; /weights has its tensors, /gradients those of the last step, which moves
//   nothing gradients ask URL FILE     sends "input" of a safetensors file to it, and back "jacobian"; writes "output"
//   and
//                              "input_gradient" into the file
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "shumai/shumai.hpp"

namespace {

using namespace sm;

constexpr const char* kUsage = "gradients serve SEED [HOSTNAME TOKEN] | gradients ask URL FILE\n";

void serve(uint64_t seed, const std::string& hostname, const std::string& token) {
  manual_seed(seed);
  const nn::Sequential model(
      nn::Linear(5, 7), [](Tensor x) { return gelu(x); }, nn::LayerNorm(Shape{7}), [](Tensor x) { return tanh(x); },
      nn::Linear(7, 3));
  const auto last = std::make_shared<Tensors>();
  const auto keep = [model, last](const Gradients& found) {
    *last = Tensors();
    for (const auto& [name, weight] : model.named_parameters())
      for (const auto& [tensor, gradient] : found)
        if (tensor.same_as(weight)) last->set(name, gradient.detach());
  };
  io::ServeOptions options;
  options.port = 0;
  options.hostname = hostname;
  if (!token.empty()) options.tokens = {{.name = "data", .secret = token}};
  io::Server server = io::serve_model(
      model, keep, options,
      {{"weights", [model](User&) { return model.state(); }}, {"gradients", [last](User&) { return *last; }}});
  fmt::print("serving on {}\n", server.url());
  std::fflush(stdout);
  server.wait();
}

Task<> ask(std::string url, std::string file) {
  Tensors tensors = load(file);
  const io::RemoteModel model = io::remote_model(url);
  const Tensor input = tensors["input"].copy().requires_grad(true);
  const Tensor output = co_await model(input);
  const Tensor jacobian = tensors["jacobian"];
  co_await output.backward_async(jacobian);
  tensors.set("output", output.detach());
  tensors.set("input_gradient", input.grad());
  save(file, tensors);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "serve" && (argc == 3 || argc == 5)) {
      serve(std::strtoull(argv[2], nullptr, 10), argc == 5 ? argv[3] : "127.0.0.1", argc == 5 ? argv[4] : "");
    } else if (mode == "ask" && argc == 4) {
      sm::run(ask(argv[2], argv[3]));
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "gradients: {}\n", error.what());
    return 1;
  }
}
