#include "shumai/optim.hpp"

#include <cmath>
#include <limits>

#include "reference/recorder.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/schedule.hpp"

namespace sm::reference {
namespace {

constexpr int kSteps = 20;

using Update = std::function<void(const Gradients&)>;

// The weights after each of 20 updates by random gradients. With `pauses` the second weight has none at every third.
void record_steps(Recorder& recorder, const char* kind, const char* name, const Json& options,
                  const std::function<Update()>& make, bool pauses) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Update update = make();
    const std::vector<Tensor> weights = {uniform({3, 4}, dtype).requires_grad(true),
                                         uniform({5}, dtype).requires_grad(true)};
    Json record = Json::object({{"options", options}, {"weights", recorder.keep(weights)}});
    record["gradients"] = record["steps"] = Json::array();
    for (int step = 0; step < kSteps; ++step) {
      std::vector<Gradients::Entry> entries = {{weights[0], uniform({3, 4}, dtype)}};
      if (!pauses || step % 3) entries.push_back({weights[1], uniform({5}, dtype)});
      Json gradients = Json::array();
      for (const auto& entry : entries) gradients.push_back(recorder.keep(entry.gradient));
      record["gradients"].push_back(gradients);
      update(Gradients(entries));
      record["steps"].push_back(recorder.keep(weights));
    }
    const std::string text = std::string(name) + " " + options.dump() + " on " + std::string(name_of(dtype));
    recorder.add(kind, name, text + (pauses ? " with pauses" : ""), record);
  }
}

template <class O, class Options>
void record_optimizer(Recorder& recorder, const char* name, const Json& json, const Options& options) {
  for (bool pauses : {false, true})
    record_steps(
        recorder, "optimizer", name, json, [&]() -> Update { return O(options); }, pauses);
}

void record_sgd(Recorder& recorder) {
  const auto of = [&](optim::SGDOptions o) {
    record_optimizer<optim::SGD>(recorder, "SGD",
                                 Json::object({{"lr", o.learning_rate},
                                               {"momentum", o.momentum},
                                               {"dampening", o.dampening},
                                               {"nesterov", o.nesterov},
                                               {"weight_decay", o.weight_decay}}),
                                 o);
  };
  of({});
  of({.learning_rate = 0.1, .weight_decay = 0.05});
  of({.learning_rate = 0.1, .momentum = 0.9});
  of({.learning_rate = 0.1, .momentum = 0.8, .dampening = 0.3, .weight_decay = 0.02});
  of({.learning_rate = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01});
  for (bool pauses : {false, true})
    record_steps(
        recorder, "optimizer", "sgd", Json::object({{"lr", 0.05}}),
        []() -> Update { return [](const Gradients& gradients) { optim::sgd(gradients, 0.05); }; }, pauses);
}

template <class O, class Options>
void record_adam(Recorder& recorder, const char* name) {
  const auto of = [&](Options o) {
    record_optimizer<O>(recorder, name,
                        Json::object({{"lr", o.learning_rate},
                                      {"betas", Json::array({o.betas[0], o.betas[1]})},
                                      {"eps", o.eps},
                                      {"weight_decay", o.weight_decay},
                                      {"amsgrad", o.amsgrad}}),
                        o);
  };
  of({});
  of({.learning_rate = 0.02, .betas = {0.8, 0.95}, .eps = 1e-3});
  of({.learning_rate = 0.02, .weight_decay = 0.1});
  of({.learning_rate = 0.02, .betas = {0.5, 0.7}, .weight_decay = 0.1, .amsgrad = true});
}

void record_rmsprop(Recorder& recorder) {
  const auto of = [&](optim::RMSpropOptions o) {
    record_optimizer<optim::RMSprop>(recorder, "RMSprop",
                                     Json::object({{"lr", o.learning_rate},
                                                   {"alpha", o.alpha},
                                                   {"eps", o.eps},
                                                   {"weight_decay", o.weight_decay},
                                                   {"momentum", o.momentum},
                                                   {"centered", o.centered}}),
                                     o);
  };
  of({});
  of({.learning_rate = 0.02, .alpha = 0.9, .eps = 1e-3, .weight_decay = 0.1});
  of({.learning_rate = 0.02, .momentum = 0.9});
  of({.learning_rate = 0.02, .alpha = 0.8, .eps = 1e-2, .weight_decay = 0.05, .momentum = 0.5, .centered = true});
}

// The rate before each of 40 steps, and weights that follow it.
void record_schedule(Recorder& recorder, const char* name, const Json& options, const optim::Schedule& schedule) {
  std::vector<double> rates;
  rates.reserve(2 * kSteps);
  for (int step = 0; step < 2 * kSteps; ++step) rates.push_back(schedule(step, 0.2));
  Json record = Json::object({{"options", options}, {"initial", 0.2}, {"rates", recorder.keep(tensor(rates))}});
  recorder.add("schedule", name, std::string(name) + " " + options.dump(), record);
  const auto make = [&]() -> Update {
    const optim::SGD sgd({.learning_rate = 0.2, .momentum = 0.5});
    sgd.set_schedule(schedule);
    return sgd;
  };
  Json all = options;
  all["schedule"] = name;
  record_steps(recorder, "scheduled", name, all, make, false);
}

