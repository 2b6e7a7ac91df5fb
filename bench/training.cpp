// Whole training steps: forward, loss, backward, update by plain gradient descent.
#include "workloads.hpp"

namespace bench {
namespace {

constexpr int64_t kBatch = 64;
constexpr double kLearningRate = 0.01;

sm::Tensor digits() {
  std::vector<int64_t> labels(kBatch);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i * 7 % 10);
  return sm::tensor(labels);
}

// A step, and as its check the losses of the first two.
template <class Model, class Loss>
Workload training(const Model& model, Loss loss) {
  fill_parameters(model);
  const sm::optim::SGD optimizer({.learning_rate = kLearningRate});
  const auto step = [model, loss, optimizer] {
    const sm::Tensor value = loss(model);
    optimizer(value.backward());
    return value;
  };
  return repeat([step] { consume(step()); },
                [model, step] {
                  fill_parameters(model);
                  const double first = step().template item<double>();
                  return std::vector<double>{first, step().template item<double>()};
                });
}

Workload mlp_step(const sm::Json&) {
  const sm::nn::Sequential model(sm::nn::Linear(784, 128), sm::relu, sm::nn::Linear(128, 10));
  return training(model, [x = noise({kBatch, 784}, 7), labels = digits()](const auto& model) {
    return sm::loss::cross_entropy(model(x), labels);
  });
}

Workload cnn_step(const sm::Json&) {
  using namespace sm::nn;
  const Sequential model(Conv2d(1, 16, 3, {.padding = 1}), sm::relu, MaxPool2d(2),   //
                         Conv2d(16, 32, 3, {.padding = 1}), sm::relu, MaxPool2d(2),  //
                         Flatten(), Linear(32 * 7 * 7, 10));
  return training(model, [x = noise({kBatch, 1, 28, 28}, 7), labels = digits()](const auto& model) {
    return sm::loss::cross_entropy(model(x), labels);
  });
}

// A block in the middle of a model: its input requires gradients too.
Workload transformer_step(const sm::Json&) {
  const sm::nn::TransformerEncoderLayer block(256, 4,
                                              {.feedforward = 1024,
                                               .dropout = 0,
                                               .activation = [](const sm::Tensor& x) { return sm::gelu(x); },
                                               .norm_first = true});
  const auto x = noise({8, 128, 256}, 7).requires_grad(true);
  const auto target = noise({8, 128, 256}, 8);
  // The gradient of the input is for whoever made it: descent moves the weights alone.
  fill_parameters(block);
  const sm::optim::SGD optimizer({.learning_rate = kLearningRate});
  const auto step = [=] {
    const sm::Tensor loss = sm::loss::mse(block(x), target);
    std::vector<sm::Gradients::Entry> of_weights;
    for (const auto& entry : loss.backward())
      if (!entry.tensor.same_as(x)) of_weights.push_back(entry);
    optimizer(sm::Gradients(std::move(of_weights)));
    consume(x.grad());
    return loss;
  };
  return repeat([step] { consume(step()); },
                [=] {
                  fill_parameters(block);
                  const double first = step().item<double>();
                  return std::vector<double>{first, step().item<double>(), mean_square(x.grad()) * 1e6};
                });
}

}  // namespace

Workloads training_workloads() {
  return {{"mlp_step", mlp_step}, {"cnn_step", cnn_step}, {"transformer_step", transformer_step}};
}

}  // namespace bench
