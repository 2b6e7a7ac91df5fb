#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/json.hpp"
#include "shumai/tensor.hpp"

// What the program `reference` writes for tests/reference/compare.py: cases.json
// with one record a case, and data.bin with the elements of all their tensors.
namespace sm::reference {

class Recorder {
 public:
  explicit Recorder(uint64_t seed) : seed_(seed) {}

  // How a record mentions a tensor: {"dtype", "shape", "at": offset in data.bin}; null when undefined.
  Json keep(const Tensor& tensor);
  Json keep(const std::vector<Tensor>& tensors);
  // An object of them.
  Json keep(const Tensors& tensors);

  // Runs `function` on the inputs and keeps them, the weights, the results (or "error"), and the gradients of
  // sum(result * along) with respect to inputs and weights, where `along` is random.
  Json keep_run(const std::vector<Tensor>& inputs, const Tensors& weights,
                const std::function<std::vector<Tensor>()>& function);

  // "kind" and "name" say what the case is about, "case" tells it from others of that name.
  void add(std::string_view kind, std::string_view name, std::string case_text, Json record);
  // What the library has of a kind, so that what isn't compared can be found.
  void expect(std::string_view kind, std::string_view name);

  void write(const std::string& directory) const;

 private:
  uint64_t seed_;
  std::string data_;
  Json cases_ = Json::array();
  Json expected_ = Json::object();
};

// Values in [low, high), the same for the same seed of the program, drawn one after the other.
Tensor uniform(const Shape& shape, DType dtype, double low = -1, double high = 1);
// Whole numbers in [low, high).
Tensor whole(const Shape& shape, int64_t low, int64_t high, DType dtype = DType::i64);
void seed_values(uint64_t seed);

// Floating-point ones in another dtype, integers as they are; each a new leaf.
std::vector<Tensor> converted(const std::vector<Tensor>& inputs, DType dtype);

// True for dtypes that PyTorch 1.13 has.
bool in_pytorch(DType dtype);

void record_ops(Recorder& recorder);
void record_dtypes(Recorder& recorder);
void record_modules(Recorder& recorder);
void record_losses(Recorder& recorder);
void record_optimizers(Recorder& recorder);
// Writes files of tensors to `directory`, too.
void record_files(Recorder& recorder, const std::string& directory);

}  // namespace sm::reference
