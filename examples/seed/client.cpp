// The data team's side: owns the data and the loss, trains the model that it
// never sees. The backward pass crosses the network by itself.
#include <fmt/core.h>

#include "data.hpp"
#include "shumai/shumai.hpp"

sm::Task<> train(std::string url) {
  double first = 0, last = 0;
  for (int step : sm::util::viter(200)) {
    auto [input, ref_output] = get_data();
    auto backward = [url](sm::GradContext grad) { return sm::io::tfetch(url + "/optimize", grad.grad_in); };
    auto output = co_await sm::io::tfetch(url + "/forward", input, {.grad_fn = backward});
    auto loss = sm::loss::mse(output, ref_output);
    co_await loss.backward_async();
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  fmt::print("loss {:.3g} -> {:.3g}\n", first, last);
}

int main(int argc, char** argv) { sm::run(train(argc > 1 ? argv[1] : "localhost:3000")); }
