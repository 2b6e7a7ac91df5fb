// Matrix products, and a hidden layer: a product and five pointwise operations.
#include "workloads.hpp"

namespace bench {
namespace {

Workload matmul(const sm::Json& arguments) {
  const int64_t n = arguments["size"].as_int64();
  const auto a = noise({n, n}, 1), b = noise({n, n}, 2);
  return repeat([a, b] { consume(sm::matmul(a, b)); },
                [a, b] { return std::vector<double>{mean_square(sm::matmul(a, b))}; });
}

Workload hidden(const sm::Json& arguments) {
  constexpr int64_t kRows = 64;
  const int64_t width = arguments["width"].as_int64();
  const sm::nn::Linear linear(width, width);
  fill_parameters(linear);
  const auto x = noise({kRows, width}, 5);
  const auto layer = [linear, x] {
    const auto h = linear(x);
    return sm::relu(h * sm::sigmoid(h * 1.702) + x);
  };
  if (!arguments["backward"].as_bool()) {
    const auto forward = [layer] {
      const sm::NoGrad guard;
      return layer();
    };
    return repeat([forward] { consume(forward()); }, [forward] { return std::vector<double>{mean_square(forward())}; });
  }
  const auto gradient = noise({kRows, width}, 6);
  const auto step = [=] {
    layer().backward(gradient);
    consume(linear.weight().grad());
    consume(linear.bias().grad());
  };
  return repeat(step, [=] { return step(), std::vector<double>{mean_square(linear.weight().grad())}; });
}

}  // namespace

Workloads matmul_workloads() { return {{"matmul", matmul}, {"hidden", hidden}}; }

}  // namespace bench
