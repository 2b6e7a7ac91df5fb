#include <memory>

#include "autograd/function.hpp"
#include "autograd/walk.hpp"
#include "instance.hpp"
#include "shumai/checkpoint.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

// A step whose gradient a JavaScript function gives. The graph knows only the
// function's number: the function itself stays with the tensors' objects, so
// that the garbage collector can see through cycles.
class ScriptNode final : public Node {
 public:
  ScriptNode(uint32_t id, const Tensor& value, std::vector<Tensor> inputs)
      : id(id), tag(value.impl()->tag), output_(make_alias(value)) {
    for (const Tensor& input : inputs) {
      edges_.push_back(edge_to(input));
      inputs_.push_back(make_alias(input));
    }
  }
  std::string_view name() const noexcept override { return "grad_fn"; }
  std::span<Edge> edges() noexcept override { return edges_; }
  bool is_async() const noexcept override { return true; }
  void backward(const Tensor&, std::span<Tensor>) override {}
  void visit_saved(const std::function<void(TensorImpl&)>& visit) const override {
    for (const Tensor& input : inputs_) visit(*input.impl());
    if (output_.defined()) visit(*output_.impl());
  }

  const std::vector<Tensor>& inputs() const { return inputs_; }
  const Tensor& output_value() const { return output_; }

  const uint32_t id;
  const std::shared_ptr<const TicketTag> tag;  // the gradient goes with it

 private:
  void release_saved() noexcept override {
    inputs_.clear();
    output_ = {};
  }

  std::vector<Edge> edges_;
  std::vector<Tensor> inputs_;
  Tensor output_;
};

// withGradFn(handle, input handles, number): the tensor with that function as its step in the graph.
napi_value with_grad_fn(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor& value = tensor_at(env, arguments[0]);
  std::vector<Tensor> inputs;
  for (uint32_t i = 0, n = length_of(env, arguments[1]); i < n; ++i)
    inputs.push_back(tensor_at(env, at(env, arguments[1], i)));
  if (!is_floating(value.dtype()))
    throw Error(ErrorCode::kDTypeMismatch,
                "grad_fn: only floating-point tensors have gradients, got " + std::string(name_of(value.dtype())));
  Tensor out = make_alias(value);
  out.impl()->tag = value.impl()->tag;
  attach(out, util::Ref<Node>(new ScriptNode(to_handle(env, arguments[2]), value, std::move(inputs))));
  return integer(env, add(env, out));
}

// retag(gradient, output): the gradient as that of another output of the same shape.
napi_value retag(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor gradient = tensor_at(env, arguments[0]).detach();
  return integer(env, add(env, tagged_gradient(gradient, tensor_at(env, arguments[1]).impl()->tag)));
}

struct Pass {
  Pass(const Tensor& root, const Tensor& jacobian, BackwardOptions options)
      : root(root), walk(this->root, jacobian, options) {}
  Tensor root;  // keeps the graph
  Walk walk;
  Node* first = nullptr;  // found while looking whether there is any to await
};

Pass& pass_of(napi_env env, napi_value value) {
  void* pass = nullptr;
  check(env, napi_get_value_external(env, value, &pass));
  return *static_cast<Pass*>(pass);
}

// Leaves what a pass found where SharedWords says, and returns its count; of many, an ArrayBuffer of the same.
napi_value to_found(napi_env env, const Gradients& gradients) {
  Instance& mine = instance(env);
  const auto count = static_cast<uint32_t>(gradients.size());
  uint32_t* to = mine.words->found;
  napi_value result;
  if (count > SharedWords::kMostFound) {
    void* memory = nullptr;
    check(env, napi_create_arraybuffer(env, 3 * count * sizeof(uint32_t), &memory, &result));
    to = static_cast<uint32_t*>(memory);
  } else {
    result = integer(env, count);
  }
  for (const auto& [tensor, gradient] : gradients) {
    const uint32_t marked = mine.slots.leaf_handle(tensor);
    *to++ = marked ? marked : mine.slots.add(env, tensor);
    *to++ = marked ? 1 : 0;
    *to++ = mine.slots.add(env, gradient);
  }
  return result;
}

