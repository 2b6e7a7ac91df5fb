// reference DIRECTORY SEED: writes what the library computes from random inputs, for compare.py to compute again.

#include <cstdlib>
#include <iostream>

#include "reference/recorder.hpp"
#include "shumai/random.hpp"
#include "sweep/cases.hpp"

int main(int count, char** args) {
  if (count != 3) {
    std::cerr << "usage: reference DIRECTORY SEED\n";
    return 2;
  }
  try {
    const uint64_t seed = std::strtoull(args[2], nullptr, 10);
    sm::manual_seed(seed);
    sm::sweep::seed_draws(seed);
    sm::reference::seed_values(seed);
    sm::reference::Recorder recorder(seed);
    sm::reference::record_ops(recorder);
    sm::reference::record_dtypes(recorder);
    sm::reference::record_losses(recorder);
    sm::reference::record_modules(recorder);
    sm::reference::record_optimizers(recorder);
    sm::reference::record_files(recorder, args[1]);
    recorder.write(args[1]);
  } catch (const std::exception& error) {
    std::cerr << "reference: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
