#pragma once

#include <cstdint>
#include <functional>
#include <vector>

// Learning rate schedules: torch.optim.lr_scheduler's formulas, names and
// defaults as functions of the step. Give one to Optimizer::set_schedule, or
// call it: `optimizer.set_learning_rate(schedule(epoch, 0.1))` goes by epochs.
namespace sm::optim {

// The learning rate of step `step`, counted from 0, where `initial` is the
// optimizer's own. Any such function will do. The ones below have no state, are
// safe from several threads, and throw Error (kInvalidArgument) when they are
// made with numbers that make no sense.
using Schedule = std::function<double(int64_t step, double initial)>;

// initial * factor(step)
Schedule lambda_lr(std::function<double(int64_t step)> factor);

// initial * gamma^floor(step / step_size)
Schedule step_lr(int64_t step_size, double gamma = 0.1);

// initial * gamma^(how many of the ascending `milestones` were reached)
Schedule multi_step_lr(std::vector<int64_t> milestones, double gamma = 0.1);

// initial * gamma^step
Schedule exponential_lr(double gamma);

// initial * factor before step `total_iters`, then initial
Schedule constant_lr(double factor = 1.0 / 3, int64_t total_iters = 5);

// initial times a factor that goes evenly from `start_factor` to `end_factor`
// in `total_iters` steps, and stays there: warms up as it is.
Schedule linear_lr(double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);

// initial * (1 - min(step, total_iters) / total_iters)^power
Schedule polynomial_lr(int64_t total_iters = 5, double power = 1);

// eta_min + (initial - eta_min) * (1 + cos(pi * step / t_max)) / 2, which rises
// again after t_max. Loshchilov and Hutter, "SGDR: stochastic gradient descent
// with warm restarts", 2017.
Schedule cosine_annealing_lr(int64_t t_max, double eta_min = 0);

// The same from the start again after t_0 steps, and each time after t_mult
// times as many as before.
Schedule cosine_annealing_warm_restarts(int64_t t_0, int64_t t_mult = 1, double eta_min = 0);

struct OneCycleOptions {
  double pct_start = 0.3;  // of the steps: the rise
  bool linear = false;     // else along a cosine
  double div_factor = 25;
  double final_div_factor = 1e4;
  bool three_phase = false;
};

// From max_lr / div_factor up to max_lr and down to max_lr / div_factor /
// final_div_factor at the last of `total_steps`, where it stays; with
// three_phase, down to the start as slowly as it rose, and from there to the
// end. The optimizer's own rate doesn't matter; its momentum stays. Smith and
// Topin, "Super-convergence: very fast training of neural networks using large
// learning rates", 2018.
Schedule one_cycle_lr(double max_lr, int64_t total_steps, OneCycleOptions options = {});

// schedules[i] from milestones[i - 1] on, which is its step 0: a warmup, then
// something else. One milestone less than there are schedules, ascending.
Schedule sequential_lr(std::vector<Schedule> schedules, std::vector<int64_t> milestones);

}  // namespace sm::optim
