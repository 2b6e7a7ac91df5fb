#include "instance.hpp"

#include <algorithm>
#include <utility>

#include "network.hpp"

namespace sm::js {
namespace {

// A group ends at this many handles or bytes; a tensor of kLarge gets its own.
constexpr size_t kGroupHandles = 64;
constexpr size_t kGroupBytes = 256 * 1024;
constexpr size_t kLarge = 32 * 1024;
constexpr size_t kSweepHandles = 1024;
// With fewer tensors than this it doesn't matter when they are freed: between what a few small steps make, which fits
// in a core's cache, and what a step may hold at most without being taken for old.
constexpr size_t kFewestMany = 2048;
constexpr size_t kMostMany = 16'384;
constexpr size_t kSweepBytes = 16 << 20;

// An empty tensor still costs its header.
size_t cost(const Tensor& tensor) { return tensor.nbytes() + 256; }

}  // namespace

void Slots::open_group(napi_env env, napi_value token) {
  open_ = ++last_group_;
  open_group_ = &groups_[open_];
  check(env, napi_create_reference(env, token, 0, &open_group_->token));
  open_bytes_ = 0;
  words_->group_full = 0;
}

void Slots::adopt(napi_env env, uint32_t handle, napi_value token) {
  at(handle);
  const uint32_t group = ++last_group_;
  Group& own = groups_[group];
  check(env, napi_create_reference(env, token, 0, &own.token));
  own.handles.push_back(handle);
  slots_[handle - 1].group = group;
}

uint32_t Slots::add(napi_env env, Tensor tensor) {
  const size_t bytes = cost(tensor);
  if (++added_since_sweep_ > std::max(kSweepHandles, live_ / 2) ||
      (bytes_since_sweep_ += bytes) > std::max(kSweepBytes, bytes_ / 2))
    sweep(env);
  uint32_t handle;
  if (free_.empty()) {
    slots_.emplace_back();
    handle = static_cast<uint32_t>(slots_.size());
  } else {
    handle = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[handle - 1];
  slot.tensor = std::move(tensor);
  slot.group = open_;
  open_group_->handles.push_back(handle);
  open_bytes_ += bytes;
  if (open_group_->handles.size() >= kGroupHandles || open_bytes_ >= kGroupBytes) words_->group_full = 1;
  if (bytes >= kLarge) words_->large = handle;
  ++live_;
  bytes_ += bytes;
  if (call_is_tagged()) tags_[handle] = tag_of_call();
  return handle;
}

const Tensor& Slots::at(uint32_t handle) const {
  if (handle == 0 || handle > slots_.size() || slots_[handle - 1].group == 0)
    throw Error(ErrorCode::kInvalidArgument, "this tensor was disposed and can't be used any more");
  if (!tags_.empty()) [[unlikely]]
    if (const auto found = tags_.find(handle); found != tags_.end()) tag_call(found->second);
  return slots_[handle - 1].tensor;
}

void Slots::release(uint32_t handle) {
  Slot& slot = slots_[handle - 1];
  bytes_ -= cost(slot.tensor);
  --live_;
  if (slot.leaf) {
    const auto found = leaves_.find(slot.tensor.impl());
    if (found != leaves_.end() && found->second == handle) leaves_.erase(found);
  }
  if (!tags_.empty()) tags_.erase(handle);
  slot.leaf = false;
  slot.group = 0;
  slot.tensor = {};
  free_.push_back(handle);
}

void Slots::set_tag(uint32_t handle, TagRef tag) {
  at(handle);
  if (tag)
    tags_[handle] = std::move(tag);
  else
    tags_.erase(handle);
}

TagRef Slots::tag_of(uint32_t handle) const {
  const auto found = tags_.find(handle);
  return found == tags_.end() ? nullptr : found->second;
}

void Slots::mark_leaf(uint32_t handle) {
  leaves_[at(handle).impl()] = handle;
  slots_[handle - 1].leaf = true;
}

uint32_t Slots::leaf_handle(const Tensor& tensor) const {
  const auto found = leaves_.find(tensor.impl());
  return found == leaves_.end() ? 0 : found->second;
}

napi_value Slots::token_of(napi_env env, uint32_t handle) {
  at(handle);
  const auto group = groups_.find(slots_[handle - 1].group);
  napi_value token = nullptr;
  if (group == groups_.end() || napi_get_reference_value(env, group->second.token, &token) != napi_ok) return nullptr;
  return token;
}

void Slots::dispose(uint32_t handle) {
  if (handle == 0 || handle > slots_.size() || slots_[handle - 1].group == 0) return;
  // Most disposed tensors are young: take them out of the open group, which then lasts longer.
  const uint32_t group = slots_[handle - 1].group;
  if (group == open_ && !open_group_->handles.empty() && open_group_->handles.back() == handle)
    open_group_->handles.pop_back();
  release(handle);
}

void Slots::sweep(napi_env env) {
  const size_t before = live_, added = std::exchange(added_since_sweep_, 0);
  bytes_since_sweep_ = 0;
  napi_handle_scope scope;
  check(env, napi_open_handle_scope(env, &scope));
  for (auto at = groups_.begin(); at != groups_.end();) {
    auto& [id, group] = *at;
    napi_value token = nullptr;
    if (id == open_ || (napi_get_reference_value(env, group.token, &token) == napi_ok && token != nullptr)) {
      ++at;
      continue;
    }
    for (uint32_t handle : group.handles)
      if (slots_[handle - 1].group == id) release(handle);
    napi_delete_reference(env, group.token);
    at = groups_.erase(at);
  }
  napi_close_handle_scope(env, scope);
  if (live_ > many_ && before - live_ < added / 2) words_->many = live_ > kMostMany ? 2 : 1;
  int64_t total = 0;
  napi_adjust_external_memory(env, static_cast<int64_t>(bytes_) - static_cast<int64_t>(reported_bytes_), &total);
  reported_bytes_ = bytes_;
}

size_t Slots::sweep_collected(napi_env env) {
  sweep(env);
  // What lives through two collections counts as old, so they had better not come twice in a step.
  many_ = std::clamp(4 * live_, kFewestMany, kMostMany);
  return live_;
}

Instance::~Instance() = default;

napi_value make_error(napi_env env, const Error& error) {
  const napi_value arguments[] = {text(env, error.what()), text(env, code_name(error.code())),
                                  integer(env, static_cast<uint32_t>(error.status()))};
  napi_value made;
  napi_value error_class = nullptr;
  if (const napi_ref registered = instance(env).error_class) napi_get_reference_value(env, registered, &error_class);
  if (error_class)
    check(env, napi_new_instance(env, error_class, 3, arguments, &made));
  else
    check(env, napi_create_error(env, arguments[1], arguments[0], &made));
  return made;
}

}  // namespace sm::js
