// One half of a model that is spread over machines: serves m * x and learns m.
// It knows neither the other half nor the data.
//
//   distributed_a --port 3001 & distributed_b --port 3002 &
//   distributed_composed localhost:3001 localhost:3002 --port 3000 &
//   distributed_data localhost:3000
#include "distributed/server.hpp"

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "distributed_a [--port N]");
  auto m = sm::scalar(1.f).requires_grad(true);
  auto model = [&](sm::Tensor x) { return x * m; };
  auto server = sm::io::serve_model(model, descend, on_port(arguments, 3001));
  serve_until_asked_to_stop(server);
}
