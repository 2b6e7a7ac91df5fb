// module_files DIRECTORY: writes each kind of module, begun by seed 7 and trained a little, for tests in JavaScript.
// NAME.begin.safetensors has the weights as the constructor drew them, NAME.safetensors those of the file to load, and
// NAME.calls.safetensors what goes in ("in.0", ...) and comes out ("out.0", ...) in eval mode.
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shumai/shumai.hpp"

namespace {

using namespace sm;

using Call = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

Tensor noise(const Shape& shape) { return rand(shape) - 0.5; }

void move(const Tensors& tensors) {
  for (const auto& [name, tensor] : tensors)
    if (tensor.dtype() == DType::f32) tensor.update(tensor.detach() + rand(tensor.shape()));
}

void write(const std::string& path, const nn::Module& module, const std::vector<Tensor>& inputs, const Call& call) {
  module.save(path + ".begin.safetensors");
  move(module.state());
  module.eval();
  module.save(path + ".safetensors");
  const NoGrad guard;
  Tensors calls;
  for (size_t i = 0; i < inputs.size(); ++i) calls.set("in." + std::to_string(i), inputs[i]);
  const std::vector<Tensor> outputs = call(inputs);
  for (size_t i = 0; i < outputs.size(); ++i) calls.set("out." + std::to_string(i), outputs[i]);
  save(path + ".calls.safetensors", calls);
}

// A module of one input and one output.
template <class M, class... Args>
void simple(const std::string& path, const Shape& input, Args&&... args) {
  manual_seed(7);
  const M module(std::forward<Args>(args)...);
  write(path, module, {noise(input)}, [&](const auto& in) { return std::vector<Tensor>{module(in[0])}; });
}

void write_layers(const std::string& directory) {
  simple<nn::Linear>(directory + "/Linear", {5, 3}, 3, 4);
  simple<nn::Conv1d>(directory + "/Conv1d", {2, 4, 9}, 4, 6, 3,
                     nn::ConvOptions{.stride = 2, .padding = 1, .groups = 2});
  simple<nn::Conv2d>(directory + "/Conv2d", {2, 3, 7, 8}, 3, 4, Dims{3, 2},
                     nn::ConvOptions{.stride = 2, .padding = Dims{1, 0}});
  simple<nn::AvgPool2d>(directory + "/AvgPool2d", {1, 2, 6, 6}, 3, nn::PoolOptions{.stride = 2, .padding = 1});
  simple<nn::MaxPool2d>(directory + "/MaxPool2d", {1, 2, 6, 6}, 2);
  simple<nn::LayerNorm>(directory + "/LayerNorm", {4, 2, 3}, Shape{2, 3});
  simple<nn::RMSNorm>(directory + "/RMSNorm", {4, 3}, Shape{3});
  simple<nn::GroupNorm>(directory + "/GroupNorm", {2, 4, 5}, 2, 4);
  simple<nn::BatchNorm2d>(directory + "/BatchNorm2d", {2, 3, 4, 4}, 3);
  simple<nn::Dropout>(directory + "/Dropout", {4, 3}, 0.5);
  manual_seed(7);
  nn::Sequential steps;
  steps.add(nn::Linear(3, 4));
  steps.add([](const Tensor& x) { return relu(x); });
  steps.add(nn::Linear(4, 2));
  write(directory + "/Sequential", steps, {noise({2, 3})},
        [&](const auto& in) { return std::vector<Tensor>{steps(in[0])}; });
}

void write_recurrent(const std::string& directory) {
  manual_seed(7);
  const nn::Embedding embedding(6, 3);
  write(directory + "/Embedding", embedding, {tensor({{0, 5}, {2, 1}})},
        [&](const auto& in) { return std::vector<Tensor>{embedding(in[0])}; });
  manual_seed(7);
  const nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true});
  write(directory + "/LSTM", lstm, {noise({2, 5, 3}), noise({4, 2, 4}), noise({4, 2, 4})}, [&](const auto& in) {
    const nn::LSTMResult result = lstm(in[0], {in[1], in[2]});
    return std::vector<Tensor>{result.output, result.state.hidden, result.state.cell};
  });
  manual_seed(7);
  const nn::GRU gru(3, 4, {.layers = 2, .batch_first = false});
  write(directory + "/GRU", gru, {noise({5, 2, 3})}, [&](const auto& in) {
    const nn::GRUResult result = gru(in[0]);
    return std::vector<Tensor>{result.output, result.hidden};
  });
}

void write_attention(const std::string& directory) {
  const Tensor padding = tensor(std::vector<bool>{false, false, true, false, false, false}, {2, 3});
  const nn::AttentionMask padded{.padding = padding};
  simple<nn::TransformerPositionalEncoding>(directory + "/TransformerPositionalEncoding", {2, 5, 7}, 7);
  simple<nn::TransformerEncoderLayer>(directory + "/TransformerEncoderLayer", {2, 3, 4}, 4, 2,
                                      nn::TransformerOptions{.feedforward = 6});
  const nn::DotProductAttention attention;
  const auto as_one = [](const Tensor& x) { return std::vector<Tensor>{x}; };
  write(directory + "/DotProductAttention", attention, {noise({2, 4, 6}), noise({2, 3, 6}), noise({2, 3, 5})},
        [&](const auto& in) { return as_one(attention(in[0], in[1], in[2], padded)); });
  manual_seed(7);
  const nn::MultiheadAttention heads(6, 2);
  write(directory + "/MultiheadAttention", heads, {noise({2, 4, 6}), noise({2, 3, 6}), noise({2, 3, 6})},
        [&](const auto& in) { return as_one(heads(in[0], in[1], in[2], padded)); });
  manual_seed(7);
  const nn::TransformerEncoder encoder(2, 4, 2, {.feedforward = 6, .norm_first = true});
  write(directory + "/TransformerEncoder", encoder, {noise({2, 3, 4})},
        [&](const auto& in) { return as_one(encoder(in[0], {.causal = true, .padding = padding})); });
  manual_seed(7);
  const nn::TransformerDecoderLayer layer(4, 2, {.feedforward = 6});
  write(directory + "/TransformerDecoderLayer", layer, {noise({2, 4, 4}), noise({2, 3, 4})},
        [&](const auto& in) { return as_one(layer(in[0], in[1], {.causal = true}, padded)); });
  manual_seed(7);
  const nn::TransformerDecoder decoder(2, 4, 2, {.feedforward = 6, .norm_first = true});
  write(directory + "/TransformerDecoder", decoder, {noise({2, 4, 4}), noise({2, 3, 4})},
        [&](const auto& in) { return as_one(decoder(in[0], in[1], {.causal = true}, padded)); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: module_files DIRECTORY\n");
    return 2;
  }
  try {
    write_layers(argv[1]);
    write_recurrent(argv[1]);
    write_attention(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "module_files: %s\n", error.what());
    return 1;
  }
}
