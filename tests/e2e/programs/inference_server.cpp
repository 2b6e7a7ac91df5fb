// A server for tests/exchange/inference.py: "echo" answers what it gets, "digits" has declared tensors.
#include <cstdio>

#include "shumai/shumai.hpp"

int main() {
  using namespace sm;
  io::ServeOptions options;
  options.port = 0;
  options.inference = {{.name = "echo", .route = "forward"},
                       {.name = "digits",
                        .route = "score",
                        .inputs = {{"image", DType::u8, {-1, 4}}},
                        .outputs = {{"scores", DType::f32, {-1, 2}}}}};
  io::Server server = io::serve({{"forward", [](io::User&, io::Content content) { return content; }},
                                 {"score",
                                  [](io::User&, Tensor x) {
                                    return reshape(x.astype(DType::f32), {-1, 2, 2}).sum(2);
                                  }}},
                                options);
  std::printf("serving on %s\n", server.url().c_str());
  std::fflush(stdout);
  server.wait();
}
