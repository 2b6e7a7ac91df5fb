#pragma once

#include <cstdint>

namespace sm {

// Where the process-wide random stream stands. The same seed gives the same
// values in C++ and JavaScript, on every machine with IEEE arithmetic.
struct RandomState {
  uint64_t seed = 0;
  uint64_t position = 0;  // blocks of four 32-bit words drawn so far
};

// Starts the stream of `seed`. Without it the seed comes from the system. Thread-safe.
void manual_seed(uint64_t seed);
// For checkpoints. Thread-safe.
RandomState random_state();
void set_random_state(RandomState state);

}  // namespace sm
