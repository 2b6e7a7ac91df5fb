// The other half of the model: serves x + b, learns b, and answers each
// gradient with that of x, so that whoever made x can learn as well.
#include "distributed/server.hpp"

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "distributed_b [--port N]");
  auto b = sm::scalar(0.f).requires_grad(true);
  auto model = [&](sm::Tensor x) { return x + b; };
  auto server = sm::io::serve_model(model, descend, on_port(arguments, 3002));
  serve_until_asked_to_stop(server);
}
