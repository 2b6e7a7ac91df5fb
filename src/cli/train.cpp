#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>

#include <fmt/core.h>

#include "cli/access.hpp"
#include "cli/commands.hpp"
#include "cli/data.hpp"
#include "cli/learning.hpp"
#include "cli/script.hpp"
#include "cli/target.hpp"
#include "cli/usage.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"
#include "shumai/util.hpp"
#include "util/progress.hpp"

namespace sm::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// The step that runs is finished and what was learned is kept; a second Ctrl-C ends the process.
void stop_at_interrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// Batches of the training examples, in an order of their own in each epoch.
class Batches {
 public:
  Batches(std::vector<int64_t> examples, const TrainArguments& arguments)
      : examples_(std::move(examples)), size_(arguments.batch), epochs_(arguments.epochs), seed_(arguments.seed) {
    shuffle();
  }

  int64_t total() const {
    const auto count = static_cast<int64_t>(examples_.size());
    return (count + size_ - 1) / size_ * epochs_;
  }

  std::optional<std::vector<int64_t>> next() {
    if (at_ == examples_.size()) {
      if (++epoch_ == epochs_) at_ = examples_.size() + 1;
      if (epoch_ >= epochs_) return std::nullopt;
      shuffle();
    }
    if (at_ > examples_.size()) return std::nullopt;
    const size_t end = std::min(examples_.size(), at_ + static_cast<size_t>(size_));
    std::vector<int64_t> out(order_.begin() + static_cast<int64_t>(at_), order_.begin() + static_cast<int64_t>(end));
    at_ = end;
    return out;
  }

 private:
  void shuffle() {
    order_ = util::shuffle(examples_, seed_ + 1 + static_cast<uint64_t>(epoch_));
    at_ = 0;
  }

  std::vector<int64_t> examples_, order_;
  int64_t size_, epochs_, epoch_ = 0;
  uint64_t seed_;
  size_t at_ = 0;
};

using Forward = std::function<Task<Tensor>(Tensor)>;
using Step = std::function<Task<>(Tensor loss)>;

// What is trained: how it answers, and what a loss does to it.
struct Learner {
  Forward forward;
  Step step;
};

struct Judgement {
  double loss = 0;
  std::optional<double> accuracy;
  int64_t examples = 0;
};

struct Outcome {
  int64_t steps = 0;
  double seconds = 0;
  double loss = 0;  // of the last steps
  std::optional<Judgement> held_out;
};

class Training {
 public:
  Training(const TrainArguments& arguments, Data data, Learner learner)
      : arguments_(arguments),
        data_(std::move(data)),
        split_(split(data_.size(), arguments.held_out, arguments.seed)),
        learner_(std::move(learner)),
        loss_(loss_of(arguments.loss)),
        batches_(split_.train, arguments) {
    if (split_.train.empty()) throw UsageError("--held-out leaves no example to train on");
  }

  Task<Outcome> run() {
    const auto begin = std::chrono::steady_clock::now();
    util::Progress progress(
        batches_.total(), [this](int64_t) { return fmt::format("loss {:.4g}", loss()); }, util::standard_error());
    std::vector<Task<>> workers;
    workers.reserve(static_cast<size_t>(arguments_.in_flight));
    for (int i = 0; i < arguments_.in_flight; ++i) workers.push_back(work(progress));
    co_await util::all(std::move(workers));
    progress.end();
    Outcome out;
    out.steps = steps_;
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    out.loss = loss();
    co_return out;
  }

  // On the examples that didn't train; nothing without any.
  Task<std::optional<Judgement>> judge() {
    if (split_.held_out.empty()) co_return std::nullopt;
    Judgement out;
    double right = 0;
    for (size_t at = 0; at < split_.held_out.size(); at += static_cast<size_t>(arguments_.batch)) {
      const size_t end = std::min(split_.held_out.size(), at + static_cast<size_t>(arguments_.batch));
      const std::vector<int64_t> indices(split_.held_out.begin() + static_cast<int64_t>(at),
                                         split_.held_out.begin() + static_cast<int64_t>(end));
      const Data batch = rows(data_, indices);
      const Tensor answer = co_await learner_.forward(batch.x);
      const Tensor output = answer.detach();
      out.loss += loss_(output, batch.y).item<double>() * static_cast<double>(indices.size());
      right += right_answers(output, batch.y);
    }
    out.examples = static_cast<int64_t>(split_.held_out.size());
    out.loss /= static_cast<double>(out.examples);
    if (has_labels()) out.accuracy = right / static_cast<double>(out.examples);
    co_return out;
  }

 private:
  Task<> work(util::Progress& progress) {
    for (;;) {
      const auto indices = batches_.next();
      if (!indices || interrupted || failed_) co_return;
      const Data batch = rows(data_, *indices);
      try {
        const Tensor output = co_await learner_.forward(batch.x);
        const Tensor loss = loss_(output, batch.y);
        remember(loss.item<double>());
        co_await learner_.step(loss);
      } catch (...) {
        failed_ = true;
        throw;
      }
      ++steps_;
      progress.advance();
    }
  }

