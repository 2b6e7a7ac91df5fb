// The model team's side: serves y = x * weight, and moves the weight by the
// gradients that come back. Runs until Ctrl-C.
#include <cstdio>
#include <cstdlib>

#include "shumai/shumai.hpp"

int main(int argc, char** argv) {
  const auto port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 3000);
  auto weight = sm::scalar(1.718f).requires_grad(true);
  auto model = [&](sm::Tensor x) { return x * weight; };

  auto server = sm::io::serve(
      {
          {"forward",
           [&](sm::User& user, sm::Tensor x) {
             auto y = model(x);
             user.set("opt", [y](sm::Tensor jacobian) { sm::optim::sgd(y.backward(jacobian), 1e-2); });
             return y;
           }},
          {"optimize", [](sm::User& user, sm::Tensor jacobian) { user.call("opt", jacobian); }},
      },
      {.port = port});
  std::printf("serving on %s\n", server.url().c_str());
  std::fflush(stdout);
  server.wait();
}
