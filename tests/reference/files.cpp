#include "reference/recorder.hpp"
#include "shumai/ops.hpp"

namespace sm::reference {

void record_files(Recorder& recorder, const std::string& directory) {
  Tensors all;
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    if (!in_pytorch(dtype)) continue;
    for (const Shape& shape : {Shape{2, 3}, Shape(), Shape{0, 2}}) {
      const std::string name = std::string(name_of(dtype)) + shape.to_string();
      const Tensor x = is_floating(dtype) ? uniform(shape, dtype) : whole(shape, 0, 100, dtype);
      const Tensor stored = transpose(x);
      all.set(name, stored);
      // NumPy has no bfloat16.
      if (dtype == DType::bf16) continue;
      const std::string file = name + ".npy";
      stored.save(std::string(directory).append("/").append(file));
      recorder.add("file", "npy", name, Json::object({{"path", file}, {"tensor", recorder.keep(stored)}}));
    }
  }
  save(directory + "/all.safetensors", all);
  recorder.add("file", "safetensors", "all dtypes",
               Json::object({{"path", "all.safetensors"}, {"tensors", recorder.keep(all)}}));
}

}  // namespace sm::reference
