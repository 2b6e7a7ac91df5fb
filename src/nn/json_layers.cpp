#include <deque>
#include <map>
#include <mutex>

#include "nn/description.hpp"
#include "ops/op.hpp"
#include "shumai/error.hpp"
#include "shumai/nn.hpp"
#include "shumai/ops.hpp"
#include "util/nearest.hpp"

namespace sm::nn {
namespace {

using enum FieldKind;

// --- Layers of several outputs or inputs, as functions of one tensor. They keep their names of weights. ---

// The last step of [batch, time, features].
Tensor last_step(const Tensor& x) { return x.slice(1, x.size(1) - 1, x.size(1)).squeeze(1); }

template <class Cell>
struct Recurrence : Cell {
  Recurrence(const Fields& f, RecurrentOptions options)
      : Cell(f.integer("inputs"), f.integer("hidden"), options), last(f.flag("last")) {}
  Tensor operator()(const Tensor& x) const {
    const Tensor output = Cell::operator()(x).output;
    return last ? last_step(output) : output;
  }
  bool last;
};

template <class Attention>
struct ToItself : Attention {
  ToItself(Attention attention, bool is_causal) : Attention(std::move(attention)), causal(is_causal) {}
  Tensor operator()(const Tensor& x) const {
    AttentionMask mask;
    mask.causal = causal;
    return Attention::operator()(x, mask);
  }
  bool causal;
};

struct Residual : Sequential {
  Tensor operator()(const Tensor& x) const { return x + Sequential::operator()(x); }
};

// --- Fields that several have ---

Field count(const char* name) { return {name, kCount}; }
Field flag(const char* name, bool fallback) { return {name, kBool, fallback}; }
Field number(const char* name, double fallback) { return {name, kNumber, fallback}; }
Field chance(const char* name, double fallback) { return {name, kProbability, fallback}; }
Field sizes(const char* name, Json fallback = {}) { return {name, kSizes, std::move(fallback)}; }
Field dtype() { return {"dtype", kDType, "float32"}; }

std::vector<Field> operator+(std::vector<Field> a, const std::vector<Field>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<Field> kConv = {sizes("stride", 1),    sizes("padding", 0), sizes("dilation", 1),
                                  {"groups", kCount, 1}, flag("bias", true),  dtype()};
const std::vector<Field> kPool = {sizes("kernel"), {"stride", kSizes, {}, true}, sizes("padding", 0)};
const std::vector<Field> kNorm = {number("epsilon", 1e-5), flag("affine", true), dtype()};
const std::vector<Field> kRecurrent = {count("inputs"),
                                       count("hidden"),
                                       {"layers", kCount, 1},
                                       flag("bias", true),
                                       chance("dropout", 0),
                                       flag("bidirectional", false),
                                       dtype(),
                                       flag("last", false)};
const std::vector<Field> kEncoder = {count("width"),
                                     count("heads"),
                                     {"feedforward", kCount, 2048},
                                     chance("dropout", 0.1),
                                     {"activation", kActivation, "relu"},
                                     flag("norm_first", false),
                                     number("epsilon", 1e-5),
                                     dtype(),
                                     flag("causal", false)};

ConvOptions conv_options(const Fields& f) {
  return {f.sizes("stride"), f.sizes("padding"), f.sizes("dilation"), f.integer("groups"), f.flag("bias"), f.dtype()};
}
PoolOptions pool_options(const Fields& f) { return {f.has("stride") ? f.sizes("stride") : Dims(), f.sizes("padding")}; }
NormOptions norm_options(const Fields& f) { return {f.number("epsilon"), f.flag("affine"), true, f.dtype()}; }
RecurrentOptions recurrent_options(const Fields& f) {
  return {f.integer("layers"), f.flag("bias"), true, f.number("dropout"), f.flag("bidirectional"), f.dtype()};
}
TransformerOptions encoder_options(const Fields& f) {
  TransformerOptions options;
  options.feedforward = f.integer("feedforward");
  options.dropout = f.number("dropout");
  options.activation = activation_named(f.text("activation"));
  options.norm_first = f.flag("norm_first");
  options.epsilon = f.number("epsilon");
  options.dtype = f.dtype();
  return options;
}

void add_linear(Sequential& to, const Fields& f) {
  to.add(Linear(f.integer("inputs"), f.integer("outputs"), {f.flag("bias"), f.dtype()}));
}
void add_embedding(Sequential& to, const Fields& f) {
  to.add(Embedding(f.integer("count"), f.integer("width"), {f.dtype()}));
}
void add_batch_norm(Sequential& to, const Fields& f) {
  to.add(BatchNorm2d(f.integer("channels"), {f.number("epsilon"), f.number("momentum"), f.flag("affine"), f.dtype()}));
}
void add_attention(Sequential& to, const Fields& f) {
  to.add(ToItself(
      MultiheadAttention(f.integer("width"), f.integer("heads"), {f.number("dropout"), f.flag("bias"), f.dtype()}),
      f.flag("causal")));
}
void add_encoder_layer(Sequential& to, const Fields& f) {
  to.add(
      ToItself(TransformerEncoderLayer(f.integer("width"), f.integer("heads"), encoder_options(f)), f.flag("causal")));
}
void add_encoder(Sequential& to, const Fields& f) {
  TransformerOptions options = encoder_options(f);
  if (f.has("final_norm")) options.final_norm = f.flag("final_norm");
  to.add(ToItself(TransformerEncoder(f.integer("layers"), f.integer("width"), f.integer("heads"), options),
                  f.flag("causal")));
}
void add_positions(Sequential& to, const Fields& f) {
  to.add(TransformerPositionalEncoding(f.integer("width"), {f.number("dropout"), f.integer("max_length")}));
}
template <class Block>
void add_block(Sequential& to, const Fields& f) {
  Block block;
  add_layers(block, f.json("layers"), f.place() + ".layers");
  to.add(std::move(block));
}

std::vector<LayerKind> make_convolutions_and_pools() {
  return {
      {"Linear", {count("inputs"), count("outputs"), flag("bias", true), dtype()}, add_linear},
      {"Conv1d", std::vector<Field>{count("inputs"), count("outputs"), count("kernel")} + kConv,
       [](Sequential& to, const Fields& f) {
         to.add(Conv1d(f.integer("inputs"), f.integer("outputs"), f.integer("kernel"), conv_options(f)));
       }},
      {"Conv2d", std::vector<Field>{count("inputs"), count("outputs"), sizes("kernel")} + kConv,
       [](Sequential& to, const Fields& f) {
         to.add(Conv2d(f.integer("inputs"), f.integer("outputs"), f.sizes("kernel"), conv_options(f)));
       }},
      {"AvgPool2d", kPool,
       [](Sequential& to, const Fields& f) { to.add(AvgPool2d(f.sizes("kernel"), pool_options(f))); }},
      {"MaxPool2d", kPool,
       [](Sequential& to, const Fields& f) { to.add(MaxPool2d(f.sizes("kernel"), pool_options(f))); }},
      {"Flatten", {}, [](Sequential& to, const Fields&) { to.add(Flatten()); }},
  };
}

std::vector<LayerKind> make_norms() {
  return {
      {"LayerNorm", std::vector<Field>{sizes("shape")} + kNorm,
       [](Sequential& to, const Fields& f) { to.add(LayerNorm(f.sizes("shape"), norm_options(f))); }},
      {"RMSNorm", std::vector<Field>{sizes("shape")} + kNorm,
       [](Sequential& to, const Fields& f) { to.add(RMSNorm(f.sizes("shape"), norm_options(f))); }},
      {"GroupNorm", std::vector<Field>{count("groups"), count("channels")} + kNorm,
       [](Sequential& to, const Fields& f) {
         to.add(GroupNorm(f.integer("groups"), f.integer("channels"), norm_options(f)));
       }},
      {"BatchNorm2d",
       {count("channels"), number("epsilon", 1e-5), number("momentum", 0.1), flag("affine", true), dtype()},
       add_batch_norm},
      {"Dropout", {chance("p", 0.5)}, [](Sequential& to, const Fields& f) { to.add(Dropout(f.number("p"))); }},
  };
}

std::vector<LayerKind> make_sequences() {
  return {
      {"Embedding", {count("count"), count("width"), dtype()}, add_embedding},
      {"LSTM", kRecurrent, [](Sequential& to, const Fields& f) { to.add(Recurrence<LSTM>(f, recurrent_options(f))); }},
      {"GRU", kRecurrent, [](Sequential& to, const Fields& f) { to.add(Recurrence<GRU>(f, recurrent_options(f))); }},
      {"MultiheadAttention",
       {count("width"), count("heads"), chance("dropout", 0), flag("bias", true), dtype(), flag("causal", false)},
       add_attention},
      {"TransformerPositionalEncoding",
       {count("width"), chance("dropout", 0), {"max_length", kCount, 4096}},
       add_positions},
      {"TransformerEncoderLayer", kEncoder, add_encoder_layer},
      {"TransformerEncoder",
       std::vector<Field>{count("layers")} + kEncoder + std::vector<Field>{{"final_norm", kBool, {}, true}},
       add_encoder},
      {"Sequential", {{"layers", kLayers}}, add_block<Sequential>},
      {"Residual", {{"layers", kLayers}}, add_block<Residual>},
  };
}

// --- Operations ---

FieldKind kind_of(ops::ArgKind kind) {
  switch (kind) {
    case ops::ArgKind::kBool:
      return kBool;
    case ops::ArgKind::kInt:
      return kInteger;
    case ops::ArgKind::kFloat:
      return kNumber;
    case ops::ArgKind::kDims:
      return kSizes;
    case ops::ArgKind::kDType:
      return kDType;
    default:
      return kText;
  }
}

Json json_of(const ops::Attr& attr) {
  struct Visitor {
    Json operator()(std::monostate) const { return {}; }
    Json operator()(const Dims& dims) const {
      Json out = Json::array();
      for (const int64_t size : dims) out.push_back(size);
      return out;
    }
    Json operator()(DType dtype) const { return std::string(name_of(dtype)); }
    Json operator()(bool value) const { return value; }
    Json operator()(int64_t value) const { return value; }
    Json operator()(double value) const { return value; }
    Json operator()(const std::string& value) const { return value; }
  };
  return std::visit(Visitor{}, attr);
}

ops::Attr attr_of(FieldKind kind, const Fields& f, const std::string& name) {
  const Json& value = f.json(name);
  if (value.is_null()) return std::monostate{};
  switch (kind) {
    case kBool:
      return value.as_bool();
    case kInteger:
      return value.as_int64();
    case kNumber:
      return value.as_double();
    case kSizes:
      return f.sizes(name);
    case kDType:
      return dtype_from_name(value.as_string());
    default:
      return value.as_string();
  }
}

// One tensor in, one out; dropout would need to know the mode.
bool is_step(const ops::Op& op) {
  if (op.args.empty() || op.args[0].kind != ops::ArgKind::kTensor || !op.forward || op.name == "dropout") return false;
  for (size_t i = 1; i < op.args.size(); ++i)
    if (op.args[i].kind <= ops::ArgKind::kTensors) return false;
  return true;
}

LayerKind layer_of(const ops::Op& op) {
  LayerKind out{std::string(op.name), {}, {}};
  for (size_t i = 1; i < op.args.size(); ++i)
    out.fields.push_back(
        {std::string(op.args[i].name), kind_of(op.args[i].kind), json_of(op.args[i].fallback), op.args[i].optional});
  if (op.name == "relu") {  // as in code, so that Sequential knows it
    out.add = [](Sequential& to, const Fields&) { to.add(static_cast<Tensor (*)(const Tensor&)>(relu)); };
    return out;
  }
  out.add = [&op, fields = out.fields](Sequential& to, const Fields& f) {
    std::vector<ops::Attr> attrs;
    attrs.reserve(fields.size());
    for (const Field& field : fields) attrs.push_back(attr_of(field.kind, f, field.name));
    to.add([&op, attrs](const Tensor& x) {
      const Tensor* const inputs[] = {&x};
      return ops::run(op, inputs, attrs);
    });
  };
  return out;
}

const std::map<std::string, LayerKind, std::less<>>& all_kinds() {
  static const auto* const kinds = [] {
    auto* out = new std::map<std::string, LayerKind, std::less<>>;
    for (const LayerKind& kind : layer_kinds()) out->emplace(kind.name, kind);
    for (const ops::Op* op : ops::table())
      if (is_step(*op)) out->emplace(op->name, layer_of(*op));
    return out;
  }();
  return *kinds;
}

}  // namespace

std::span<const LayerKind> layer_kinds() {
  static const auto* const kinds = [] {
    auto* out = new std::vector<LayerKind>(make_convolutions_and_pools());
    for (const auto& more : {make_norms(), make_sequences()}) out->insert(out->end(), more.begin(), more.end());
    return out;
  }();
  return *kinds;
}

const LayerKind& layer_kind(std::string_view name) {
  const auto found = all_kinds().find(name);
  if (found != all_kinds().end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [other, kind] : all_kinds()) known.push_back(other);
  const std::string message =
      "there is no layer or operation of one tensor called " + Json(name).dump() + util::did_you_mean(name, known);
  throw Error(ErrorCode::kInvalidArgument, message);
}

std::function<Tensor(const Tensor&)> activation_named(const std::string& name) {
  Sequential only;
  const LayerKind& kind = layer_kind(name);
  Json fields = Json::object();
  for (const Field& field : kind.fields) {
    if (field.fallback.is_null() && !field.optional)
      throw Error(ErrorCode::kInvalidArgument,
                  "\"" + name + "\" needs \"" + field.name + "\" and can't be an activation");
    fields[field.name] = field.fallback;
  }
  kind.add(only, Fields(fields, name));
  return only;
}

}  // namespace sm::nn