Json one_cycle(double max_lr, int64_t total, const optim::OneCycleOptions& o) {
  return Json::object({{"max_lr", max_lr},
                       {"total_steps", total},
                       {"pct_start", o.pct_start},
                       {"anneal_strategy", o.linear ? "linear" : "cos"},
                       {"div_factor", o.div_factor},
                       {"final_div_factor", o.final_div_factor},
                       {"three_phase", o.three_phase}});
}

void record_schedules(Recorder& recorder) {
  const auto of = [&](const char* name, std::initializer_list<Json::Member> options, const optim::Schedule& schedule) {
    record_schedule(recorder, name, Json::object(options), schedule);
  };
  of("lambda_lr", {{"base", 0.9}}, optim::lambda_lr([](int64_t step) { return std::pow(0.9, step); }));
  of("step_lr", {{"step_size", 7}, {"gamma", 0.5}}, optim::step_lr(7, 0.5));
  of("step_lr", {{"step_size", 3}}, optim::step_lr(3));
  of("multi_step_lr", {{"milestones", Json::array({3, 3, 10, 25})}, {"gamma", 0.4}},
     optim::multi_step_lr({3, 3, 10, 25}, 0.4));
  of("exponential_lr", {{"gamma", 0.93}}, optim::exponential_lr(0.93));
  of("constant_lr", {}, optim::constant_lr());
  of("constant_lr", {{"factor", 0.5}, {"total_iters", 9}}, optim::constant_lr(0.5, 9));
  of("linear_lr", {}, optim::linear_lr());
  of("linear_lr", {{"start_factor", 0.9}, {"end_factor", 0.1}, {"total_iters", 17}}, optim::linear_lr(0.9, 0.1, 17));
  of("polynomial_lr", {}, optim::polynomial_lr());
  of("polynomial_lr", {{"total_iters", 25}, {"power", 2.5}}, optim::polynomial_lr(25, 2.5));
  of("cosine_annealing_lr", {{"T_max", 12}, {"eta_min", 0.01}}, optim::cosine_annealing_lr(12, 0.01));
  of("cosine_annealing_warm_restarts", {{"T_0", 4}, {"T_mult", 2}, {"eta_min", 0.01}},
     optim::cosine_annealing_warm_restarts(4, 2, 0.01));
  of("cosine_annealing_warm_restarts", {{"T_0", 5}}, optim::cosine_annealing_warm_restarts(5));
  of("sequential_lr", {{"milestones", Json::array({5})}},
     optim::sequential_lr({optim::linear_lr(0.1, 1, 5), optim::exponential_lr(0.9)}, {5}));
  for (const optim::OneCycleOptions& options :
       {optim::OneCycleOptions{}, optim::OneCycleOptions{0.4, true, 10, 100, false},
        optim::OneCycleOptions{0.25, false, 20, 50, true}})
    record_schedule(recorder, "one_cycle_lr", one_cycle(0.5, 40, options), optim::one_cycle_lr(0.5, 40, options));
}

void record_clip(Recorder& recorder, const char* name, const Json& options, DType dtype,
                 const std::function<optim::ClippedGradients(const Gradients&)>& clip) {
  const std::vector<Tensor> weights = {uniform({3, 4}, dtype).requires_grad(true),
                                       uniform({}, dtype).requires_grad(true)};
  const std::vector<Tensor> gradients = {uniform({3, 4}, dtype), uniform({}, dtype)};
  const auto clipped = clip(Gradients({{weights[0], gradients[0]}, {weights[1], gradients[1]}}));
  std::vector<Tensor> results;
  results.reserve(weights.size());
  for (const Tensor& weight : weights) results.push_back(clipped.gradients.of(weight));
  const Json record = Json::object({{"options", options},
                                    {"gradients", recorder.keep(gradients)},
                                    {"results", recorder.keep(results)},
                                    {"norm", recorder.keep(scalar(clipped.total_norm))}});
  recorder.add("clip", name, std::string(name) + " " + options.dump() + " on " + std::string(name_of(dtype)), record);
}

void record_clips(Recorder& recorder) {
  for (DType dtype : {DType::f64, DType::f32}) {
    for (double type : {2.0, 1.0, 3.5, std::numeric_limits<double>::infinity()})
      for (double most : {0.5, 100.0}) {
        const Json options =
            Json::object({{"max_norm", most}, {"norm_type", std::isinf(type) ? Json("inf") : Json(type)}});
        record_clip(recorder, "clip_grad_norm", options, dtype,
                    [=](const Gradients& gradients) { return optim::clip_grad_norm(gradients, most, type); });
      }
    record_clip(recorder, "clip_grad_value", Json::object({{"clip_value", 0.4}}), dtype,
                [](const Gradients& gradients) {
                  return optim::ClippedGradients{optim::clip_grad_value(gradients, 0.4), 0};
                });
  }
}

}  // namespace

void record_optimizers(Recorder& recorder) {
  record_sgd(recorder);
  record_adam<optim::Adam, optim::AdamOptions>(recorder, "Adam");
  record_adam<optim::AdamW, optim::AdamWOptions>(recorder, "AdamW");
  record_rmsprop(recorder);
  record_schedules(recorder);
  record_clips(recorder);
}

}  // namespace sm::reference
