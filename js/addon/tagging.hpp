#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shumai/stats.hpp"

// Tensors whose `stats` was set: a call from JavaScript that is given one
// counts there, and what the call makes is tagged as well.
namespace sm::js {

struct Collector {
  Stats stats;
  bool enabled = false;
};

// Where operations on a tensor count, and the number by which JavaScript knows it.
struct Tag {
  ~Tag() { dropped->push_back(number); }
  std::shared_ptr<Collector> collector;
  uint32_t number;
  std::shared_ptr<std::vector<uint32_t>> dropped;  // JavaScript lets go of those
};
using TagRef = std::shared_ptr<const Tag>;

// A call from JavaScript on this thread. One that JavaScript makes while
// another runs, as a gradient function does, belongs to that one.
class TaggedCall {
 public:
  TaggedCall() noexcept { ++depth; }
  ~TaggedCall() {
    if (--depth == 0 && tagged) end();
  }
  TaggedCall(const TaggedCall&) = delete;
  TaggedCall& operator=(const TaggedCall&) = delete;

 private:
  friend bool call_is_tagged() noexcept;
  friend void tag_call(const TagRef& tag);
  static void end();

  // Reached directly, as what util/block_cache.hpp says.
  [[gnu::tls_model("initial-exec")]] static constinit inline thread_local int depth = 0;
  [[gnu::tls_model("initial-exec")]] static constinit inline thread_local bool tagged = false;
};

inline bool call_is_tagged() noexcept { return TaggedCall::tagged; }
// The first tensor with a tag decides.
void tag_call(const TagRef& tag);
const TagRef& tag_of_call();

}  // namespace sm::js
