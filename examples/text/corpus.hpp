#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shumai/tensor.hpp"

// A text as numbers, with a tenth of it held out: of a hundred equal blocks
// (the last takes what is left) numbers 9, 19, ..., 99.
class Corpus {
 public:
  static constexpr int kBlocks = 100;

  // Windows are of `context` characters and the one after each. Throws
  // std::runtime_error for a file that can't be read or is too short.
  Corpus(const std::string& path, int64_t context);

  int64_t alphabet() const { return static_cast<int64_t>(characters_.size()); }
  int64_t size() const { return static_cast<int64_t>(ids_.size()); }
  int64_t held_out_size() const;
  int64_t block_size() const { return size() / kBlocks; }

  struct Batch {
    sm::Tensor input;   // [windows, context]
    sm::Tensor target;  // [windows, context]: the character after each
    sm::Tensor scored;  // [windows, context]: 1 where the target counts
  };
  // Random windows, none of which has a character of the held-out tenth in it.
  Batch sample(int64_t windows) const;
  // Windows over the whole text that score each held-out character once, with
  // at least half a context before it wherever the text has that much.
  std::vector<Batch> held_out(int64_t windows) const;

  std::string excerpt(int64_t from, int64_t count) const;
  // Throws std::runtime_error for characters that the text doesn't have.
  std::vector<int64_t> encode(const std::string& text) const;
  char decode(int64_t id) const { return characters_[static_cast<size_t>(id)]; }

 private:
  bool is_held_out(int64_t position) const;
  Batch make_batch(const std::vector<int64_t>& starts, const std::vector<int64_t>& scored_from) const;

  int64_t context_;
  std::string characters_;
  std::vector<int64_t> ids_;
  std::vector<int64_t> starts_;  // of windows for training
};
