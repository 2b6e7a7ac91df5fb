// The names of docs/parity.md in C++: this file compiles only while they exist.
#include <gtest/gtest.h>
#include <shumai/shumai.hpp>

#include "ops/op.hpp"

namespace {

using sm::arange, sm::checkpoint, sm::from_data, sm::from_dlpack, sm::full, sm::gradcheck, sm::identity, sm::linspace,
    sm::load, sm::manual_seed, sm::ones, sm::rand, sm::randn, sm::run, sm::save, sm::scalar, sm::tensor, sm::to_dlpack,
    sm::with_grad_fn, sm::zeros;
using sm::io::serve, sm::io::tfetch, sm::io::serve_model, sm::network::remote_model;
using sm::loss::binary_cross_entropy, sm::loss::binary_cross_entropy_with_logits, sm::loss::cross_entropy,
    sm::loss::cross_entropy_of_probabilities, sm::loss::huber, sm::loss::kl_div, sm::loss::mae, sm::loss::mse,
    sm::loss::nll, sm::loss::smooth_l1;
using sm::nn::Linear, sm::nn::Conv1d, sm::nn::Conv2d, sm::nn::AvgPool2d, sm::nn::MaxPool2d, sm::nn::LayerNorm,
    sm::nn::BatchNorm2d, sm::nn::GroupNorm, sm::nn::RMSNorm, sm::nn::Dropout, sm::nn::Embedding, sm::nn::LSTM,
    sm::nn::GRU, sm::nn::DotProductAttention, sm::nn::MultiheadAttention, sm::nn::TransformerPositionalEncoding,
    sm::nn::TransformerEncoder, sm::nn::TransformerEncoderLayer, sm::nn::TransformerDecoder,
    sm::nn::TransformerDecoderLayer;
using sm::nn::Module, sm::nn::Sequential, sm::NoGrad, sm::Tensors, sm::User;
using sm::optim::sgd, sm::optim::SGD, sm::optim::Adam, sm::optim::AdamW, sm::optim::RMSprop, sm::optim::clip_grad_norm,
    sm::optim::clip_grad_value, sm::optim::constant_lr, sm::optim::linear_lr, sm::optim::step_lr,
    sm::optim::multi_step_lr, sm::optim::exponential_lr, sm::optim::polynomial_lr, sm::optim::cosine_annealing_lr,
    sm::optim::cosine_annealing_warm_restarts, sm::optim::one_cycle_lr, sm::optim::lambda_lr, sm::optim::sequential_lr;
using sm::util::all, sm::util::shuffle, sm::util::sleep, sm::util::viter;

constexpr const char* kOps[] = {"reshape",
                                "transpose",
                                "tile",
                                "split",
                                "squeeze",
                                "unsqueeze",
                                "flip",
                                "roll",
                                "triu",
                                "tril",
                                "expand",
                                "concatenate",
                                "stack",
                                "pad",
                                "add",
                                "sub",
                                "mul",
                                "div",
                                "mod",
                                "power",
                                "maximum",
                                "minimum",
                                "negative",
                                "absolute",
                                "exp",
                                "log",
                                "log1p",
                                "sqrt",
                                "sin",
                                "cos",
                                "tanh",
                                "sigmoid",
                                "erf",
                                "floor",
                                "ceil",
                                "rint",
                                "sign",
                                "clip",
                                "where",
                                "relu",
                                "relu6",
                                "leaky_relu",
                                "elu",
                                "gelu",
                                "silu",
                                "hard_tanh",
                                "threshold_relu",
                                "softmax",
                                "log_softmax",
                                "eq",
                                "neq",
                                "lt",
                                "lte",
                                "gt",
                                "gte",
                                "logical_and",
                                "logical_or",
                                "logical_not",
                                "bitwise_and",
                                "bitwise_or",
                                "bitwise_xor",
                                "bitwise_not",
                                "l_shift",
                                "r_shift",
                                "isnan",
                                "isinf",
                                "isfinite",
                                "sum",
                                "mean",
                                "median",
                                "variance",
                                "std",
                                "amax",
                                "amin",
                                "argmax",
                                "argmin",
                                "all",
                                "any",
                                "count_nonzero",
                                "nonzero",
                                "cumsum",
                                "sort",
                                "argsort",
                                "norm",
                                "normalize",
                                "einsum",
                                "iota",
                                "conv1d",
                                "xavier_uniform",
                                "xavier_normal",
                                "topk",
                                "logsumexp",
                                "matmul",
                                "conv2d",
                                "avg_pool2d",
                                "max_pool2d",
                                "embedding",
                                "dropout",
                                "gather",
                                "scatter",
                                "take",
                                "masked_select",
                                "astype"};

TEST(Documented, OperationsOfTheParityTableExist) {
  for (const char* name : kOps) EXPECT_NO_THROW(sm::ops::find(name)) << name;
}

TEST(Documented, NamesOfTheOriginalAreCallableAsMethods) {
  const sm::Tensor x = tensor({{1.f, 4.f}, {9.f, 16.f}});
  EXPECT_EQ(x.negate().abs().sum().item<int>(), x.negative().absolute().sum().item<int>());
  EXPECT_EQ(x.negate().abs().sum().item<int>(), 30);
  EXPECT_EQ(x.mm(x).shape(), x.matmul(x).shape());
  EXPECT_EQ(x.index({0, ":"}).elements(), 2);
  EXPECT_EQ(x.gt(4).sum().item<int>(), x.greater_than(4).sum().item<int>());
}

}  // namespace
