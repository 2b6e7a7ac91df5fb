#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace sm::util {

// Base of objects that are shared by counting. Counting is thread-safe; the
// object itself is as thread-safe as its class says.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  // The first retain() of an object that no other thread can know.
  void retain_first() const noexcept { refs_.store(1, std::memory_order_relaxed); }
  // True when this was the last reference: the caller destroys the object.
  // Nobody can add one to the last, so that is known by reading, which costs less.
  bool drop() const noexcept { return unique() || refs_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  // How many there are at this moment: other threads may change it.
  uint32_t refs() const noexcept { return refs_.load(std::memory_order_relaxed); }
  bool unique() const noexcept { return refs_.load(std::memory_order_acquire) == 1; }

 protected:
  ~RefCounted() = default;

 private:
  mutable std::atomic<uint32_t> refs_{0};
};

// Shared ownership of a T that derives from RefCounted. T::destroy(T*) ends its life.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  Ref(std::nullptr_t) noexcept {}
  explicit Ref(T* object) noexcept : object_(object) {
    if (object_) object_->retain();
  }
  // The first reference to an object that was just made.
  static Ref first(T* object) noexcept {
    object->retain_first();
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) noexcept : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && object_->drop()) T::destroy(object_);
  }

  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  friend bool operator==(const Ref&, const Ref&) = default;

  // Gives up ownership without dropping the reference.
  T* leak() noexcept { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

}  // namespace sm::util
