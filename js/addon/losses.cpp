#include "instance.hpp"
#include "shumai/loss.hpp"

namespace sm::js {
namespace {

using loss::Reduction;

// Arguments in order, with a default for what is undefined.
class Reader {
 public:
  explicit Reader(const Arguments& arguments) : arguments_(arguments), env_(arguments.env()) {}

  const Tensor& tensor() { return tensor_at(env_, next()); }
  Tensor optional() {
    const napi_value value = next();
    return missing(env_, value) ? Tensor() : tensor_at(env_, value);
  }
  double number(const char* what, double fallback) {
    const napi_value value = next();
    return missing(env_, value) ? fallback : to_number(env_, value, what);
  }
  int64_t integer(const char* what, int64_t fallback) {
    const napi_value value = next();
    return missing(env_, value) ? fallback : to_integer(env_, value, what);
  }
  bool boolean() { return to_boolean(env_, next()); }
  Reduction reduction() {
    const napi_value value = next();
    if (missing(env_, value)) return Reduction::kMean;
    const std::string name = to_text(env_, value, "reduction");
    if (name == "mean") return Reduction::kMean;
    if (name == "sum") return Reduction::kSum;
    if (name == "none") return Reduction::kNone;
    if (name == "batchmean") return Reduction::kBatchMean;
    throw Error(ErrorCode::kInvalidArgument, "reduction: expected mean, sum, none or batchmean, got \"" + name + "\"");
  }
  napi_value give(Tensor out) { return js::integer(env_, add(env_, std::move(out))); }

 private:
  napi_value next() { return arguments_[at_++]; }

  const Arguments& arguments_;
  napi_env env_;
  size_t at_ = 0;
};

// The order of arguments is that in js/lib/loss.js.

napi_value mse(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &a = in.tensor(), &b = in.tensor();
  return in.give(loss::mse(a, b, in.reduction()));
}

napi_value mae(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &a = in.tensor(), &b = in.tensor();
  return in.give(loss::mae(a, b, in.reduction()));
}

napi_value huber(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &a = in.tensor(), &b = in.tensor();
  const double delta = in.number("delta", 1);
  return in.give(loss::huber(a, b, delta, in.reduction()));
}

napi_value smooth_l1(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &a = in.tensor(), &b = in.tensor();
  const double beta = in.number("beta", 1);
  return in.give(loss::smooth_l1(a, b, beta, in.reduction()));
}

napi_value nll(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &logs = in.tensor(), &labels = in.tensor();
  const Tensor weight = in.optional();
  loss::NllOptions options;
  options.ignore_index = in.integer("ignoreIndex", options.ignore_index);
  options.reduction = in.reduction();
  return in.give(loss::nll(logs, labels, options, weight));
}

napi_value cross_entropy(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &logits = in.tensor(), &target = in.tensor();
  const Tensor weight = in.optional();
  loss::CrossEntropyOptions options;
  options.label_smoothing = in.number("labelSmoothing", options.label_smoothing);
  options.ignore_index = in.integer("ignoreIndex", options.ignore_index);
  options.reduction = in.reduction();
  return in.give(loss::cross_entropy(logits, target, options, weight));
}

napi_value cross_entropy_of_probabilities(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &target = in.tensor(), &probabilities = in.tensor();
  return in.give(loss::cross_entropy_of_probabilities(probabilities, target, in.reduction()));
}

napi_value binary_cross_entropy(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &target = in.tensor(), &probabilities = in.tensor();
  const Tensor weight = in.optional();
  return in.give(loss::binary_cross_entropy(probabilities, target, in.reduction(), weight));
}

napi_value binary_cross_entropy_with_logits(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &logits = in.tensor(), &target = in.tensor();
  const Tensor weight = in.optional(), positive_weight = in.optional();
  return in.give(loss::binary_cross_entropy_with_logits(logits, target, in.reduction(), weight, positive_weight));
}

napi_value kl_div(const Arguments& arguments) {
  Reader in(arguments);
  const Tensor &logs = in.tensor(), &target = in.tensor();
  const bool log_target = in.boolean();
  return in.give(loss::kl_div(logs, target, {.log_target = log_target, .reduction = in.reduction()}));
}

}  // namespace

void define_losses(napi_env env, napi_value exports) {
  define<mse>(env, exports, "mse");
  define<mae>(env, exports, "mae");
  define<huber>(env, exports, "huber");
  define<smooth_l1>(env, exports, "smoothL1");
  define<nll>(env, exports, "nll");
  define<cross_entropy>(env, exports, "crossEntropy");
  define<cross_entropy_of_probabilities>(env, exports, "crossEntropyOfProbabilities");
  define<binary_cross_entropy>(env, exports, "binaryCrossEntropy");
  define<binary_cross_entropy_with_logits>(env, exports, "binaryCrossEntropyWithLogits");
  define<kl_div>(env, exports, "klDiv");
}

}  // namespace sm::js
