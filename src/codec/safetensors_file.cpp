#include "codec/file.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"
#include "shumai/tensor.hpp"

namespace sm {

Tensors load(const std::string& path) {
  const util::BufferRef file = codec::read_file(path);
  // A file is chosen by whoever runs this process: the format's own limits do.
  constexpr codec::SafetensorsLimits kLimits = {.max_header_bytes = 100'000'000, .max_tensors = 100'000};
  try {
    return codec::decode_safetensors(file, 0, file->size(), nullptr, kLimits);
  } catch (const Error& error) {
    throw Error(error.code(), "load: \"" + path + "\": " + error.what());
  }
}

void save(const std::string& path, const Tensors& tensors) {
  codec::atomic_write(path, codec::encode_safetensors(tensors));
}

void Tensor::save(const std::string& path) const { sm::save(path, Tensors{{"tensor", *this}}); }

}  // namespace sm
