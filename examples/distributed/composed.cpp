// A model made of two others on other servers: b(a(x)). It has no weights of
// its own; gradients flow back through b, then a, and each learns its part.
// To its clients it is a model like any other.
#include "distributed/server.hpp"

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "distributed_composed URL_A URL_B [--port N]", 2);
  auto a = sm::io::remote_model(arguments.positional(0));
  auto b = sm::io::remote_model(arguments.positional(1));
  auto model = [&](sm::Tensor x) -> sm::Task<sm::Tensor> {
    auto scaled = co_await a(x);
    co_return co_await b(scaled);
  };
  auto nothing_of_its_own = [](const sm::Gradients&) {};
  auto server = sm::io::serve_model(model, nothing_of_its_own, on_port(arguments, 3000));
  serve_until_asked_to_stop(server);
}
