#include "shumai/json_model.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "nn/testing.hpp"
#include "shumai/nn.hpp"
#include "shumai/random.hpp"

namespace sm::nn {
namespace {

JsonModel model_of(const char* text) { return from_json(Json::parse(text)); }

std::string refusal_of(const char* text) {
  return error_of(ErrorCode::kInvalidArgument, [&] { model_of(text); });
}

TEST(JsonModel, HasTheWeightsThatTheSameCodeWouldHave) {
  manual_seed(3);
  Sequential coded;
  coded.add(Linear(4, 8));
  coded.add(LayerNorm(8));
  coded.add(Linear(8, 2));
  manual_seed(3);
  const JsonModel described = model_of(R"([{"layer": "Linear", "inputs": 4, "outputs": 8},
      {"layer": "LayerNorm", "shape": 8}, {"layer": "Linear", "inputs": 8, "outputs": 2}])");
  const Tensor x = rand({5, 4});
  EXPECT_EQ(values(described(x)), values(coded(x)));
  EXPECT_EQ(described.state().size(), coded.state().size());
}

TEST(JsonModel, EveryLayerBuildsAndComputes) {
  struct Case {
    const char* layer;
    Shape input, output;
  };
  const Case kCases[] = {
      {R"({"layer": "Linear", "inputs": 3, "outputs": 5, "bias": false})", {2, 3}, {2, 5}},
      {R"({"layer": "Conv1d", "inputs": 3, "outputs": 5, "kernel": 2})", {2, 3, 6}, {2, 5, 5}},
      {R"({"layer": "Conv2d", "inputs": 3, "outputs": 6, "kernel": [3, 1], "groups": 3, "stride": 2})",
       {2, 3, 7, 7},
       {2, 6, 3, 4}},
      {R"({"layer": "AvgPool2d", "kernel": 2})", {1, 2, 4, 4}, {1, 2, 2, 2}},
      {R"({"layer": "MaxPool2d", "kernel": 3, "stride": 1, "padding": 1})", {1, 2, 4, 4}, {1, 2, 4, 4}},
      {R"("Flatten")", {3, 2, 2}, {3, 4}},
      {R"({"layer": "LayerNorm", "shape": [2, 4]})", {3, 2, 4}, {3, 2, 4}},
      {R"({"layer": "RMSNorm", "shape": 4})", {3, 4}, {3, 4}},
      {R"({"layer": "GroupNorm", "groups": 2, "channels": 4})", {3, 4, 5}, {3, 4, 5}},
      {R"({"layer": "BatchNorm2d", "channels": 4})", {3, 4, 5, 5}, {3, 4, 5, 5}},
      {R"("Dropout")", {3, 4}, {3, 4}},
      {R"({"layer": "LSTM", "inputs": 3, "hidden": 4})", {2, 5, 3}, {2, 5, 4}},
      {R"({"layer": "GRU", "inputs": 3, "hidden": 4, "bidirectional": true, "last": true})", {2, 5, 3}, {2, 8}},
      {R"({"layer": "MultiheadAttention", "width": 4, "heads": 2, "causal": true})", {2, 5, 4}, {2, 5, 4}},
      {R"({"layer": "TransformerPositionalEncoding", "width": 4})", {2, 5, 4}, {2, 5, 4}},
      {R"({"layer": "TransformerEncoderLayer", "width": 4, "heads": 2, "activation": "gelu"})", {2, 5, 4}, {2, 5, 4}},
      {R"({"layer": "TransformerEncoder", "layers": 2, "width": 4, "heads": 2, "feedforward": 8})",
       {2, 5, 4},
       {2, 5, 4}},
      {R"({"layer": "Sequential", "layers": ["relu", "tanh"]})", {2, 3}, {2, 3}},
      {R"({"layer": "Residual", "layers": [{"layer": "Linear", "inputs": 3, "outputs": 3}]})", {2, 3}, {2, 3}},
      {R"("relu")", {2, 3}, {2, 3}},
      {R"({"layer": "leaky_relu", "slope": 0.2})", {2, 3}, {2, 3}},
      {R"({"layer": "mean", "axes": [1]})", {2, 3}, {2}},
      {R"({"layer": "reshape", "shape": [-1, 2]})", {2, 3}, {3, 2}},
      {R"({"layer": "softmax", "axis": 1})", {2, 3}, {2, 3}},
  };
  for (const Case& c : kCases) {
    const JsonModel model = model_of((std::string("[") + c.layer + "]").c_str());
    EXPECT_EQ(model(rand(c.input)).shape(), c.output) << c.layer;
    // What it says of itself builds it again.
    EXPECT_EQ(describe(model.description()), model.description()) << c.layer;
    EXPECT_EQ(from_json(model.description()).state().size(), model.state().size()) << c.layer;
  }
  const JsonModel embedding = model_of(R"([{"layer": "Embedding", "count": 7, "width": 3}])");
  EXPECT_EQ(embedding(zeros({2, 4}, DType::i64)).shape(), (Shape{2, 4, 3}));
}

TEST(JsonModel, EveryLayerOfTheHelpIsInTheTable) {
  for (const LayerHelp& help : layers_of_json()) EXPECT_FALSE(help.name.empty());
  EXPECT_EQ(layers_of_json().front().fields.front(), "inputs");
  EXPECT_EQ(layers_of_json().front().fields.back(), "dtype = \"float32\"");
}

TEST(JsonModel, CausalAttentionSeesNothingThatComesLater) {
  const JsonModel model = model_of(
      R"([{"layer": "TransformerEncoder", "layers": 1, "width": 4, "heads": 1, "dropout": 0, "causal": true}])");
  const Tensor x = rand({1, 3, 4});
  const Tensor other = concatenate({x.slice(1, 0, 2), rand({1, 1, 4})}, 1);
  EXPECT_EQ(values(model(x).slice(1, 0, 2)), values(model(other).slice(1, 0, 2)));
}

TEST(JsonModel, ItsFileOpensAsTheSameModel) {
  const TemporaryDirectory directory;
  const JsonModel model = model_of(R"(["Flatten", {"layer": "Linear", "inputs": 4, "outputs": 2}, "sigmoid"])");
  model.save(directory.path("model.safetensors"));
  const JsonModel opened = open_model(directory.path("model.safetensors"));
  const Tensor x = rand({3, 2, 2});
  EXPECT_EQ(values(opened(x)), values(model(x)));
  EXPECT_EQ(opened.description(), model.description());
  EXPECT_EQ(read_description(directory.path("model.safetensors")), model.description());
  EXPECT_EQ(values(open_model(model.checkpoint(directory.path("numbered")).save())(x)), values(model(x)));
}

TEST(JsonModel, AFileWithoutADescriptionSaysSo) {
  const TemporaryDirectory directory;
  Linear(2, 2).save(directory.path("plain.safetensors"));
  EXPECT_EQ(error_of(ErrorCode::kInvalidArgument, [&] { open_model(directory.path("plain.safetensors")); }),
            "\"" + directory.path("plain.safetensors") +
                "\": has weights but doesn't say of which model: no \"shumai.model\" in its metadata");
  std::ofstream(directory.path("bad.json")) << "{\"layers\": [\"relu\"";
  EXPECT_NE(error_of(ErrorCode::kProtocol, [&] { open_model(directory.path("bad.json")); }).find("bad.json"),
            std::string::npos);
  error_of(ErrorCode::kNotFound, [&] { open_model(directory.path("none")); });
}

TEST(JsonModel, WhatIsWrongIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"layer": "relu"})", "model: expected \"layers\", got {\"layer\":\"relu\"}"},
      {R"([])", "model: \"layers\" must be a list of one layer or more, got []"},
      {R"({"layers": ["relu"], "name": "x"})", "model: it has no field \"name\"; there is layers"},
      {R"([3])", "model: layers[0]: expected a name or an object with \"layer\", got 3"},
      {R"(["relu", {"layer": "Liner", "inputs": 3}])",
       "model: layers[1]: there is no layer or operation of one tensor called \"Liner\"; did you mean \"Linear\"?"},
      {R"([{"layer": "Linear", "inputs": 3}])", "model: layers[0] (Linear): \"outputs\" is missing"},
      {R"([{"layer": "Linear", "inputs": 3, "outputs": "ten"}])",
       "model: layers[0] (Linear): \"outputs\" must be a whole number above 0, got \"ten\""},
      {R"([{"layer": "Linear", "inputs": 0, "outputs": 2}])",
       "model: layers[0] (Linear): \"inputs\" must be a whole number above 0, got 0"},
      {R"([{"layer": "Linear", "inputs": 3, "output": 2}])",
       "model: layers[0] (Linear): it has no field \"output\"; there is inputs, outputs, bias, dtype"},
      {R"([{"layer": "Flatten", "axis": 1}])", "model: layers[0] (Flatten): it has no field \"axis\", nor any other"},
      {R"([{"layer": "Dropout", "p": 2}])", "model: layers[0] (Dropout): \"p\" must be a number from 0 to 1, got 2"},
      {R"([{"layer": "Linear", "inputs": 3, "outputs": 2, "dtype": "f31"}])",
       "model: layers[0] (Linear): \"dtype\" must be a dtype such as \"float32\", got \"f31\""},
      {R"([{"layer": "Residual", "layers": ["tanh", "rellu"]}])",
       "model: layers[0].layers[1]: there is no layer or operation of one tensor called \"rellu\"; did you mean "
       "\"relu\"?"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(refusal_of(text), expected) << text;
  // The constructor's own refusals have a place too.
  EXPECT_TRUE(refusal_of(R"(["relu", {"layer": "MultiheadAttention", "width": 5, "heads": 2}])")
                  .starts_with("model: layers[1]: "));
}

}  // namespace
}  // namespace sm::nn
