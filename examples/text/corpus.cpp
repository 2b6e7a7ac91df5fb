#include "text/corpus.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <utility>

#include "shumai/ops.hpp"

Corpus::Corpus(const std::string& path, int64_t context) : context_(context) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::runtime_error("can't read '" + path + "'");
  // Else no window fits between two held-out blocks.
  if (static_cast<int64_t>(text.size()) < 2 * kBlocks * (context + 1))
    throw std::runtime_error("'" + path + "' has " + std::to_string(text.size()) + " characters, needs " +
                             std::to_string(2 * kBlocks * (context + 1)));
  const std::set<char> distinct(text.begin(), text.end());
  characters_.assign(distinct.begin(), distinct.end());
  ids_ = encode(text);
  for (int64_t start = 0; start + context < size(); ++start) {
    bool clean = true;
    for (int64_t i = start; clean && i <= start + context; ++i) clean = !is_held_out(i);
    if (clean) starts_.push_back(start);
  }
}

bool Corpus::is_held_out(int64_t position) const {
  return std::min<int64_t>(position / block_size(), kBlocks - 1) % 10 == 9;
}

int64_t Corpus::held_out_size() const {
  int64_t count = 0;
  for (int64_t i = 0; i < size(); ++i) count += is_held_out(i);
  return count;
}

std::vector<int64_t> Corpus::encode(const std::string& text) const {
  std::vector<int64_t> ids;
  for (const char c : text) {
    const auto place = std::lower_bound(characters_.begin(), characters_.end(), c);
    if (place == characters_.end() || *place != c) throw std::runtime_error(std::string("the text has no '") + c + "'");
    ids.push_back(place - characters_.begin());
  }
  return ids;
}

std::string Corpus::excerpt(int64_t from, int64_t count) const {
  std::string text;
  for (int64_t i = from; i < std::min(from + count, size()); ++i) text += decode(ids_[static_cast<size_t>(i)]);
  return text;
}

// Of the window at starts[i], held-out targets from position scored_from[i] of the text on count.
Corpus::Batch Corpus::make_batch(const std::vector<int64_t>& starts, const std::vector<int64_t>& scored_from) const {
  std::vector<int64_t> input, target;
  std::vector<float> scored;
  for (size_t i = 0; i < starts.size(); ++i)
    for (int64_t at = starts[i]; at < starts[i] + context_; ++at) {
      input.push_back(ids_[static_cast<size_t>(at)]);
      target.push_back(ids_[static_cast<size_t>(at + 1)]);
      scored.push_back(at + 1 >= scored_from[i] && is_held_out(at + 1) ? 1 : 0);
    }
  const sm::Shape shape{static_cast<int64_t>(starts.size()), context_};
  return {sm::tensor(input, shape), sm::tensor(target, shape), sm::tensor(scored, shape)};
}

Corpus::Batch Corpus::sample(int64_t windows) const {
  std::vector<int64_t> starts;
  for (const double where : sm::rand(windows, sm::DType::f64).to_vector<double>())
    starts.push_back(starts_[static_cast<size_t>(where * static_cast<double>(starts_.size()))]);
  return make_batch(starts, starts);
}

std::vector<Corpus::Batch> Corpus::held_out(int64_t windows) const {
  std::vector<Batch> batches;
  std::vector<int64_t> starts, scored_from;
  const int64_t last = size() - context_ - 1;
  for (int64_t start = 0, seen = 1; seen < size(); start = std::min(start + context_ / 2, last)) {
    starts.push_back(start);
    scored_from.push_back(std::exchange(seen, start + context_ + 1));
    if (static_cast<int64_t>(starts.size()) < windows && seen < size()) continue;
    batches.push_back(make_batch(starts, scored_from));
    starts.clear();
    scored_from.clear();
  }
  return batches;
}
