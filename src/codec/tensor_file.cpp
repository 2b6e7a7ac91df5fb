#include <string_view>

#include "codec/file.hpp"
#include "codec/npy.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"
#include "shumai/tensor.hpp"

namespace sm {
namespace {

constexpr std::string_view kOnlyName = "tensor";

bool named_npy(const std::string& path) { return path.ends_with(".npy"); }

}  // namespace

Tensors load(const std::string& path) {
  const util::BufferRef file = codec::read_file(path);
  // A file is chosen by whoever runs this process: the format's own limits do.
  constexpr codec::SafetensorsLimits kLimits = {.max_header_bytes = 100'000'000, .max_tensors = 100'000};
  try {
    if (named_npy(path) || codec::is_npy(file->data(), file->size()))
      return {{std::string(kOnlyName), codec::decode_npy(file, 0, file->size())}};
    return codec::decode_safetensors(file, 0, file->size(), nullptr, kLimits);
  } catch (const Error& error) {
    throw Error(error.code(), "load: \"" + path + "\": " + error.what());
  }
}

void save(const std::string& path, const Tensors& tensors) {
  if (!named_npy(path)) return codec::atomic_write(path, codec::encode_safetensors(tensors));
  if (tensors.size() != 1)
    throw Error(ErrorCode::kInvalidArgument, "save: a .npy file holds one tensor, got " +
                                                 std::to_string(tensors.size()) + "; write a .safetensors file");
  codec::atomic_write(path, codec::encode_npy(tensors.at(0).second));
}

void Tensor::save(const std::string& path) const { sm::save(path, Tensors{{std::string(kOnlyName), *this}}); }

}  // namespace sm