  void remember(double loss) {
    if (!std::isfinite(loss))
      throw Error(ErrorCode::kUnprocessable,
                  fmt::format("the loss of step {} isn't finite: a lower --lr may help", steps_ + 1));
    // The last ones count most; early on all count alike.
    const double share = std::max(0.02, 1.0 / static_cast<double>(++seen_));
    mean_ += (loss - mean_) * share;
  }
  double loss() const { return mean_; }

  bool has_labels() const { return arguments_.loss == "cross_entropy" || arguments_.loss == "nll"; }

  // Of one batch: how often the largest output is the label's, or the target's largest.
  double right_answers(const Tensor& output, const Tensor& y) const {
    if (!has_labels() || output.ndim() < 2) return 0;
    const Tensor found = output.argmax(1);
    const Tensor wanted = y.ndim() == output.ndim() ? y.argmax(1) : y.astype(DType::i64);
    return found.eq(wanted).astype(DType::f64).sum().item<double>() * static_cast<double>(output.size(0)) /
           static_cast<double>(found.elements());
  }

  const TrainArguments& arguments_;
  Data data_;
  Split split_;
  Learner learner_;
  Loss loss_;
  Batches batches_;
  int64_t steps_ = 0, seen_ = 0;
  double mean_ = 0;
  bool failed_ = false;
};

void report(const TrainArguments& arguments, const Outcome& outcome, const std::string& saved) {
  const double rate = static_cast<double>(outcome.steps) / std::max(outcome.seconds, 1e-9);
  if (!arguments.json) {
    fmt::print("loss {:.6g} after {} steps, {:.0f} steps/s{}\n", outcome.loss, outcome.steps, rate,
               interrupted ? ", interrupted" : "");
    if (const auto& judged = outcome.held_out)
      fmt::print("held out: loss {:.6g}{} on {} examples\n", judged->loss,
                 judged->accuracy ? fmt::format(", accuracy {:.4f}", *judged->accuracy) : "", judged->examples);
    if (!saved.empty()) fmt::print("saved {}\n", saved);
    return;
  }
  Json out = Json::object({{"loss", outcome.loss},
                           {"steps", outcome.steps},
                           {"seconds", outcome.seconds},
                           {"steps_per_second", rate},
                           {"interrupted", interrupted != 0}});
  if (const auto& judged = outcome.held_out) {
    out["held_out"] = Json::object({{"loss", judged->loss}, {"examples", judged->examples}});
    if (judged->accuracy) out["held_out"]["accuracy"] = *judged->accuracy;
  }
  if (!saved.empty()) out["saved"] = saved;
  fmt::print("{}\n", out.dump());
}

// Where the model goes, known before hours are spent on it.
std::string place_to_save(const TrainArguments& arguments) {
  if (!arguments.save.empty()) return arguments.save;
  if (std::filesystem::is_directory(arguments.model))
    throw UsageError("\"" + arguments.model +
                     "\" has a server's checkpoints: say with --save where the model is written");
  return std::filesystem::path(arguments.model).replace_extension(".safetensors").string();
}

Task<Tensor> answer(nn::JsonModel model, Tensor x) { co_return model(x); }

Task<> step_here(optim::Optimizer optimizer, Tensor loss) {
  optimizer(loss.backward());
  co_return;
}

Task<> step_there(Tensor loss) { co_await loss.backward_async(); }

int train_file(const TrainArguments& arguments) {
  if (arguments.in_flight != 1) throw UsageError("--in-flight is for a URL");
  const std::string place = place_to_save(arguments);
  const optim::Optimizer optimizer =
      optimizer_of({arguments.optimizer, arguments.learning_rate, arguments.momentum, arguments.weight_decay});
  manual_seed(arguments.seed);
  const nn::JsonModel model = model_of(arguments.model);
  Training training(arguments, read_data(arguments.data, arguments.names),
                    {[model](Tensor x) { return answer(model, std::move(x)); },
                     [optimizer](Tensor loss) { return step_here(optimizer, std::move(loss)); }});
  Outcome outcome = run(training.run());
  model.eval();
  outcome.held_out = run(training.judge());
  model.save(place);
  report(arguments, outcome, place);
  return kSuccess;
}

int train_url(const TrainArguments& arguments) {
  if (!arguments.save.empty()) throw UsageError("--save is for a model's file: a server saves by itself");
  io::RemoteModelOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(arguments.access.timeout * 1000));
  options.token = token_of(arguments.access.token_file);
  options.tls = tls_options(arguments.access);
  options.report_loss = true;
  const io::RemoteModel model(base_url(arguments.model), options);
  Training training(arguments, read_data(arguments.data, arguments.names),
                    {[model](Tensor x) { return model(std::move(x)); }, step_there});
  Outcome outcome = run(training.run());
  outcome.held_out = run(training.judge());
  report(arguments, outcome, "");
  return kSuccess;
}

}  // namespace

int train(const TrainArguments& arguments) {
  const Target target = target_of(arguments.model);
  if (target == Target::kScript) {
    if (arguments.data != std::vector<std::string>{"-"})
      throw UsageError("a script is trained on lines of standard input, not on --data");
    run_script("train", arguments.model, {}, {.runtime = arguments.runtime});
  }
  stop_at_interrupt();
  return target == Target::kUrl ? train_url(arguments) : train_file(arguments);
}

}  // namespace sm::cli
