#pragma once

#include <cstdint>

#include "shumai/tensor.hpp"

// Arrays of other libraries in the same process, without a copy where that is
// possible: DLPack 1.0 (https://dmlc.github.io/dlpack/latest/c_api.html). The
// structs are laid out as in its dlpack.h, under names of our own, so that both
// can be included; a reinterpret_cast goes between them.
namespace sm::dlpack {

struct Version {  // of the protocol
  uint32_t major = 1;
  uint32_t minor = 0;
};

struct Device {      // where the elements are
  int32_t type = 1;  // 1: memory of the CPU; 3 and 11: that too, pinned for CUDA and ROCm
  int32_t id = 0;
};

struct DataType {    // of an element
  uint8_t code = 2;  // 0: signed, 1: unsigned, 2: float, 4: bfloat, 6: bool
  uint8_t bits = 32;
  uint16_t lanes = 1;
};

struct Array {  // DLTensor
  void* data = nullptr;
  Device device;
  int32_t ndim = 0;
  DataType dtype;
  int64_t* shape = nullptr;
  int64_t* strides = nullptr;  // in elements; null: row by row without gaps
  uint64_t byte_offset = 0;
};

// DLManagedTensor, from before version 1.0.
struct Managed {
  Array array;
  void* context = nullptr;
  void (*deleter)(Managed* self) = nullptr;
};

inline constexpr uint64_t kReadOnly = 1;  // in ManagedVersioned::flags
inline constexpr uint64_t kCopied = 2;

// DLManagedTensorVersioned.
struct ManagedVersioned {
  Version version;
  void* context = nullptr;
  void (*deleter)(ManagedVersioned* self) = nullptr;
  uint64_t flags = 0;
  Array array;
};

}  // namespace sm::dlpack

namespace sm {

// The values of `tensor` for another library, which calls the deleter once
// when it is done, on any thread. The memory is shared and marked read-only,
// and an update of the tensor leaves it as it is. With `copy` it is a copy
// that may be written.
dlpack::ManagedVersioned* to_dlpack(const Tensor& tensor, bool copy = false);

// The same for libraries that know only the older struct. It can't say
// read-only, so this is always a copy.
dlpack::Managed* to_dlpack_unversioned(const Tensor& tensor);

// A leaf over another library's memory, which is given back when the last
// tensor over it is gone: the deleter runs then, on the thread that let go.
// Unless it is read-only, update() and optimizers may write into it, and what
// its owner writes shows in the tensor.
//
// Throws Error (kDTypeMismatch) for elements that a tensor doesn't have, and
// kInvalidArgument for another device, another major version and elements that
// aren't aligned. `array` is then still the caller's.
Tensor from_dlpack(dlpack::ManagedVersioned* array);
Tensor from_dlpack(dlpack::Managed* array);

}  // namespace sm