BackwardOptions to_options(napi_env env, napi_value retain, napi_value create) {
  return {.retain_graph = to_boolean(env, retain), .create_graph = to_boolean(env, create)};
}

// What backward() gives.
napi_value start_pass(napi_env env, const Tensor& root, const Tensor& jacobian, BackwardOptions options) {
  auto pass = std::make_unique<Pass>(root, jacobian, options);
  Node* first = pass->walk.next_async();
  if (!first) return to_found(env, pass->walk.result());
  pass->first = first;
  napi_value out;
  check(env, napi_create_external(
                 env, pass.get(), [](napi_env, void* data, void*) { delete static_cast<Pass*>(data); }, nullptr, &out));
  pass.release();
  return out;
}

// backward(handle, jacobian or nothing, retain, create): what to_found gives, or
// a pass when the graph has steps to await.
napi_value backward(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor jacobian = missing(env, arguments[1]) ? Tensor() : tensor_at(env, arguments[1]);
  return start_pass(env, tensor_at(env, arguments[0]), jacobian, to_options(env, arguments[2], arguments[3]));
}

// backwardAlone(): backward of the tensor a, with no jacobian and no options. The result is the count of what was
// found, and what is returned the token of the first leaf's group, if it is marked; where backward would return
// something else than a count, the result is kOther, and that is returned.
napi_value backward_alone(napi_env env, Instance& mine) {
  constexpr uint32_t kOther = 0xffffffff;
  const Tensor root = mine.slots.at(mine.words->a);
  Walk walk(root, {}, {});
  mine.words->result = kOther;
  if (walk.next_async()) return start_pass(env, root, {}, {});
  const Gradients found = walk.result();
  const napi_value result = to_found(env, found);
  if (found.size() > SharedWords::kMostFound) return result;
  mine.words->result = static_cast<uint32_t>(found.size());
  const bool marked = !found.empty() && mine.words->found[1] == 1;
  return marked ? mine.slots.token_of(env, mine.words->found[0]) : nullptr;
}

// nextStep(pass): the next step that is ready, [node, number, gradient or 0, output, [inputs]]; undefined when none is.
napi_value next_step(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Pass& pass = pass_of(env, arguments[0]);
  Node* next = pass.first ? std::exchange(pass.first, nullptr) : pass.walk.next_async();
  if (!next) return undefined(env);
  auto* node = static_cast<ScriptNode*>(next);
  const Tensor gradient = pass.walk.take(node);
  const napi_value out = array(env, 5);
  napi_value external;
  check(env, napi_create_external(env, node, nullptr, nullptr, &external));
  set(env, out, 0u, external);
  set(env, out, 1u, integer(env, node->id));
  set(env, out, 2u, integer(env, gradient.defined() ? add(env, tagged_gradient(gradient, node->tag)) : 0));
  set(env, out, 3u, integer(env, add(env, node->output_value())));
  const napi_value inputs = array(env, node->inputs().size());
  for (uint32_t i = 0; i < node->inputs().size(); ++i) set(env, inputs, i, integer(env, add(env, node->inputs()[i])));
  set(env, out, 4u, inputs);
  return out;
}

