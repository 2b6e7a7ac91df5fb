#include "shumai/loss.hpp"

#include "reference/recorder.hpp"
#include "shumai/ops.hpp"

namespace sm::reference {
namespace {

using loss::Reduction;

constexpr std::pair<Reduction, const char*> kReductions[] = {
    {Reduction::kMean, "mean"}, {Reduction::kSum, "sum"}, {Reduction::kNone, "none"}};
constexpr std::pair<Reduction, const char*> kBatchMean = {Reduction::kBatchMean, "batchmean"};

using Inputs = std::vector<Tensor>;

void record(Recorder& recorder, const char* name, const Json& options, const Inputs& inputs,
            const std::function<Tensor(const Inputs&)>& function) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Inputs xs = converted(inputs, dtype);
    Json run = recorder.keep_run(xs, {}, [&] { return Inputs{function(xs)}; });
    run["options"] = options;
    recorder.add("loss", name, std::string(name) + " " + options.dump() + " on " + std::string(name_of(dtype)), run);
  }
}

Json with(std::initializer_list<Json::Member> members, const char* reduction) {
  Json options = Json::object(members);
  options["reduction"] = reduction;
  return options;
}

Tensor numbers(const Shape& shape, double low = -3, double high = 3) { return uniform(shape, DType::f64, low, high); }

void record_distances(Recorder& recorder) {
  const Inputs pairs[] = {{numbers({4, 3}), numbers({4, 3})}, {numbers({4, 3}), numbers({3})}};
  for (const Inputs& pair : pairs) {
    for (const auto& [reduction, name] : kReductions) {
      const Reduction how = reduction;
      record(recorder, "mse", with({}, name), pair, [=](const Inputs& x) { return loss::mse(x[0], x[1], how); });
      record(recorder, "mae", with({}, name), pair, [=](const Inputs& x) { return loss::mae(x[0], x[1], how); });
      for (double edge : {1.0, 0.3}) {
        record(recorder, "huber", with({{"delta", edge}}, name), pair,
               [=](const Inputs& x) { return loss::huber(x[0], x[1], edge, how); });
        record(recorder, "smooth_l1", with({{"beta", edge}}, name), pair,
               [=](const Inputs& x) { return loss::smooth_l1(x[0], x[1], edge, how); });
      }
      record(recorder, "smooth_l1", with({{"beta", 0.0}}, name), pair,
             [=](const Inputs& x) { return loss::smooth_l1(x[0], x[1], 0, how); });
    }
  }
}

// Scores of some shape, labels for them, weights of the classes or none.
void record_labels(Recorder& recorder, const Shape& shape, const Shape& labels, const Tensor& class_weights) {
  const int64_t classes = shape.size() == 1 ? shape[0] : shape[1];
  const Tensor scores = numbers(shape);
  const Inputs inputs = {scores, whole(labels, 0, classes), class_weights};
  for (const auto& [reduction, name] : kReductions) {
    const Reduction how = reduction;
    for (int64_t ignored : {int64_t{-100}, int64_t{1}}) {
      record(recorder, "nll", with({{"ignore_index", ignored}}, name), inputs, [=](const Inputs& x) {
        return loss::nll(log_softmax(x[0], shape.size() == 1 ? 0 : 1), x[1], {ignored, how}, x[2]);
      });
      for (double smoothing : {0.0, 0.2})
        record(recorder, "cross_entropy", with({{"ignore_index", ignored}, {"label_smoothing", smoothing}}, name),
               inputs, [=](const Inputs& x) {
                 return loss::cross_entropy(x[0], x[1], {smoothing, ignored, how}, x[2]);
               });
    }
  }
}

void record_targets(Recorder& recorder, const Shape& shape, const Tensor& class_weights) {
  const int axis = shape.size() == 1 ? 0 : 1;
  const Inputs inputs = {numbers(shape), softmax(numbers(shape), axis), class_weights};
  for (const auto& [reduction, name] : kReductions) {
    const Reduction how = reduction;
    for (double smoothing : {0.0, 0.2})
      record(recorder, "cross_entropy", with({{"label_smoothing", smoothing}}, name), inputs, [=](const Inputs& x) {
        return loss::cross_entropy(x[0], x[1], {smoothing, -100, how}, x[2]);
      });
  }
}

void record_probabilities(Recorder& recorder) {
  const Inputs inputs = {softmax(numbers({5, 4}), 1), softmax(numbers({5, 4}), 1)};
  for (const auto& [reduction, name] : kReductions) {
    const Reduction how = reduction;
    record(recorder, "cross_entropy_of_probabilities", with({}, name), inputs,
           [=](const Inputs& x) { return loss::cross_entropy_of_probabilities(x[0], x[1], how); });
  }
  for (const auto& [reduction, name] : {kReductions[0], kReductions[1], kReductions[2], kBatchMean}) {
    const Reduction how = reduction;
    record(recorder, "kl_div", with({{"log_target", false}}, name), {log(inputs[0]), inputs[1]}, [=](const Inputs& x) {
      return loss::kl_div(x[0], x[1], {false, how});
    });
    record(recorder, "kl_div", with({{"log_target", true}}, name), {log(inputs[0]), log(inputs[1])},
           [=](const Inputs& x) {
             return loss::kl_div(x[0], x[1], {true, how});
           });
  }
}

void record_binary(Recorder& recorder) {
  for (bool weighted : {false, true}) {
    const Tensor weight = weighted ? numbers({4, 3}, 0.5, 2) : Tensor(),
                 positive = weighted ? numbers({3}, 0.5, 2) : Tensor();
    const Inputs probabilities = {numbers({4, 3}, 0.01, 0.99), numbers({4, 3}, 0, 1), weight};
    const Inputs logits = {numbers({4, 3}, -60, 60), numbers({4, 3}, 0, 1), weight, positive};
    const Inputs certain = {rint(numbers({4, 3}, 0, 1)), rint(numbers({4, 3}, 0, 1)), weight};
    for (const auto& [reduction, name] : kReductions) {
      const Reduction how = reduction;
      const auto binary = [=](const Inputs& x) { return loss::binary_cross_entropy(x[0], x[1], how, x[2]); };
      record(recorder, "binary_cross_entropy", with({}, name), probabilities, binary);
      record(recorder, "binary_cross_entropy", with({{"certain", true}}, name), certain, binary);
      record(recorder, "binary_cross_entropy_with_logits", with({}, name), logits,
             [=](const Inputs& x) { return loss::binary_cross_entropy_with_logits(x[0], x[1], how, x[2], x[3]); });
    }
  }
}

}  // namespace

void record_losses(Recorder& recorder) {
  record_distances(recorder);
  for (const Tensor& weights : {Tensor(), numbers({4}, 0.5, 2)}) {
    record_labels(recorder, {6, 4}, {6}, weights);
    record_labels(recorder, {4}, {}, weights);
    record_labels(recorder, {2, 4, 3}, {2, 3}, weights);
    for (const Shape& shape : {Shape{6, 4}, Shape{4}, Shape{2, 4, 3}}) record_targets(recorder, shape, weights);
  }
  record_probabilities(recorder);
  record_binary(recorder);
}

}  // namespace sm::reference
