#include <memory>

#include "instance.hpp"
#include "shumai/gradients.hpp"
#include "shumai/optim.hpp"

namespace sm::js {
namespace {

template <class T>
napi_value external(napi_env env, T value) {
  auto own = std::make_unique<T>(std::move(value));
  napi_value out;
  check(env, napi_create_external(
                 env, own.get(), [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr, &out));
  own.release();
  return out;
}

template <class T>
T& from_external(napi_env env, napi_value value) {
  void* data = nullptr;
  check(env, napi_get_value_external(env, value, &data));
  return *static_cast<T*>(data);
}

// Weights and gradients side by side.
Gradients to_gradients(napi_env env, napi_value weights, napi_value gradients) {
  std::vector<Gradients::Entry> entries;
  for (uint32_t i = 0, n = length_of(env, weights); i < n; ++i)
    entries.push_back({tensor_at(env, at(env, weights, i)), tensor_at(env, at(env, gradients, i))});
  return Gradients(std::move(entries));
}

Tensors to_tensors(napi_env env, napi_value names, napi_value handles) {
  Tensors out;
  for (uint32_t i = 0, n = length_of(env, names); i < n; ++i)
    out.set(to_text(env, at(env, names, i), "name"), tensor_at(env, at(env, handles, i)));
  return out;
}

// sgd([weights], [gradients], rate)
napi_value sgd(const Arguments& arguments) {
  const napi_env env = arguments.env();
  optim::sgd(to_gradients(env, arguments[0], arguments[1]), to_number(env, arguments[2], "learning rate"));
  return undefined(env);
}

// An object's properties, each read over a default.
struct Options {
  napi_env env;
  napi_value object;

  void read(const char* name, double& value) const {
    const napi_value given = get(env, object, name);
    if (!missing(env, given)) value = to_number(env, given, name);
  }
  void read(const char* name, bool& value) const {
    const napi_value given = get(env, object, name);
    if (!missing(env, given)) value = to_boolean(env, given);
  }
  void read(const char* name, std::array<double, 2>& value) const {
    const napi_value given = get(env, object, name);
    if (missing(env, given)) return;
    if (!is_array(env, given) || length_of(env, given) != 2)
      throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": expected two numbers");
    for (uint32_t i = 0; i < 2; ++i) value[i] = to_number(env, at(env, given, i), name);
  }
};

template <class T>
T read_adam(const Options& in) {
  T options;
  in.read("learningRate", options.learning_rate);
  in.read("betas", options.betas);
  in.read("eps", options.eps);
  in.read("weightDecay", options.weight_decay);
  in.read("amsgrad", options.amsgrad);
  return options;
}

optim::Optimizer make_sgd(const Options& in) {
  optim::SGDOptions options;
  in.read("learningRate", options.learning_rate);
  in.read("momentum", options.momentum);
  in.read("dampening", options.dampening);
  in.read("nesterov", options.nesterov);
  in.read("weightDecay", options.weight_decay);
  return optim::SGD(options);
}

optim::Optimizer make_rmsprop(const Options& in) {
  optim::RMSpropOptions options;
  in.read("learningRate", options.learning_rate);
  in.read("alpha", options.alpha);
  in.read("eps", options.eps);
  in.read("weightDecay", options.weight_decay);
  in.read("momentum", options.momentum);
  in.read("centered", options.centered);
  return optim::RMSprop(options);
}

// optimizer(name, options)
napi_value make_optimizer(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const std::string name = to_text(env, arguments[0], "optimizer");
  const Options in{env, arguments[1]};
  if (name == "SGD") return external(env, make_sgd(in));
  if (name == "Adam") return external<optim::Optimizer>(env, optim::Adam(read_adam<optim::AdamOptions>(in)));
  if (name == "AdamW") return external<optim::Optimizer>(env, optim::AdamW(read_adam<optim::AdamWOptions>(in)));
  if (name == "RMSprop") return external(env, make_rmsprop(in));
  throw Error(ErrorCode::kNotFound, "no optimizer \"" + name + "\"");
}

optim::Optimizer& optimizer_at(const Arguments& arguments) {
  return from_external<optim::Optimizer>(arguments.env(), arguments[0]);
}

// optimizerStep(optimizer, [weights], [gradients], rate)
napi_value optimizer_step(const Arguments& arguments) {
  const napi_env env = arguments.env();
  optimizer_at(arguments)(to_gradients(env, arguments[1], arguments[2]), to_number(env, arguments[3], "learning rate"));
  return undefined(env);
}

// learningRate(optimizer, new one?)
napi_value learning_rate(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const optim::Optimizer& optimizer = optimizer_at(arguments);
  if (arguments.size() > 1) optimizer.set_learning_rate(to_number(env, arguments[1], "learning rate"));
  return number(env, optimizer.learning_rate());
}

napi_value optimizer_steps(const Arguments& arguments) {
  return number(arguments.env(), static_cast<double>(optimizer_at(arguments).steps()));
}

// optimizerState(optimizer, names, weights): [[name, handle], ...]
napi_value optimizer_state(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensors state = optimizer_at(arguments).state(to_tensors(env, arguments[1], arguments[2]));
  const napi_value out = array(env, state.size());
  for (uint32_t i = 0; i < state.size(); ++i) {
    const auto& [name, tensor] = state.at(i);
    const napi_value pair = array(env, 2);
    set(env, pair, 0u, text(env, name));
    set(env, pair, 1u, integer(env, add(env, tensor)));
    set(env, out, i, pair);
  }
  return out;
}

// loadOptimizerState(optimizer, state's names, its tensors, names, weights)
napi_value load_optimizer_state(const Arguments& arguments) {
  const napi_env env = arguments.env();
  optimizer_at(arguments).load_state(to_tensors(env, arguments[1], arguments[2]),
                                     to_tensors(env, arguments[3], arguments[4]));
  return undefined(env);
}

std::vector<int64_t> to_milestones(napi_env env, napi_value value) {
  std::vector<int64_t> out;
  for (uint32_t i = 0, n = is_array(env, value) ? length_of(env, value) : 0; i < n; ++i)
    out.push_back(to_integer(env, at(env, value, i), "milestones"));
  return out;
}

optim::OneCycleOptions to_one_cycle(const Options& in) {
  optim::OneCycleOptions options;
  in.read("pctStart", options.pct_start);
  in.read("linear", options.linear);
  in.read("divFactor", options.div_factor);
  in.read("finalDivFactor", options.final_div_factor);
  in.read("threePhase", options.three_phase);
  return options;
}

// schedule(name, ...arguments), all of them given
napi_value make_schedule(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const std::string name = to_text(env, arguments[0], "schedule");
  const auto real = [&](size_t i) { return to_number(env, arguments[i], name.c_str()); };
  const auto whole = [&](size_t i) { return to_integer(env, arguments[i], name.c_str()); };
  if (name == "stepLR") return external(env, optim::step_lr(whole(1), real(2)));
  if (name == "multiStepLR") return external(env, optim::multi_step_lr(to_milestones(env, arguments[1]), real(2)));
  if (name == "exponentialLR") return external(env, optim::exponential_lr(real(1)));
  if (name == "constantLR") return external(env, optim::constant_lr(real(1), whole(2)));
  if (name == "linearLR") return external(env, optim::linear_lr(real(1), real(2), whole(3)));
  if (name == "polynomialLR") return external(env, optim::polynomial_lr(whole(1), real(2)));
  if (name == "cosineAnnealingLR") return external(env, optim::cosine_annealing_lr(whole(1), real(2)));
  if (name == "cosineAnnealingWarmRestarts")
    return external(env, optim::cosine_annealing_warm_restarts(whole(1), whole(2), real(3)));
  if (name == "oneCycleLR")
    return external(env, optim::one_cycle_lr(real(1), whole(2), to_one_cycle({env, arguments[3]})));
  throw Error(ErrorCode::kNotFound, "no schedule \"" + name + "\"");
}

// scheduledRate(schedule, step, initial)
napi_value scheduled_rate(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto& schedule = from_external<optim::Schedule>(env, arguments[0]);
  return number(env, schedule(to_integer(env, arguments[1], "step"), to_number(env, arguments[2], "initial rate")));
}

napi_value gradient_handles(napi_env env, const Gradients& gradients) {
  const napi_value out = array(env, gradients.size());
  uint32_t i = 0;
  for (const auto& entry : gradients) set(env, out, i++, integer(env, add(env, entry.gradient)));
  return out;
}

// clipGradNorm([weights], [gradients], most, norm type, error if not finite): [total norm, gradients]
napi_value clip_grad_norm(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto [gradients, total_norm] =
      optim::clip_grad_norm(to_gradients(env, arguments[0], arguments[1]), to_number(env, arguments[2], "maxNorm"),
                            to_number(env, arguments[3], "normType"), to_boolean(env, arguments[4]));
  const napi_value out = array(env, 2);
  set(env, out, 0u, number(env, total_norm));
  set(env, out, 1u, gradient_handles(env, gradients));
  return out;
}

// clipGradValue([weights], [gradients], most): gradients
napi_value clip_grad_value(const Arguments& arguments) {
  const napi_env env = arguments.env();
  return gradient_handles(env, optim::clip_grad_value(to_gradients(env, arguments[0], arguments[1]),
                                                      to_number(env, arguments[2], "clipValue")));
}

}  // namespace

void define_optimizers(napi_env env, napi_value exports) {
  define<sgd>(env, exports, "sgd");
  define<make_optimizer>(env, exports, "optimizer");
  define<optimizer_step>(env, exports, "optimizerStep");
  define<learning_rate>(env, exports, "learningRate");
  define<optimizer_steps>(env, exports, "optimizerSteps");
  define<optimizer_state>(env, exports, "optimizerState");
  define<load_optimizer_state>(env, exports, "loadOptimizerState");
  define<make_schedule>(env, exports, "schedule");
  define<scheduled_rate>(env, exports, "scheduledRate");
  define<clip_grad_norm>(env, exports, "clipGradNorm");
  define<clip_grad_value>(env, exports, "clipGradValue");
}

}  // namespace sm::js
