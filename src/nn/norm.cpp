#include <string>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/layers.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {
namespace {

void check_last_sizes(const char* module, const Tensor& x, const Shape& shape) {
  bool same = x.ndim() >= shape.size();
  for (int i = 1; same && i <= shape.size(); ++i) same = x.size(-i) == shape[shape.size() - i];
  if (!same)
    throw Error(ErrorCode::kShapeMismatch, std::string(module) + ": expects a shape that ends in " + shape.to_string() +
                                               ", got " + x.shape().to_string());
}

void check_channels(const char* module, const char* expects, const Tensor& x, int64_t channels, int least, int most) {
  if (x.ndim() < least || x.ndim() > most || x.size(1) != channels)
    throw Error(ErrorCode::kShapeMismatch, std::string(module) + ": expects " + expects + " with " +
                                               std::to_string(channels) + " channels, got " + x.shape().to_string());
}

void check_shape(const char* module, const Shape& shape) {
  check_positive(module, "the rank of shape", shape.size());
  for (const int64_t size : shape) check_positive(module, "shape", size);
}

Tensor ones_if(bool wanted, const Shape& shape, DType dtype) { return wanted ? ones(shape, dtype) : Tensor(); }
Tensor zeros_if(bool wanted, const Shape& shape, DType dtype) { return wanted ? zeros(shape, dtype) : Tensor(); }

}  // namespace

LayerNorm::LayerNorm(Shape shape, NormOptions options) : shape_(std::move(shape)), epsilon_(options.epsilon) {
  check_shape("LayerNorm", shape_);
  weight_ = parameter("weight", ones_if(options.affine, shape_, options.dtype));
  bias_ = parameter("bias", zeros_if(options.affine && options.bias, shape_, options.dtype));
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  check_last_sizes("LayerNorm", x, shape_);
  return layer_norm(x, weight_, bias_, shape_.size(), epsilon_);
}

RMSNorm::RMSNorm(Shape shape, NormOptions options) : shape_(std::move(shape)), epsilon_(options.epsilon) {
  check_shape("RMSNorm", shape_);
  weight_ = parameter("weight", ones_if(options.affine, shape_, options.dtype));
}

Tensor RMSNorm::operator()(const Tensor& x) const {
  check_last_sizes("RMSNorm", x, shape_);
  return rms_norm(x, weight_, shape_.size(), epsilon_);
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, NormOptions options)
    : groups_(groups), channels_(channels), epsilon_(options.epsilon) {
  check_positive("GroupNorm", "groups", groups);
  check_positive("GroupNorm", "channels", channels);
  if (channels % groups != 0)
    throw Error(ErrorCode::kInvalidArgument, "GroupNorm: groups must divide channels, got " + std::to_string(groups) +
                                                 " for " + std::to_string(channels));
  weight_ = parameter("weight", ones_if(options.affine, {channels}, options.dtype));
  bias_ = parameter("bias", zeros_if(options.affine && options.bias, {channels}, options.dtype));
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  check_channels("GroupNorm", "[N, C, ...]", x, channels_, 2, Dims::kMaxRank);
  return group_norm(x, groups_, weight_, bias_, epsilon_);
}

BatchNorm2d::BatchNorm2d(int64_t channels, BatchNormOptions options) : channels_(channels), options_(options) {
  check_positive("BatchNorm2d", "channels", channels);
  weight_ = parameter("weight", ones_if(options.affine, {channels}, options.dtype));
  bias_ = parameter("bias", zeros_if(options.affine, {channels}, options.dtype));
  mean_ = buffer("running_mean", zeros({channels}, options.dtype));
  variance_ = buffer("running_var", ones({channels}, options.dtype));
  batches_ = buffer("num_batches_tracked", zeros({}, DType::i64));
}

Tensor BatchNorm2d::operator()(const Tensor& x) const {
  check_channels("BatchNorm2d", "[N, C, H, W]", x, channels_, 4, 4);
  if (training()) return normalize_batch(x);
  return batch_norm(x, mean_, variance_, weight_, bias_, options_.epsilon);
}

Tensor BatchNorm2d::normalize_batch(const Tensor& x) const {
  const int64_t count = x.elements() / channels_;
  if (count < 2)
    throw Error(ErrorCode::kShapeMismatch,
                "BatchNorm2d: training needs more than one value for each channel, got " + x.shape().to_string());
  const Dims axes = {0, 2, 3};
  const Tensor mean_of_batch = mean(x, axes), variance_of_batch = variance(x, axes, false, 0);
  {
    const NoGrad guard;
    const double share = options_.momentum;
    const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
    mean_.update(mean_ * (1 - share) + mean_of_batch * share);
    variance_.update(variance_ * (1 - share) + variance_of_batch * (share * unbiased));
    batches_.update(batches_ + 1);
  }
  return batch_norm(x, mean_of_batch, variance_of_batch, weight_, bias_, options_.epsilon);
}

}  // namespace sm::nn