// finishStep(pass, node, [gradient handles, 0 for none])
napi_value finish_step(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Pass& pass = pass_of(env, arguments[0]);
  void* data = nullptr;
  check(env, napi_get_value_external(env, arguments[1], &data));
  auto* node = static_cast<ScriptNode*>(data);
  std::vector<Tensor> gradients(node->edges().size());
  for (uint32_t i = 0, n = length_of(env, arguments[2]); i < n; ++i) {
    const uint32_t handle = to_handle(env, at(env, arguments[2], i));
    if (i >= gradients.size())
      throw Error(ErrorCode::kInvalidArgument, "grad_fn: returned " + std::to_string(n) + " gradients for " +
                                                   std::to_string(gradients.size()) + " inputs");
    if (!handle || !node->edges()[i].needed()) continue;
    gradients[i] = instance(env).slots.at(handle);
    if (gradients[i].shape() != node->inputs()[i].shape())
      throw Error(ErrorCode::kShapeMismatch, "grad_fn: the input has shape " + node->inputs()[i].shape().to_string() +
                                                 ", its gradient has shape " + gradients[i].shape().to_string());
  }
  pass.walk.finish(node, gradients);
  return undefined(env);
}

napi_value finish_pass(const Arguments& arguments) {
  return to_found(arguments.env(), pass_of(arguments.env(), arguments[0]).walk.result());
}

// onCheckpoint(function): what runs a checkpointed function, by its number, on handles, and gives a handle.
napi_value on_checkpoint(const Arguments& arguments) {
  check(arguments.env(),
        napi_create_reference(arguments.env(), arguments[0], 1, &instance(arguments.env()).run_checkpoint));
  return undefined(arguments.env());
}

Tensor run_checkpoint(napi_env env, uint32_t id, const std::vector<Tensor>& inputs) {
  napi_value function, result;
  check(env, napi_get_reference_value(env, instance(env).run_checkpoint, &function));
  const napi_value handles = array(env, inputs.size());
  for (uint32_t i = 0; i < inputs.size(); ++i) set(env, handles, i, integer(env, add(env, inputs[i])));
  const napi_value values[] = {integer(env, id), handles};
  check(env, napi_call_function(env, undefined(env), function, 2, values, &result));
  const uint32_t handle = to_handle(env, result);
  Tensor out = instance(env).slots.at(handle);
  instance(env).slots.dispose(handle);
  return out;
}

// again(handle): another handle of the same tensor.
napi_value again(const Arguments& arguments) {
  return integer(arguments.env(), add(arguments.env(), Tensor(tensor_at(arguments.env(), arguments[0]))));
}

// checkpoint(number, input handles)
napi_value checkpoint_function(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const uint32_t id = to_handle(env, arguments[0]);
  std::vector<Tensor> inputs;
  for (uint32_t i = 0, n = length_of(env, arguments[1]); i < n; ++i)
    inputs.push_back(tensor_at(env, at(env, arguments[1], i)));
  const auto function = [env, id](const std::vector<Tensor>& given) { return run_checkpoint(env, id, given); };
  return integer(env, add(env, checkpoint(function, std::move(inputs))));
}

// Between the two no graph is recorded. They nest.
napi_value begin_no_grad(const Arguments& arguments) {
  instance(arguments.env()).no_grad.push_back(std::make_unique<NoGrad>());
  return undefined(arguments.env());
}

napi_value end_no_grad(const Arguments& arguments) {
  auto& open = instance(arguments.env()).no_grad;
  if (!open.empty()) open.pop_back();
  return undefined(arguments.env());
}

}  // namespace

void define_autograd(napi_env env, napi_value exports) {
  define<with_grad_fn>(env, exports, "withGradFn");
  define<retag>(env, exports, "retag");
  define<backward>(env, exports, "backward");
  define_bare<backward_alone>(env, exports, "backwardAlone");
  define<next_step>(env, exports, "nextStep");
  define<finish_step>(env, exports, "finishStep");
  define<finish_pass>(env, exports, "finishPass");
  define<on_checkpoint>(env, exports, "onCheckpoint");
  define<again>(env, exports, "again");
  define<checkpoint_function>(env, exports, "checkpoint");
  define<begin_no_grad>(env, exports, "beginNoGrad");
  define<end_no_grad>(env, exports, "endNoGrad");
}

}  // namespace sm::js
