#include "kernels/cpu/conv_onednn.hpp"

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "kernels/cpu/onednn.hpp"
#include "kernels/parallel.hpp"
#include "util/buffer.hpp"

namespace sm::kernels {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

constexpr auto kF32 = memory::data_type::f32;

// Never destroyed, so that work at the end of the process still finds it.
dnnl::engine& engine() {
  static dnnl::engine& cpu = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::primitive_attr own_scratchpad() {
  // With oneDNN's own scratchpad a primitive couldn't run on two threads at once.
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// The layouts of a convolution's tensors, in the order input, filter, output.
struct Layouts {
  memory::desc input, filter, output;
};

// Takes one tensor from its plain layout to the convolution's, or back.
struct Reorder {
  dnnl::primitive primitive;  // empty when the layouts are the same
  memory::desc plain, inner;
  memory::desc scratch;

  Reorder() = default;
  Reorder(const memory::desc& plain_layout, const memory::desc& inner_layout, bool back)
      : plain(plain_layout), inner(inner_layout) {
    if (plain == inner) return;
    const dnnl::reorder::primitive_desc description(engine(), back ? inner : plain, engine(), back ? plain : inner,
                                                    own_scratchpad());
    scratch = description.scratchpad_desc();
    primitive = dnnl::reorder(description);
  }
  bool needed() const { return static_cast<bool>(primitive); }
};

// A prepared convolution. Immutable, so any number of threads may run it.
struct Plan {
  dnnl::primitive primitive;
  Reorder input, filter, output;
  memory::desc bias, scratch;
};

Layouts plain_layouts(const ConvSizes& s) {
  const memory::dims filter{s.out_channels / s.groups, s.in_channels / s.groups, s.kernel[0], s.kernel[1]};
  memory::dims grouped{s.groups};
  grouped.insert(grouped.end(), filter.begin(), filter.end());
  return {{{s.batch, s.in_channels, s.height, s.width}, kF32, Tag::nchw},
          s.groups == 1 ? memory::desc(filter, kF32, Tag::oihw) : memory::desc(grouped, kF32, Tag::goihw),
          {{s.batch, s.out_channels, s.out[0], s.out[1]}, kF32, Tag::nchw}};
}

// Layouts of oneDNN's choice are faster even with the reorders they need
// (2.5 times at 64x16x14x14 with 32 filters of 3x3), except for the input
// gradient of so few channels that a block of 16 would be mostly padding.
Layouts inner_layouts(ConvPass pass, const ConvSizes& s, const Layouts& plain) {
  constexpr int64_t kFewChannels = 4;
  if (pass == ConvPass::kInputGradient && s.groups == 1 && s.in_channels <= kFewChannels) return plain;
  return {{plain.input.dims(), kF32, Tag::any},
          {plain.filter.dims(), kF32, Tag::any},
          {plain.output.dims(), kF32, Tag::any}};
}

template <class Description>
void complete(Plan& plan, ConvPass pass, const Layouts& plain, const Layouts& inner, const Description& description) {
  plan.input = Reorder(plain.input, inner.input, pass == ConvPass::kInputGradient);
  plan.filter = Reorder(plain.filter, inner.filter, pass == ConvPass::kFilterGradient);
  plan.output = Reorder(plain.output, inner.output, pass == ConvPass::kForward);
  plan.scratch = description.scratchpad_desc();
}

std::shared_ptr<const Plan> make_plan(ConvPass pass, const ConvSizes& s, bool with_bias) {
  const Layouts plain = plain_layouts(s), asked = inner_layouts(pass, s, plain);
  const memory::dims stride{s.stride[0], s.stride[1]}, padding{s.padding[0], s.padding[1]};
  const memory::dims dilation{s.dilation[0] - 1, s.dilation[1] - 1};  // oneDNN counts the gap between taps
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
  auto plan = std::make_shared<Plan>();
  if (with_bias) plan->bias = memory::desc({s.out_channels}, kF32, Tag::a);

  using Forward = dnnl::convolution_forward;
  const Forward::primitive_desc forward({dnnl::prop_kind::forward_training, kAlgorithm, asked.input, asked.filter,
                                         plan->bias, asked.output, stride, dilation, padding, padding},
                                        own_scratchpad(), engine());
  if (pass == ConvPass::kForward) {
    complete(*plan, pass, plain, {forward.src_desc(), forward.weights_desc(), forward.dst_desc()}, forward);
    plan->primitive = Forward(forward);
  } else if (pass == ConvPass::kInputGradient) {
    using Backward = dnnl::convolution_backward_data;
    const Backward::primitive_desc backward(
        {kAlgorithm, asked.input, asked.filter, asked.output, stride, dilation, padding, padding}, own_scratchpad(),
        engine(), forward);
    complete(*plan, pass, plain, {backward.diff_src_desc(), backward.weights_desc(), backward.diff_dst_desc()},
             backward);
    plan->primitive = Backward(backward);
  } else {
    using Backward = dnnl::convolution_backward_weights;
    const Backward::primitive_desc backward(
        {kAlgorithm, asked.input, asked.filter, asked.output, stride, dilation, padding, padding}, own_scratchpad(),
        engine(), forward);
    complete(*plan, pass, plain, {backward.src_desc(), backward.diff_weights_desc(), backward.diff_dst_desc()},
             backward);
    plan->primitive = Backward(backward);
  }
  return plan;
}

struct Key {
  ConvPass pass;
  bool with_bias;
  ConvSizes sizes;
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    const ConvSizes& s = key.sizes;
    uint64_t hash = static_cast<uint64_t>(key.pass) * 2 + key.with_bias;
    for (int64_t value : {s.batch, s.in_channels, s.height, s.width, s.out_channels, s.groups, s.kernel[0], s.kernel[1],
                          s.stride[0], s.stride[1], s.padding[0], s.padding[1], s.dilation[0], s.dilation[1]})
      hash = (hash ^ static_cast<uint64_t>(value)) * 0x100000001b3u;
    return static_cast<size_t>(hash ^ hash >> 32);
  }
};

// The plans used last: making one costs as much as running a small convolution. Thread-safe.
class PlanCache {
 public:
  static PlanCache& instance() {
    static PlanCache& cache = *new PlanCache;
    return cache;
  }

  // Null where oneDNN has no such convolution.
  std::shared_ptr<const Plan> get(const Key& key) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = index_.find(key); found != index_.end()) {
        recent_.splice(recent_.begin(), recent_, found->second);
        return found->second->second;
      }
    }
    std::shared_ptr<const Plan> plan;
    try {
      plan = make_plan(key.pass, key.sizes, key.with_bias);
    } catch (const dnnl::error&) {
      // Remembered too: finding out is as dear as a plan.
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) return found->second->second;
    recent_.emplace_front(key, plan);
    index_[key] = recent_.begin();
    if (recent_.size() > kCapacity) {
      index_.erase(recent_.back().first);
      recent_.pop_back();
    }
    return plan;
  }

 private:
  static constexpr size_t kCapacity = 256;
  using Entry = std::pair<Key, std::shared_ptr<const Plan>>;

  std::mutex mutex_;
  std::list<Entry> recent_;
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
};

