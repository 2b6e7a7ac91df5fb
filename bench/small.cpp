// What a small operation costs, and a scalar training step.
#include "workloads.hpp"

namespace bench {
namespace {

template <class F>
Workload one_operation(F operation) {
  return repeat([operation] { consume(operation()); },
                [operation] { return std::vector<double>{mean_square(operation())}; });
}

Workload unary(sm::Tensor (*operation)(const sm::Tensor&)) {
  return one_operation([operation, a = noise({32}, 1)] { return operation(a); });
}

// Multiply, square, backward.
Workload scalar_step(const sm::Json&) {
  const auto weight = sm::scalar(1.5f).requires_grad(true);
  const auto x = sm::scalar(2.0f);
  const auto step = [weight, x] { sm::square(x * weight).backward(); };
  return repeat([step, weight] { step(), consume(weight.grad()); },
                [step, weight] { return step(), std::vector<double>{weight.grad().item<double>()}; });
}

}  // namespace

Workloads small_workloads() {
  return {
      {"add",
       [](const sm::Json&) { return one_operation([a = noise({32}, 1), b = noise({32}, 2)] { return a + b; }); }},
      {"mul_number", [](const sm::Json&) { return one_operation([a = noise({32}, 1)] { return a * 2.0; }); }},
      {"exp", [](const sm::Json&) { return unary(sm::exp); }},
      {"sum", [](const sm::Json&) { return one_operation([a = noise({32}, 1)] { return sm::sum(a); }); }},
      {"matmul_8",
       [](const sm::Json&) {
         return one_operation([a = noise({8, 8}, 1)] { return sm::matmul(a, a); });
       }},
      {"scalar_step", scalar_step},
  };
}

}  // namespace bench
