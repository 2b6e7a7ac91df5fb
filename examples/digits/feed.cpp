// A data feed as a service: draws batches of labelled digits for whoever asks,
// in whatever language. The demo's JavaScript client trains on it; the model's
// server never hears of it. Runs until Ctrl-C.
#include <fmt/core.h>

#include <cstdint>
#include <cstdio>

#include "common/arguments.hpp"
#include "digits/draw.hpp"

namespace {

constexpr int64_t kMost = 4096;

// The number of pictures asked for, as a tensor of one element.
sm::Tensors batch(digits::Renderer& renderer, const sm::Tensor& count) {
  const auto n = count.item<int64_t>();
  if (n < 1 || n > kMost)
    throw sm::Error(sm::ErrorCode::kInvalidArgument, fmt::format("a batch has 1 to {} pictures, not {}", kMost, n));
  const auto [images, labels] = digits::draw(renderer, n);
  return {{"images", images}, {"labels", labels}};
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "digits_feed [--port N] [--seed N]");
  const auto seed = static_cast<uint64_t>(arguments.number("--seed", 1, 0, INT64_MAX));
  digits::Renderer training(digits::Split::kTrain, seed), held_out(digits::Split::kHeldOut, seed);
  sm::io::ServeOptions options;
  options.port = static_cast<uint16_t>(arguments.number("--port", 3001, 0, UINT16_MAX));
  auto server = sm::io::serve({{"train", [&](sm::User&, sm::Tensor count) { return batch(training, count); }},
                               {"held_out", [&](sm::User&, sm::Tensor count) { return batch(held_out, count); }}},
                              options);
  fmt::print("serving on {}\n", server.url());
  std::fflush(stdout);
  server.wait();
}
