#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "shumai/tensor.hpp"
#include "tensor/node.hpp"
#include "tensor/pending.hpp"
#include "util/buffer.hpp"

namespace sm {

// Where a tensor came from over the network: the ticket under which a server
// computed it. A gradient carries the ticket of the tensor it belongs to.
struct TicketTag {
  std::string ticket;
  std::string session;  // that it belongs to
  std::string origin;   // scheme://host:port; the ticket is sent nowhere else
  std::string trace;    // the traceparent that asked for it
  bool gradient = false;
};

// What a Tensor handle points to.
//
// Invariants: strides count elements; stride 0 marks a broadcast axis, so
// nobody writes through such a view. Storage is written only while it has one
// owner, so every other holder keeps the value it saw (copy on write).
// A tensor with a `node` is never updated.
class TensorImpl final : public util::RefCounted {
 public:
  TensorImpl(util::BufferRef storage, DType dtype, Shape shape, Dims strides, int64_t offset);
  // Row by row in `storage`; `elements` are the shape's.
  TensorImpl(util::BufferRef storage, DType dtype, const Shape& shape, int64_t elements);
  // Row by row in what `pending` will compute.
  TensorImpl(PendingRef pending, DType dtype, Shape shape);
  // The elements of `other` under the same shape, computed or not; a leaf.
  struct Alias {};
  TensorImpl(Alias, const TensorImpl& other);
  ~TensorImpl();

  // Where the elements are, computed first where that is still to be done.
  const util::BufferRef& storage() {
    if (is_pending_.load(std::memory_order_acquire)) [[unlikely]]
      settle();
    return storage_;
  }
  bool has_storage(const util::BufferRef& buffer) const {
    return !is_pending_.load(std::memory_order_acquire) && storage_ == buffer;
  }
  // What will compute the elements; null once they are in storage.
  PendingRef pending() const;
  // Takes the elements of `other`, which has the same shape and dtype. Sharing
  // is enough: whoever writes to storage first makes sure of being its only owner.
  void share_elements(const TensorImpl& other);

  std::byte* bytes() { return storage()->data() + offset * static_cast<int64_t>(size_of(dtype)); }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(bytes());
  }

  static void destroy(TensorImpl* impl) noexcept { delete impl; }
  static void* operator new(size_t size);
  static void operator delete(void* block) noexcept;

  DType dtype;
  bool requires_grad = false;
  bool is_number = false;  // a plain number, which adapts to the other operand's dtype
  bool is_contiguous;
  int64_t offset;  // of the first element in the storage, in elements
  int64_t elements;
  Shape shape;
  Dims strides;
  util::Ref<Node> node;  // what computed this tensor; null for a leaf
  util::Ref<TensorImpl> grad;
  util::Ref<TensorImpl> stands_for;  // the leaf that a saved alias receives gradients for
  std::shared_ptr<const TicketTag> tag;
  uint64_t version = 0;

 private:
  void settle();

  util::BufferRef storage_;
  // Threads that read one tensor may all come to compute it: the first to finish publishes storage_.
  std::atomic<bool> is_pending_ = false;
  PendingRef pending_;  // guarded by a mutex of the file
};

using ImplRef = util::Ref<TensorImpl>;

inline Tensor to_tensor(const ImplRef& impl) { return Tensor(impl.get()); }
inline ImplRef to_ref(const Tensor& tensor) { return ImplRef(tensor.impl()); }

// The row-major strides of `shape`.
Dims contiguous_strides(const Shape& shape);

// Computed when somebody looks.
Tensor make_pending(PendingRef pending, const Shape& shape, DType dtype);
// Uninitialised, contiguous.
Tensor make_tensor(const Shape& shape, DType dtype);
// Shares `base`'s storage; a leaf without a graph. `offset` counts from the storage's start.
Tensor make_view(const Tensor& base, const Shape& shape, const Dims& strides, int64_t offset);
// The same view again as a leaf of its own: what a graph saves, so that update() on the original can't reach it.
Tensor make_alias(const Tensor& tensor);
// A tensor over bytes that `storage` already holds, row by row from `byte_offset`, which must be a multiple of the
// element size.
Tensor make_from_buffer(util::BufferRef storage, size_t byte_offset, const Shape& shape, DType dtype);

// `axis` counted from the front. Throws Error (kOutOfRange) that names `op`.
int normalize_axis(int64_t axis, int ndim, const char* op);

}  // namespace sm
