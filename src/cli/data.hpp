#pragma once

#include <string>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm::cli {

// Examples: rows of x, and of y what should come out.
struct Data {
  Tensor x, y;
  int64_t size() const { return x.size(0); }
};

// From two files, from one safetensors file in which they have `names` ("x,y"),
// or from lines "x | y" of readable tensors ("-": standard input). Throws
// UsageError for other files, Error for what is in them.
Data read_data(const std::vector<std::string>& files, const std::string& names);

struct Split {
  std::vector<int64_t> train, held_out;
};

// Which examples train, and which judge, by chance from `seed`.
Split split(int64_t size, double held_out, uint64_t seed);

// The rows at `indices`.
Data rows(const Data& data, const std::vector<int64_t>& indices);

}  // namespace sm::cli
