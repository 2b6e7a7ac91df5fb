#include "ops/measure.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "ops/stats_state.hpp"
#include "tensor/impl.hpp"

namespace sm::ops {

constinit std::atomic<int> collectors{0};

namespace {

thread_local Measure* current = nullptr;

bool only_moves(const Op& op) {
  static const std::unordered_set<const Op*> moving = [] {
    std::unordered_set<const Op*> rows;
    for (auto family : {make_ops, shape_ops, index_ops, window_ops, gather_ops, rearrange_ops})
      for (const Op& row : family()) rows.insert(&row);
    return rows;
  }();
  return moving.contains(&op);
}

bool share_memory(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.impl()->storage().get() == b.impl()->storage().get();
}

}  // namespace

double flops_of(const Op& op, Inputs inputs, const Tensor& output) {
  const auto in = [&](size_t i) { return static_cast<double>(inputs[i]->elements()); };
  const auto out = static_cast<double>(output.elements());
  // A convolution uses each weight once for each place of its output.
  const auto places = [](double elements, int64_t channels) {
    return channels == 0 ? 0 : elements / static_cast<double>(channels);
  };
  if (op.name == "matmul" || op.name == "linear") return 2 * static_cast<double>(inputs[0]->size(-1)) * out;
  if (op.name == "attention" && inputs[2]->size(-1) > 0)
    return 2 * static_cast<double>(inputs[1]->size(-2)) *
           (places(out, inputs[2]->size(-1)) * static_cast<double>(inputs[0]->size(-1)) + out);
  if (op.name == "conv2d") return 2 * in(1) * places(out, inputs[1]->size(0));
  if (op.name == "conv2d_input_gradient") return 2 * in(1) * places(in(0), inputs[1]->size(0));
  if (op.name == "conv2d_filter_gradient") return 2 * out * places(in(0), output.size(0));
  if (only_moves(op)) return 0;
  double most = out;
  for (const Tensor* input : inputs)
    if (input->defined()) most = std::max(most, static_cast<double>(input->elements()));
  return most;
}

Measure::Measure(const Op& op, Inputs inputs)
    : op_(op),
      inputs_(inputs),
      outer_(std::exchange(current, this)),
      began_(std::chrono::system_clock::now()),
      start_(Clock::now()) {}

Measure::~Measure() { current = outer_; }

bool Measure::made_elsewhere(const Tensor& output) const {
  return share_memory(output, last_) ||
         std::any_of(inputs_.begin(), inputs_.end(), [&](const Tensor* input) { return share_memory(output, *input); });
}

void Measure::finish(std::span<const Tensor> outputs) {
  const Clock::duration whole = Clock::now() - start_;
  Stats::Entry entry{.count = 1};
  entry.nanoseconds = static_cast<uint64_t>(
      std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(whole - inner_).count()));
  // What gives several tensors is made of other ops, and they have counted.
  if (outputs.size() == 1 && !op_.forward_many && !made_elsewhere(outputs[0])) {
    entry.bytes = static_cast<uint64_t>(outputs[0].nbytes());
    entry.flops = flops_of(op_, inputs_, outputs[0]);
  }
  if (outer_) {
    outer_->inner_ += whole;
    if (!outputs.empty()) outer_->last_ = outputs.back();
  }
  if (const auto collector = detail::collector_of_thread()) collector->add_run(op_.name, entry, began_);
}

}  // namespace sm::ops
