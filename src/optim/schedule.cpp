#include "shumai/schedule.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "shumai/error.hpp"

namespace sm::optim {
namespace {

void require(bool good, const char* what, const std::string& got) {
  if (!good) throw Error(ErrorCode::kInvalidArgument, std::string(what) + ", got " + got);
}

void check_positive(const char* what, int64_t value) { require(value >= 1, what, std::to_string(value)); }
void check_not_negative(const char* what, double value) { require(value >= 0, what, fmt::format("{}", value)); }

void check_ascending(const char* what, const std::vector<int64_t>& milestones) {
  std::string got;
  for (int64_t milestone : milestones) got += (got.empty() ? "[" : ", ") + std::to_string(milestone);
  require(std::is_sorted(milestones.begin(), milestones.end()), what, got + "]");
}

size_t reached(const std::vector<int64_t>& milestones, int64_t step) {
  return static_cast<size_t>(std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin());
}

// From `from` at 0 to `to` at 1.
double along_cosine(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace

Schedule lambda_lr(std::function<double(int64_t step)> factor) {
  if (!factor) throw Error(ErrorCode::kInvalidArgument, "lambda_lr: needs a function");
  return [factor = std::move(factor)](int64_t step, double initial) { return initial * factor(step); };
}

Schedule step_lr(int64_t step_size, double gamma) {
  check_positive("step_lr: step_size must be 1 or more", step_size);
  check_not_negative("step_lr: gamma must be 0 or more", gamma);
  return [=](int64_t step, double initial) {
    const int64_t decays = step / step_size;
    return initial * std::pow(gamma, static_cast<double>(decays));
  };
}

Schedule multi_step_lr(std::vector<int64_t> milestones, double gamma) {
  check_ascending("multi_step_lr: milestones must ascend", milestones);
  check_not_negative("multi_step_lr: gamma must be 0 or more", gamma);
  return [milestones = std::move(milestones), gamma](int64_t step, double initial) {
    return initial * std::pow(gamma, static_cast<double>(reached(milestones, step)));
  };
}

Schedule exponential_lr(double gamma) {
  check_not_negative("exponential_lr: gamma must be 0 or more", gamma);
  return [=](int64_t step, double initial) { return initial * std::pow(gamma, static_cast<double>(step)); };
}

Schedule constant_lr(double factor, int64_t total_iters) {
  check_not_negative("constant_lr: factor must be 0 or more", factor);
  return [=](int64_t step, double initial) { return step < total_iters ? initial * factor : initial; };
}

Schedule linear_lr(double start_factor, double end_factor, int64_t total_iters) {
  check_not_negative("linear_lr: start_factor must be 0 or more", start_factor);
  check_not_negative("linear_lr: end_factor must be 0 or more", end_factor);
  check_positive("linear_lr: total_iters must be 1 or more", total_iters);
  return [=](int64_t step, double initial) {
    const double part = static_cast<double>(std::min(step, total_iters)) / static_cast<double>(total_iters);
    return initial * (start_factor + (end_factor - start_factor) * part);
  };
}

Schedule polynomial_lr(int64_t total_iters, double power) {
  check_positive("polynomial_lr: total_iters must be 1 or more", total_iters);
  check_not_negative("polynomial_lr: power must be 0 or more", power);
  return [=](int64_t step, double initial) {
    const double part = static_cast<double>(std::min(step, total_iters)) / static_cast<double>(total_iters);
    return initial * std::pow(1 - part, power);
  };
}

Schedule cosine_annealing_lr(int64_t t_max, double eta_min) {
  check_positive("cosine_annealing_lr: t_max must be 1 or more", t_max);
  check_not_negative("cosine_annealing_lr: eta_min must be 0 or more", eta_min);
  return [=](int64_t step, double initial) {
    return along_cosine(initial, eta_min, static_cast<double>(step) / static_cast<double>(t_max));
  };
}

Schedule cosine_annealing_warm_restarts(int64_t t_0, int64_t t_mult, double eta_min) {
  check_positive("cosine_annealing_warm_restarts: t_0 must be 1 or more", t_0);
  check_positive("cosine_annealing_warm_restarts: t_mult must be 1 or more", t_mult);
  check_not_negative("cosine_annealing_warm_restarts: eta_min must be 0 or more", eta_min);
  return [=](int64_t step, double initial) {
    int64_t period = t_0;
    if (t_mult == 1) step %= period;
    for (; step >= period; period *= t_mult) step -= period;
    return along_cosine(initial, eta_min, static_cast<double>(step) / static_cast<double>(period));
  };
}

Schedule one_cycle_lr(double max_lr, int64_t total_steps, OneCycleOptions options) {
  check_not_negative("one_cycle_lr: max_lr must be 0 or more", max_lr);
  check_positive("one_cycle_lr: total_steps must be 1 or more", total_steps);
  require(options.pct_start >= 0 && options.pct_start <= 1, "one_cycle_lr: pct_start must be between 0 and 1",
          std::to_string(options.pct_start));
  require(options.div_factor > 0, "one_cycle_lr: div_factor must be above 0", std::to_string(options.div_factor));
  require(options.final_div_factor > 0, "one_cycle_lr: final_div_factor must be above 0",
          std::to_string(options.final_div_factor));
  const double first = max_lr / options.div_factor, last = first / options.final_div_factor;
  const auto total = static_cast<double>(total_steps);
  const double top = options.pct_start * total - 1;
  struct Phase {
    double end, from, to;
  };
  std::vector<Phase> phases{{top, first, max_lr}};
  if (options.three_phase) phases.push_back({2 * options.pct_start * total - 2, max_lr, first});
  phases.push_back({total - 1, options.three_phase ? first : max_lr, last});
  return [phases = std::move(phases), linear = options.linear, last](int64_t step, double) {
    double start = 0;
    for (const auto& [end, from, to] : phases) {
      const auto now = static_cast<double>(step);
      if (now > end) {
        start = end;
        continue;
      }
      const double part = end > start ? (now - start) / (end - start) : 1;
      return linear ? from + (to - from) * part : along_cosine(from, to, part);
    }
    return last;
  };
}

Schedule sequential_lr(std::vector<Schedule> schedules, std::vector<int64_t> milestones) {
  require(schedules.size() == milestones.size() + 1, "sequential_lr: needs a milestone between any two schedules",
          std::to_string(schedules.size()) + " schedules and " + std::to_string(milestones.size()) + " milestones");
  check_ascending("sequential_lr: milestones must ascend", milestones);
  for (const Schedule& schedule : schedules)
    if (!schedule) throw Error(ErrorCode::kInvalidArgument, "sequential_lr: a schedule is empty");
  return [schedules = std::move(schedules), milestones = std::move(milestones)](int64_t step, double initial) {
    const size_t at = reached(milestones, step);
    return schedules[at](at == 0 ? step : step - milestones[at - 1], initial);
  };
}

}  // namespace sm::optim
