#pragma once

#include <cstddef>
#include <cstdint>

// The loops of floors.cpp, for the widest vectors that the processor has.
namespace bench {

// Each round multiplies and adds in as many chains as keep two units busy.
void run_fma(int64_t rounds);
double fma_operations(int64_t rounds);

// a = b + 3 c; addresses are multiples of 64 bytes, the count of 64 elements.
void run_triad(float* a, const float* b, const float* c, size_t count);

}  // namespace bench
