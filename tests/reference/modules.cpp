#include "shumai/module.hpp"

#include "reference/recorder.hpp"
#include "shumai/nn.hpp"
#include "shumai/ops.hpp"

namespace sm::reference {
namespace {

using Inputs = std::vector<Tensor>;
using Forward = std::function<Inputs(const Inputs&)>;

// Random values everywhere, so that a weight that starts at 1 or 0 counts, too.
void randomize(const nn::Module& module) {
  for (const auto& [name, weight] : module.named_parameters())
    weight.update(uniform(weight.shape(), weight.dtype(), -0.7, 0.7));
  for (const auto& [name, buffer] : module.named_buffers())
    if (is_floating(buffer.dtype())) buffer.update(uniform(buffer.shape(), buffer.dtype(), 0.3, 1.5));
}

// A module in both modes; what it returns, its gradients, and its state before and after.
void record(Recorder& recorder, const char* name, const Json& options, const nn::Module& module, const Inputs& inputs,
            const Forward& forward) {
  for (DType dtype : {DType::f64, DType::f32}) {
    module.to(dtype);
    randomize(module);
    for (bool train : {true, false}) {
      module.train(train);
      const Inputs xs = converted(inputs, dtype);
      const Json before = recorder.keep(module.state());
      Json run = recorder.keep_run(xs, module.named_parameters(), [&] { return forward(xs); });
      run["options"] = options;
      run["train"] = train;
      run["before"] = before;
      run["after"] = recorder.keep(module.state());
      recorder.add("module", name,
                   std::string(name) + " " + options.dump() + " on " + std::string(name_of(dtype)) +
                       (train ? ", train mode" : ", eval mode"),
                   run);
    }
  }
}

template <class M>
void record_one(Recorder& recorder, const char* name, std::initializer_list<Json::Member> options, const M& module,
                const Inputs& inputs) {
  record(recorder, name, Json::object(options), module, inputs, [&](const Inputs& x) { return Inputs{module(x[0])}; });
}

Tensor numbers(const Shape& shape) { return uniform(shape, DType::f64, -2, 2); }

Json::Member list(const char* name, const Dims& values) {
  Json items = Json::array();
  for (int64_t value : values) items.push_back(value);
  return {name, items};
}

void record_linear_and_conv(Recorder& recorder) {
  for (bool bias : {true, false}) {
    record_one(recorder, "Linear", {{"inputs", 3}, {"outputs", 4}, {"bias", bias}}, nn::Linear(3, 4, {.bias = bias}),
               {numbers({2, 5, 3})});
    record_one(recorder, "Conv1d", {{"inputs", 4}, {"outputs", 6}, {"kernel", 3}, {"bias", bias}},
               nn::Conv1d(4, 6, 3, {.bias = bias}), {numbers({2, 4, 9})});
    record_one(recorder, "Conv2d", {{"inputs", 3}, {"outputs", 5}, {"kernel", 3}, {"bias", bias}},
               nn::Conv2d(3, 5, 3, {.bias = bias}), {numbers({2, 3, 7, 6})});
  }
  record_one(
      recorder, "Conv1d",
      {{"inputs", 4}, {"outputs", 6}, {"kernel", 3}, {"stride", 2}, {"padding", 2}, {"dilation", 2}, {"groups", 2}},
      nn::Conv1d(4, 6, 3, {.stride = 2, .padding = 2, .dilation = 2, .groups = 2}), {numbers({2, 4, 9})});
  record_one(recorder, "Conv2d",
             {{"inputs", 4},
              {"outputs", 6},
              list("kernel", {3, 2}),
              list("stride", {2, 1}),
              list("padding", {1, 2}),
              list("dilation", {1, 2}),
              {"groups", 2}},
             nn::Conv2d(4, 6, {3, 2}, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2}),
             {numbers({2, 4, 8, 7})});
}

void record_pools(Recorder& recorder) {
  const Inputs image = {numbers({2, 3, 8, 7})};
  record_one(recorder, "AvgPool2d", {{"kernel", 2}}, nn::AvgPool2d(2), image);
  record_one(recorder, "AvgPool2d", {list("kernel", {3, 2}), list("stride", {2, 1}), list("padding", {1, 0})},
             nn::AvgPool2d({3, 2}, {.stride = {2, 1}, .padding = {1, 0}}), image);
  record_one(recorder, "MaxPool2d", {{"kernel", 2}}, nn::MaxPool2d(2), image);
  record_one(recorder, "MaxPool2d", {list("kernel", {3, 2}), list("stride", {2, 1}), list("padding", {1, 0})},
             nn::MaxPool2d({3, 2}, {.stride = {2, 1}, .padding = {1, 0}}), image);
  record_one(recorder, "Flatten", {}, nn::Flatten(), image);
}

void record_norms(Recorder& recorder) {
  const Inputs image = {numbers({3, 6, 4, 5})};
  for (bool affine : {true, false}) {
    record_one(recorder, "LayerNorm", {list("shape", {4, 5}), {"epsilon", 1e-3}, {"affine", affine}},
               nn::LayerNorm({4, 5}, {.epsilon = 1e-3, .affine = affine}), image);
    record_one(recorder, "RMSNorm", {list("shape", {5}), {"epsilon", 1e-3}, {"affine", affine}},
               nn::RMSNorm({5}, {.epsilon = 1e-3, .affine = affine}), image);
    record_one(recorder, "GroupNorm", {{"groups", 3}, {"channels", 6}, {"affine", affine}},
               nn::GroupNorm(3, 6, {.affine = affine}), image);
    record_one(recorder, "BatchNorm2d", {{"channels", 6}, {"epsilon", 1e-4}, {"momentum", 0.3}, {"affine", affine}},
               nn::BatchNorm2d(6, {.epsilon = 1e-4, .momentum = 0.3, .affine = affine}), image);
  }
}

void record_small(Recorder& recorder) {
  for (double p : {0.0, 0.4, 1.0}) record_one(recorder, "Dropout", {{"p", p}}, nn::Dropout(p), {numbers({40, 50})});
  record_one(recorder, "Embedding", {{"count", 5}, {"width", 3}}, nn::Embedding(5, 3), {whole({2, 4}, 0, 5)});
  record_one(recorder, "Sequential", {},
             nn::Sequential(
                 nn::Linear(3, 6), [](const Tensor& x) { return relu(x); }, nn::Linear(6, 2)),
             {numbers({4, 3})});
}

template <class M, class Call>
void record_recurrent(Recorder& recorder, const char* name, const nn::RecurrentOptions& o, size_t states, Call call) {
  const int64_t rows = o.layers * (o.bidirectional ? 2 : 1);
  for (bool begun : {false, true}) {
    Inputs inputs = {o.batch_first ? numbers({2, 5, 3}) : numbers({5, 2, 3})};
    for (size_t i = 0; i < states; ++i) inputs.push_back(begun ? numbers({rows, 2, 4}) : Tensor());
    const M module(3, 4, o);
    record(recorder, name,
           Json::object({{"inputs", 3},
                         {"hidden", 4},
                         {"layers", o.layers},
                         {"bias", o.bias},
                         {"batch_first", o.batch_first},
                         {"bidirectional", o.bidirectional},
                         {"state", begun}}),
           module, inputs, [&](const Inputs& x) { return call(module, x); });
  }
}

void record_recurrents(Recorder& recorder) {
  for (const nn::RecurrentOptions& options :
       {nn::RecurrentOptions{}, nn::RecurrentOptions{.layers = 2, .batch_first = false, .bidirectional = true},
        nn::RecurrentOptions{.layers = 2, .bias = false}}) {
    record_recurrent<nn::LSTM>(recorder, "LSTM", options, 2, [](const nn::LSTM& module, const Inputs& x) {
      const nn::LSTMResult result = module(x[0], {x[1], x[2]});
      return Inputs{result.output, result.state.hidden, result.state.cell};
    });
    record_recurrent<nn::GRU>(recorder, "GRU", options, 1, [](const nn::GRU& module, const Inputs& x) {
      const nn::GRUResult result = module(x[0], x[1]);
      return Inputs{result.output, result.hidden};
    });
  }
}

// A mask that leaves the first key to every query.
Tensor some_padding(int64_t batch, int64_t keys) {
  return logical_and(whole({batch, keys}, 0, 2, DType::boolean), gt(arange(0, double(keys)), 0.5));
}
Tensor some_mask(const Shape& shape) {
  return logical_or(whole(shape, 0, 2, DType::boolean), lt(arange(0, double(shape.back())), 0.5));
}

// Inputs: query, key, value, padding, mask.
void record_attention(Recorder& recorder) {
  const Inputs padding[] = {{Tensor(), Tensor()},
                            {some_padding(2, 5), Tensor()},
                            {Tensor(), some_mask({5, 5})},
                            {some_padding(2, 5), numbers({5, 5})}};
  for (const Inputs& masks : padding) {
    for (bool causal : {false, true}) {
      const Inputs inputs = {numbers({2, 5, 6}), numbers({2, 5, 6}), numbers({2, 5, 6}), masks[0], masks[1]};
      const auto call = [causal](const auto& module) -> Forward {
        return [causal, module](const Inputs& x) {
          const nn::AttentionMask mask{causal, x[3], x[4]};
          return Inputs{module(x[0], x[1], x[2], mask)};
        };
      };
      const nn::DotProductAttention plain, scaled({.scale = 0.3});
      record(recorder, "DotProductAttention", Json::object({{"causal", causal}}), plain, inputs, call(plain));
      record(recorder, "DotProductAttention", Json::object({{"causal", causal}, {"scale", 0.3}}), scaled, inputs,
             call(scaled));
      for (bool bias : {true, false}) {
        const nn::MultiheadAttention heads(6, 2, {.bias = bias});
        record(recorder, "MultiheadAttention",
               Json::object({{"width", 6}, {"heads", 2}, {"bias", bias}, {"causal", causal}}), heads, inputs,
               call(heads));
      }
    }
  }
}

Json describe(const nn::TransformerOptions& o, bool causal) {
  return Json::object({{"width", 6},
                       {"heads", 2},
                       {"feedforward", o.feedforward},
                       {"activation", o.activation ? "x (1 + erf(x / 2))" : "relu"},
                       {"norm_first", o.norm_first},
                       {"final_norm", o.final_norm.value_or(o.norm_first)},
                       {"epsilon", o.epsilon},
                       {"causal", causal}});
}

// Inputs: x, memory, padding, memory's padding.
void record_transformer(Recorder& recorder, const nn::TransformerOptions& o, bool causal) {
  const Inputs inputs = {numbers({2, 5, 6}), numbers({2, 4, 6}), some_padding(2, 5), some_padding(2, 4)};
  const Json options = describe(o, causal);
  const nn::TransformerEncoderLayer encoder_layer(6, 2, o);
  const nn::TransformerEncoder encoder(2, 6, 2, o);
  const nn::TransformerDecoderLayer decoder_layer(6, 2, o);
  const nn::TransformerDecoder decoder(2, 6, 2, o);
  const auto encode = [=](const auto& module) -> Forward {
    return [=](const Inputs& x) {
      const nn::AttentionMask mask{causal, x[2]};
      return Inputs{module(x[0], mask)};
    };
  };
  const auto decode = [=](const auto& module) -> Forward {
    return [=](const Inputs& x) {
      const nn::AttentionMask mask{causal, x[2]}, memory_mask{false, x[3]};
      return Inputs{module(x[0], x[1], mask, memory_mask)};
    };
  };
  record(recorder, "TransformerEncoderLayer", options, encoder_layer, inputs, encode(encoder_layer));
  record(recorder, "TransformerEncoder", options, encoder, inputs, encode(encoder));
  record(recorder, "TransformerDecoderLayer", options, decoder_layer, inputs, decode(decoder_layer));
  record(recorder, "TransformerDecoder", options, decoder, inputs, decode(decoder));
}

void record_transformers(Recorder& recorder) {
  for (bool causal : {false, true}) {
    record_transformer(recorder, {.feedforward = 7, .dropout = 0}, causal);
    record_transformer(recorder, {.feedforward = 7, .dropout = 0, .norm_first = true, .epsilon = 1e-3}, causal);
    record_transformer(recorder,
                       {.feedforward = 7,
                        .dropout = 0,
                        .activation = [](const Tensor& x) { return x * (erf(x * 0.5f) + 1.0f); },
                        .final_norm = true},
                       causal);
  }
  record_one(recorder, "TransformerPositionalEncoding", {{"width", 6}}, nn::TransformerPositionalEncoding(6),
             {numbers({2, 7, 6})});
}

}  // namespace

void record_modules(Recorder& recorder) {
  record_linear_and_conv(recorder);
  record_pools(recorder);
  record_norms(recorder);
  record_small(recorder);
  record_recurrents(recorder);
  record_attention(recorder);
  record_transformers(recorder);
}

}  // namespace sm::reference
