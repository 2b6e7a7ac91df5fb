#pragma once

#include <functional>

#include "util/buffer.hpp"

namespace sm {

// Elements that are still to be computed: what a tensor has instead of storage
// until somebody looks.
class Pending : public util::RefCounted {
 public:
  virtual ~Pending() = default;

  // The elements row by row, computed at the first call. Thread-safe. Throws
  // Error (kTooLarge) when memory can't be had.
  virtual util::BufferRef value() = 0;

  // Calls `visit` with each block that this keeps alive until it is computed. Thread-safe.
  virtual void visit_held(const std::function<void(const util::Buffer&)>& visit) = 0;

  static void destroy(Pending* pending) noexcept { delete pending; }
};

using PendingRef = util::Ref<Pending>;

}  // namespace sm
