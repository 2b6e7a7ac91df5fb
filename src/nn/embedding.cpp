#include <string>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/layers.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {

Embedding::Embedding(int64_t count, int64_t width, EmbeddingOptions options) {
  check_positive("Embedding", "count", count);
  check_positive("Embedding", "width", width);
  weight_ = parameter("weight", randn({count, width}, options.dtype));
}

Tensor Embedding::operator()(const Tensor& indices) const { return embedding(weight_, indices); }

Dropout::Dropout(double p) : p_(p) { check_probability("Dropout", p); }

Tensor Dropout::operator()(const Tensor& x) const { return dropout(x, p_, training()); }

}  // namespace sm::nn
