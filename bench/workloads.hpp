#pragma once

#include <cmath>
#include <vector>

#include "shumai/shumai.hpp"
#include "worker.hpp"

// Our side of every workload on tensors. Peers compute the same from the same
// numbers: noise() is in peers/torch_tensors.py and tensors.js as well.
namespace bench {

// Numbers between -scale and scale that look random.
inline sm::Tensor noise(const sm::Shape& shape, double seed, double scale = 1) {
  std::vector<float> values(static_cast<size_t>(sm::elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = std::sin(12.9898 * static_cast<double>(i) + 78.233 * seed) * 43758.5453;
    values[i] = static_cast<float>(scale * (2 * (x - std::floor(x)) - 1));
  }
  return sm::tensor(values, shape);
}

// Gives every parameter of a model, in order, the same values on all sides:
// small ones, so that a step goes downhill.
template <class Model>
void fill_parameters(const Model& model) {
  double seed = 1;
  for (const sm::Tensor& weight : model.parameters()) {
    const double columns = static_cast<double>(weight.elements()) / static_cast<double>(weight.size(0));
    weight.update(noise(weight.shape(), seed, columns > 1 ? 1 / std::sqrt(columns) : 0.1));
    seed += 1;
  }
}

// Makes sure that the elements have been computed, of a transposed matrix too.
inline void consume(const sm::Tensor& tensor) {
  const sm::Tensor in_order = tensor.is_contiguous() ? tensor : sm::transpose(tensor);
  const float* const elements = in_order.data<float>();
  asm volatile("" : : "r"(elements[0]) : "memory");
}

inline double mean_square(const sm::Tensor& tensor) { return sm::mean(sm::square(tensor)).item<double>(); }

Workloads small_workloads();
Workloads pointwise_workloads();
Workloads matmul_workloads();
Workloads training_workloads();
Workloads optimizer_workloads();
Workloads remote_workloads();

}  // namespace bench
