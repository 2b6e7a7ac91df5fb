#include <algorithm>
#include <vector>

#include "loss/reduction.hpp"
#include "shumai/error.hpp"
#include "shumai/loss.hpp"
#include "shumai/ops.hpp"

namespace sm::loss {
namespace {

[[noreturn]] void refuse(const char* op, const std::string& why, ErrorCode code = ErrorCode::kShapeMismatch) {
  throw Error(code, std::string(op) + ": " + why);
}

// [n, classes, ...] as samples [m, classes].
Tensor classes_last(const Tensor& x) {
  const int64_t classes = x.shape()[x.ndim() == 1 ? 0 : 1];
  if (x.ndim() == 2) return x;
  if (x.ndim() == 1) return reshape(x, {1, classes});
  Dims axes(x.ndim(), 0);
  for (int i = 1; i < x.ndim() - 1; ++i) axes[i] = i + 1;
  axes[x.ndim() - 1] = 1;
  int64_t samples = 1;
  for (int i = 0; i < x.ndim(); ++i) samples *= i == 1 ? 1 : x.shape()[i];
  return reshape(transpose(x, axes), {samples, classes});
}

// That shape without the classes: one loss, or label, for each sample.
Shape samples_of(const Tensor& x) {
  Shape shape;
  for (int i = 0; i < x.ndim(); ++i)
    if (i != (x.ndim() == 1 ? 0 : 1)) shape.push_back(x.shape()[i]);
  return shape;
}

void check_classes(const char* op, const char* what, const Tensor& x, const Tensor& class_weights) {
  if (x.ndim() == 0) refuse(op, std::string(what) + " must be [samples, classes], got " + x.shape().to_string());
  const int64_t classes = x.shape()[x.ndim() == 1 ? 0 : 1];
  if (class_weights.defined() && class_weights.shape() != Shape(classes))
    refuse(op, "class weights must have shape " + Shape(classes).to_string() + ", got " +
                   class_weights.shape().to_string());
}

void check_labels(const char* op, const char* what, const Tensor& x, const Tensor& labels) {
  if (labels.shape() != samples_of(x))
    refuse(op, std::string(what) + " of shape " + x.shape().to_string() + " need labels of shape " +
                   samples_of(x).to_string() + ", got " + labels.shape().to_string());
  if (!is_integral(labels.dtype()))
    refuse(op, "labels must be integers, got " + std::string(name_of(labels.dtype())), ErrorCode::kDTypeMismatch);
}

// Where the samples' labels are; a sample that is ignored has label 0 here.
struct Labels {
  Tensor classes;    // [samples]
  Tensor positions;  // [samples], in the samples by classes in row order
  Tensor kept;       // [samples], boolean; undefined when none is ignored
  int64_t count = 0;
};

Labels read_labels(const char* op, const Tensor& labels, int64_t classes, int64_t ignore_index) {
  std::vector<int64_t> at = labels.to_vector<int64_t>();
  std::vector<int64_t> positions(at.size());
  std::vector<bool> kept(at.size());
  Labels out;
  for (size_t i = 0; i < at.size(); ++i) {
    kept[i] = at[i] != ignore_index;
    out.count += kept[i];
    if (!kept[i]) at[i] = 0;
    if (at[i] < 0 || at[i] >= classes)
      refuse(op, "label " + std::to_string(at[i]) + " is outside 0 to " + std::to_string(classes - 1),
             ErrorCode::kOutOfRange);
    positions[i] = static_cast<int64_t>(i) * classes + at[i];
  }
  out.classes = tensor(at);
  out.positions = tensor(positions);
  if (out.count != static_cast<int64_t>(at.size())) out.kept = tensor(kept);
  return out;
}

// Both losses of labels, on log-probabilities [m, classes].
Tensor of_labels(const char* op, const Tensor& logs, const Tensor& labels, const Shape& shape,
                 const CrossEntropyOptions& options, const Tensor& class_weights) {
  const int64_t samples = logs.shape()[0], classes = logs.shape()[1];
  const Labels chosen = read_labels(op, labels, classes, options.ignore_index);
  const Tensor weights = class_weights.defined() ? astype(class_weights, logs.dtype()) : Tensor();
  Tensor losses = -take(reshape(logs, {samples * classes}), chosen.positions);
  Tensor shares;
  if (weights.defined()) {
    shares = take(weights, chosen.classes);
    losses = losses * shares;
  }
  if (options.label_smoothing > 0) {
    const Tensor spread = -sum(weights.defined() ? logs * weights : logs, 1);
    losses = losses * (1 - options.label_smoothing) + spread * (options.label_smoothing / static_cast<double>(classes));
  }
  if (chosen.kept.defined()) {
    losses = where(chosen.kept, losses, 0.0);
    if (shares.defined()) shares = where(chosen.kept, shares, 0.0);
  }
  if (options.reduction != Reduction::kMean) return reduce(op, reshape(losses, shape), options.reduction);
  if (shares.defined()) return sum(losses) / sum(shares);
  // Not the sum, which float16 can't always hold.
  const Tensor even = mean(losses);
  return chosen.kept.defined() ? even * (static_cast<double>(samples) / static_cast<double>(chosen.count)) : even;
}

// log(x), but not below -100. PyTorch's way out of 0 * infinity; as there, the
// gradient of a log is held too, by dividing by `least` at least.
Tensor held_log(const Tensor& x) {
  const double least = x.dtype() == DType::f16 ? 0x1p-14 : 1e-12;
  // What is added has no graph: it moves the value and leaves the gradient.
  const Tensor log_held = log(x + (maximum(x, least) - x).detach());
  return log_held + (maximum(log(x.detach()), -100.0) - log_held).detach();
}

}  // namespace

Tensor nll(const Tensor& log_probabilities, const Tensor& labels, NllOptions options, const Tensor& class_weights) {
  check_classes("nll", "log-probabilities", log_probabilities, class_weights);
  check_labels("nll", "log-probabilities", log_probabilities, labels);
  const CrossEntropyOptions same{.ignore_index = options.ignore_index, .reduction = options.reduction};
  return of_labels("nll", classes_last(log_probabilities), labels, samples_of(log_probabilities), same, class_weights);
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, CrossEntropyOptions options,
                     const Tensor& class_weights) {
  check_classes("cross_entropy", "logits", logits, class_weights);
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    refuse("cross_entropy", "label_smoothing must be between 0 and 1, got " + std::to_string(options.label_smoothing),
           ErrorCode::kInvalidArgument);
  const Shape shape = samples_of(logits);
  const bool labels = target.shape() != logits.shape();
  if (labels) check_labels("cross_entropy", "logits", logits, target);
  const Tensor logs = log_softmax(classes_last(logits), 1);
  if (labels) return of_labels("cross_entropy", logs, target, shape, options, class_weights);
  Tensor wanted = classes_last(is_integral(target.dtype()) ? astype(target, logs.dtype()) : target);
  if (options.label_smoothing > 0)
    wanted = wanted * (1 - options.label_smoothing) +
             options.label_smoothing / static_cast<double>(std::max<int64_t>(logs.shape()[1], 1));
  if (class_weights.defined()) wanted = wanted * astype(class_weights, wanted.dtype());
  return reduce("cross_entropy", reshape(-sum(wanted * logs, 1), shape), options.reduction);
}

Tensor cross_entropy_of_probabilities(const Tensor& probabilities, const Tensor& target, Reduction reduction) {
  constexpr const char* kName = "cross_entropy_of_probabilities";
  if (probabilities.ndim() != 2 || target.shape() != probabilities.shape())
    refuse(kName, "expects probabilities and a target of one shape [samples, classes], got " +
                      probabilities.shape().to_string() + " and " + target.shape().to_string());
  return reduce(kName, -sum(target * held_log(probabilities), 1), reduction);
}

Tensor binary_cross_entropy(const Tensor& probabilities, const Tensor& target, Reduction reduction,
                            const Tensor& weight) {
  Tensor losses = -(target * held_log(probabilities) + (1.0 - target) * held_log(1.0 - probabilities));
  if (weight.defined()) losses = losses * weight;
  return reduce("binary_cross_entropy", losses, reduction);
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction,
                                        const Tensor& weight, const Tensor& positive_weight) {
  Tensor losses = positive_weight.defined()
                      ? (1.0 - target) * softplus(logits) + positive_weight * target * softplus(-logits)
                      : softplus(logits) - target * logits;
  if (weight.defined()) losses = losses * weight;
  return reduce("binary_cross_entropy_with_logits", losses, reduction);
}

}  // namespace sm::loss
