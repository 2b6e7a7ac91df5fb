// A small transformer learns to write, a character at a time, from one text:
// the GPL, which every Debian has. A tenth of the text is held out; how well it
// is foreseen is the score. Writes some text of its own at the end.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <numbers>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"
#include "text/corpus.hpp"

namespace {

constexpr int64_t kContext = 64;  // characters that the model sees; longer ones learn more slowly here
constexpr int64_t kBatch = 32;
constexpr int64_t kWidth = 128;
constexpr double kLearningRate = 3e-3;

// Characters [batch, time] to logits [batch, time, alphabet] of the one after each.
struct Writer : sm::nn::Module {
  sm::nn::Embedding characters;
  sm::nn::TransformerPositionalEncoding positions =
      submodule("positions", sm::nn::TransformerPositionalEncoding(kWidth, {.dropout = 0.2, .max_length = kContext}));
  sm::nn::TransformerEncoder encoder = submodule(
      "encoder",
      sm::nn::TransformerEncoder(2, kWidth, 4, {.feedforward = 4 * kWidth, .dropout = 0.2, .norm_first = true}));
  sm::nn::Linear logits;

  explicit Writer(int64_t alphabet)
      : characters(submodule("characters", sm::nn::Embedding(alphabet, kWidth))),
        logits(submodule("logits", sm::nn::Linear(kWidth, alphabet))) {}

  sm::Tensor operator()(const sm::Tensor& x) const {
    return logits(encoder(positions(characters(x)), {.causal = true}));
  }
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of each target, [batch * time].
sm::Tensor losses(const Writer& model, const Corpus::Batch& batch, sm::loss::Reduction reduction) {
  const sm::Tensor logits = model(batch.input);
  return sm::loss::cross_entropy(logits.reshape({-1, logits.size(-1)}), batch.target.reshape(-1),
                                 {.reduction = reduction});
}

// Nats a character.
double evaluate(const Writer& model, const Corpus& corpus) {
  const sm::NoGrad guard;
  model.eval();
  double total = 0, count = 0;
  for (const Corpus::Batch& batch : corpus.held_out(kBatch)) {
    total += sm::sum(losses(model, batch, sm::loss::Reduction::kNone) * batch.scored.reshape(-1)).item<double>();
    count += sm::sum(batch.scored).item<double>();
  }
  model.train();
  return total / count;
}

struct Limits {
  long steps;
  long seconds;
};

// How far the training is, from 0 to 1, by steps or by time.
double progress(const Limits& limits, long step, double seconds) {
  return std::max(static_cast<double>(step) / static_cast<double>(limits.steps),
                  seconds / static_cast<double>(limits.seconds));
}

// Up within the first 4%, then down to 0 along half a cosine.
double rate_at(double progress) {
  constexpr double kWarmUp = 0.04;
  if (progress < kWarmUp) return kLearningRate * (progress + 1e-3) / kWarmUp;
  return kLearningRate * (0.5 + 0.5 * std::cos(std::numbers::pi * (progress - kWarmUp) / (1 - kWarmUp)));
}

// The number of steps made.
long train(const Writer& model, const Corpus& corpus, const Limits& limits) {
  const sm::optim::AdamW adam({.betas = {0.9, 0.99}, .weight_decay = 0.1});
  const auto start = std::chrono::steady_clock::now();
  double shown = 0, loss_sum = 0;
  long step = 0, shown_step = 0;
  for (double done = 0; done < 1; done = progress(limits, step, seconds_since(start))) {
    const sm::Tensor loss = losses(model, corpus.sample(kBatch), sm::loss::Reduction::kMean);
    adam(sm::optim::clip_grad_norm(loss.backward(), 1.0).gradients, rate_at(done));
    loss_sum += loss.item<double>();
    ++step;
    const double now = seconds_since(start);
    if (now - shown < 5) continue;
    fmt::print("step {}: {:.3f} nats a character in training, {:.1f} steps/s\n", step,
               loss_sum / static_cast<double>(step - shown_step),
               static_cast<double>(step - shown_step) / (now - shown));
    std::fflush(stdout);
    shown = now;
    shown_step = step;
    loss_sum = 0;
  }
  return step;
}

// Continues `text` by `count` characters, drawn as the model expects them,
// likely ones a little more often than that.
std::string write_on(const Writer& model, const Corpus& corpus, std::string text, int count) {
  constexpr double kTemperature = 0.7;
  const sm::NoGrad guard;
  model.eval();
  for (int i = 0; i < count; ++i) {
    const std::vector<int64_t> seen = corpus.encode(text.substr(text.size() - std::min<size_t>(text.size(), kContext)));
    const auto length = static_cast<int64_t>(seen.size());
    const sm::Tensor last = model(sm::tensor(seen, {1, length})).slice(1, length - 1, length);
    const std::vector<double> chances = sm::softmax(last / kTemperature).to_vector<double>();
    double point = sm::rand(1, sm::DType::f64).item<double>();
    size_t drawn = 0;
    while (drawn + 1 < chances.size() && (point -= chances[drawn]) >= 0) ++drawn;
    text += corpus.decode(static_cast<int64_t>(drawn));
  }
  return text;
}

void run(const Arguments& arguments) {
  sm::manual_seed(static_cast<uint64_t>(arguments.number("--seed", 1, 0, INT64_MAX)));
  const Limits limits{arguments.number("--steps", 2000, 1, INT64_MAX),
                      arguments.number("--seconds", 480, 1, 1'000'000)};
  const Corpus corpus(arguments.text("--file", "/usr/share/common-licenses/GPL-3"), kContext);
  const Writer model(corpus.alphabet());
  int64_t weights = 0;
  for (const sm::Tensor& parameter : model.parameters()) weights += parameter.elements();
  fmt::print("{} characters of {} kinds; held out: every tenth of {} blocks of {}, {} characters; {} weights\n",
             corpus.size(), corpus.alphabet(), Corpus::kBlocks, corpus.block_size(), corpus.held_out_size(), weights);
  std::fflush(stdout);
  const auto start = std::chrono::steady_clock::now();
  const long steps = train(model, corpus, limits);
  const double seconds = seconds_since(start);
  fmt::print("text: {:.2f} nats a character on the held-out tenth after {} steps, {:.0f} seconds\n",
             evaluate(model, corpus), steps, seconds);
  fmt::print("{}\n", write_on(model, corpus, corpus.excerpt(9 * corpus.block_size(), kContext), 400));
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "text [--file PATH] [--steps N] [--seconds N] [--seed N]");
  try {
    run(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "text: {}\n", error.what());
    return 1;
  }
}
