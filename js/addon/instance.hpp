#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/event_loop.hpp"
#include "napi.hpp"
#include "tagging.hpp"
#include "tensor/impl.hpp"

namespace sm::js {

// Memory that JavaScript shares: it reads and writes these without a call, at the places that js/lib/memory.js names.
struct SharedWords {
  static constexpr uint32_t kMostFound = 32;

  uint32_t group_full = 1;  // open another before the next call that makes a handle
  uint32_t large = 0;       // the handle just made, when it wants a group of its own
  uint32_t many = 0;        // 1: most of what was made since the last sweep is still there; 2: and that is a lot
  // A call of an operation: the op, its operands' handles, a plain number, the result's handle.
  uint32_t op = 0;
  uint32_t a = 0;
  uint32_t b = 0;
  double number = 0;
  uint32_t result = 0;
  // What a backward pass found, for each tensor: a handle, whether it is that of a marked leaf, and a gradient's
  // handle. Making arrays of them costs more.
  uint32_t found[3 * kMostFound] = {};
};
static_assert(offsetof(SharedWords, number) == 24 && offsetof(SharedWords, result) == 32,
              "js/lib/memory.js has these places");

// The tensors that JavaScript holds. JavaScript knows a tensor by its handle, a
// small number, in an object of its own class. Freeing follows groups: a
// handle belongs to the group that was open when it was made, each object
// refers to its group's token, and when the garbage collector has taken the
// token no object of the group is left, so all its handles are freed. One weak
// reference for many tensors costs a few nanoseconds a tensor, and is looked
// at natively, so that a long loop without an await frees as it goes.
class Slots {
 public:
  // Handles made from now on share the fate of `token`.
  void open_group(napi_env env, napi_value token);
  // Moves one handle into a group of its own.
  void adopt(napi_env env, uint32_t handle, napi_value token);

  uint32_t add(napi_env env, Tensor tensor);
  // Throws Error (kInvalidArgument) for a handle that was disposed.
  const Tensor& at(uint32_t handle) const;
  void dispose(uint32_t handle);

  // Remembers that `handle`, which has a group of its own, is the one to name
  // when a backward pass finds its tensor.
  void mark_leaf(uint32_t handle);
  // The handle that was marked for this tensor; 0 when there is none.
  uint32_t leaf_handle(const Tensor& tensor) const;
  // The token of the group of `handle`; null when the garbage collector has taken it.
  napi_value token_of(napi_env env, uint32_t handle);

  // Frees the groups whose tokens are gone. add() calls it now and then.
  void sweep(napi_env env);
  // The same after a garbage collection; returns the number that is left.
  size_t sweep_collected(napi_env env);

  // Operations on the tensor count there, and their results carry the tag on. Null: no longer.
  void set_tag(uint32_t handle, TagRef tag);
  TagRef tag_of(uint32_t handle) const;

  size_t size() const { return live_; }
  size_t bytes() const { return bytes_; }
  // Says there when a group is full, a handle is large, and handles are many.
  void share(SharedWords* words) { words_ = words; }

 private:
  struct Slot {
    Tensor tensor;
    uint32_t group = 0;  // 0: free
    bool leaf = false;
  };
  struct Group {
    napi_ref token = nullptr;
    std::vector<uint32_t> handles;
  };

  void release(uint32_t handle);

  std::vector<Slot> slots_;  // handle - 1
  std::vector<uint32_t> free_;
  std::unordered_map<uint32_t, Group> groups_;
  std::unordered_map<const TensorImpl*, uint32_t> leaves_;
  std::unordered_map<uint32_t, TagRef> tags_;
  uint32_t open_ = 0;
  Group* open_group_ = nullptr;
  uint32_t last_group_ = 0;
  size_t open_bytes_ = 0;
  size_t live_ = 0;
  size_t bytes_ = 0;
  size_t added_since_sweep_ = 0;
  size_t bytes_since_sweep_ = 0;
  size_t many_ = 2048;         // tensors, which are reason to ask for a collection
  size_t reported_bytes_ = 0;  // to the garbage collector
  SharedWords* words_ = nullptr;
};

struct Network;

// What one environment (the main thread, or a worker) has. Everything here
// belongs to its thread.
struct Instance {
  ~Instance();
  Slots slots;
  SharedWords* words = nullptr;
  napi_ref words_buffer = nullptr;
  napi_ref error_class = nullptr;
  napi_ref run_checkpoint = nullptr;
  std::vector<std::unique_ptr<NoGrad>> no_grad;
  std::unique_ptr<Network> network;
  std::optional<Stats::Scope> stats_here;
  std::optional<Stats::Scope> stats_everywhere;
  std::shared_ptr<std::vector<uint32_t>> dropped_tags = std::make_shared<std::vector<uint32_t>>();
};

inline Instance& instance(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance*>(data);
}
napi_value make_error(napi_env env, const Error& error);

inline uint32_t add(napi_env env, Tensor tensor) { return instance(env).slots.add(env, std::move(tensor)); }
inline const Tensor& tensor_at(napi_env env, napi_value handle) {
  return instance(env).slots.at(to_handle(env, handle));
}

// A function without arguments, which finds what it needs in SharedWords.
template <napi_value (*function)(napi_env, Instance&)>
void define_bare(napi_env env, napi_value exports, const char* name) {
  const napi_callback call = [](napi_env env, napi_callback_info) {
    return guarded(env, [env] { return function(env, instance(env)); });
  };
  napi_value value;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &value));
  set(env, exports, name, value);
}

void define_tensors(napi_env env, napi_value exports);
void define_quick(napi_env env, napi_value exports);
void define_indexing(napi_env env, napi_value exports);
void define_autograd(napi_env env, napi_value exports);
void define_losses(napi_env env, napi_value exports);
void define_optimizers(napi_env env, napi_value exports);
void define_network(napi_env env, napi_value exports);
void define_stats(napi_env env, napi_value exports);
void define_server(napi_env env, napi_value exports);

}  // namespace sm::js
