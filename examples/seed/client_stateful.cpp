// The same client without a callback: the gradient is asked for, read and sent by hand.
#include <fmt/core.h>

#include "data.hpp"
#include "shumai/shumai.hpp"

sm::Task<> train(std::string url) {
  double first = 0, last = 0;
  for (int step : sm::util::viter(200)) {
    auto [input, ref_output] = get_data();
    auto output = co_await sm::io::tfetch(url + "/forward", input);
    output.requires_grad(true);
    auto loss = sm::loss::mse(output, ref_output);
    loss.backward();
    co_await sm::io::tfetch(url + "/optimize", output.grad());
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  fmt::print("loss {:.3g} -> {:.3g}\n", first, last);
}

int main(int argc, char** argv) { sm::run(train(argc > 1 ? argv[1] : "localhost:3000")); }
