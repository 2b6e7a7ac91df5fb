// Five pointwise operations on a million elements, in two chains: one with a
// transcendental function, one that memory bounds.
#include "workloads.hpp"

namespace bench {
namespace {

constexpr int64_t kElements = 1'000'000;

struct Inputs {
  sm::Tensor x = noise({kElements}, 1), y = noise({kElements}, 2), z = noise({kElements}, 3), w = noise({kElements}, 4);
};

sm::Tensor gate(const Inputs& in) { return sm::sigmoid(in.x * in.w + in.y) * in.x + in.z; }
sm::Tensor clip(const Inputs& in) { return sm::square(sm::relu((in.x + in.y) * 0.5 - in.z)); }

Workload chain(const sm::Json& arguments) {
  const auto compute = arguments["chain"].as_string() == "gate" ? gate : clip;
  const Inputs in;
  if (!arguments["backward"].as_bool()) {
    const auto forward = [=] { return compute(in); };
    return repeat([=] { consume(forward()); }, [=] { return std::vector<double>{mean_square(forward())}; });
  }
  (void)in.x.requires_grad(true);
  (void)in.y.requires_grad(true);
  const auto gradient = noise({kElements}, 5);
  const auto step = [=] {
    compute(in).backward(gradient);
    consume(in.x.grad());
    consume(in.y.grad());
  };
  return repeat(step, [=] { return step(), std::vector<double>{mean_square(in.x.grad()), mean_square(in.y.grad())}; });
}

}  // namespace

Workloads pointwise_workloads() { return {{"pointwise", chain}}; }

}  // namespace bench
