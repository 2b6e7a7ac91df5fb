#pragma once

#include <array>
#include <vector>

#include "kernels/cpu/vector.hpp"
#include "shumai/shape.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {

// Where a step finds or leaves a run of elements.
struct Place {
  enum class Kind : uint8_t { kNone, kRegister, kMemory, kFixed };
  Kind kind = Kind::kNone;
  int number = 0;                   // of the register
  const std::byte* data = nullptr;  // of the first element
};

// A list of steps over runs of elements that fit in the first-level cache.
// T is float or double; booleans are 1 and 0 of it while they are in registers.
template <class T>
struct Program {
  // Elements that aren't runs of T: booleans, or strided ones.
  struct Load {
    const std::byte* data;
    bool boolean;
    Dims sizes, strides;  // outermost first, joined; in bytes
  };
  struct Step {
    Map<T> map = nullptr;  // null: a load
    int load = 0;
    std::array<Place, 3> in;
    Place out;
    bool once = false;  // for a whole range instead of each run
  };
  struct Store {  // of booleans
    Place from;
    bool* to;
  };

  // Gives the registers, numbered as they were made, few places.
  void assign_registers();
  // Computes elements begin to end.
  void run(int64_t begin, int64_t end) const;

  std::vector<Load> loads;
  std::vector<Step> steps;
  std::vector<Store> stores;
  int registers = 0;
  int cost = 0;    // of an element, in units of an addition
  int memory = 0;  // streams from and to memory
};

extern template struct Program<float>;
extern template struct Program<double>;

}  // namespace sm::kernels