// One run of a plan: the memory that it needs besides its operands.
class Execution {
 public:
  explicit Execution(const Plan& plan) : plan_(plan) {}

  void run(ConvPass pass, const ConvOperands& operands) {
    const bool forward = pass == ConvPass::kForward, filters = pass == ConvPass::kFilterGradient;
    const bool inputs = pass == ConvPass::kInputGradient;
    memory in = enter(plan_.input, operands.input, !inputs);
    memory weights = enter(plan_.filter, operands.filter, !filters);
    memory out = enter(plan_.output, operands.output, !forward);
    std::unordered_map<int, memory> arguments{{inputs ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, in},
                                              {filters ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, weights},
                                              {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, out},
                                              {DNNL_ARG_SCRATCHPAD, temporary(plan_.scratch)}};
    if (operands.bias)
      arguments.emplace(DNNL_ARG_BIAS, memory(plan_.bias, engine(), const_cast<float*>(operands.bias)));
    plan_.primitive.execute(stream_, arguments);
    if (forward)
      leave(plan_.output, out, operands.output);
    else if (inputs)
      leave(plan_.input, in, operands.input);
    else
      leave(plan_.filter, weights, operands.filter);
    stream_.wait();
  }

 private:
  // The operand as the convolution wants it; `reads` fills it from the plain one.
  memory enter(const Reorder& reorder, float* plain, bool reads) {
    memory outside(reorder.plain, engine(), plain);
    if (!reorder.needed()) return outside;
    memory inside = temporary(reorder.inner);
    if (reads) move(reorder, outside, inside);
    return inside;
  }

  void leave(const Reorder& reorder, memory& inside, float* plain) {
    if (!reorder.needed()) return;
    memory outside(reorder.plain, engine(), plain);
    move(reorder, inside, outside);
  }

  void move(const Reorder& reorder, memory& from, memory& to) {
    reorder.primitive.execute(
        stream_, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, temporary(reorder.scratch)}});
  }

  memory temporary(const memory::desc& layout) {
    const size_t bytes = layout.get_size();
    if (bytes == 0) return memory(layout, engine(), nullptr);
    held_.push_back(util::Buffer::allocate(bytes));
    return memory(layout, engine(), held_.back()->data());
  }

  const Plan& plan_;
  dnnl::stream stream_{engine()};
  std::vector<util::BufferRef> held_;
};

std::shared_ptr<const Plan> plan_for(ConvPass pass, ConvSizes sizes, int64_t batch, bool with_bias) {
  sizes.batch = batch;
  return PlanCache::instance().get({pass, with_bias, sizes});
}

}  // namespace

bool run_onednn(ConvPass pass, const ConvSizes& sizes, const ConvOperands& operands) {
  // oneDNN computes with these in 32 bits.
  constexpr int64_t kLimit = 1 << 15;
  for (const auto& pair : {sizes.kernel, sizes.stride, sizes.padding, sizes.dilation})
    if (pair[0] > kLimit || pair[1] > kLimit) return false;
  const ConvCut cut(sizes);
  std::shared_ptr<const Plan> larger, smaller;
  {
    const OneThread guard;
    larger = plan_for(pass, sizes, cut.size(0), operands.bias != nullptr);
    smaller = plan_for(pass, sizes, cut.size(cut.pieces - 1), operands.bias != nullptr);
  }
  if (!larger || !smaller) return false;
  run_pieces(pass, sizes, cut, operands, [&](int64_t items, const ConvOperands& piece) {
    const OneThread guard;
    Execution(items == cut.size(0) ? *larger : *smaller).run(pass, piece);
  });
  return true;
}

}  // namespace sm::kernels
