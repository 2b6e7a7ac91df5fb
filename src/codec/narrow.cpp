#include "codec/narrow.hpp"

#include <cmath>
#include <span>

#include <fmt/core.h>

#include "codec/bytes.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

constexpr const char* kNarrowed = "shumai.float32";

// The smallest magnitude that rounds to infinity: half a step above the largest finite value.
float overflow_of(DType dtype) { return dtype == DType::f16 ? 65520.0f : 0x1.ffp127f; }

void check_range(const std::string& name, const Tensor& tensor, DType dtype) {
  const util::Slice elements = elements_in_order(tensor);
  const float limit = overflow_of(dtype);
  for (const float value : std::span(reinterpret_cast<const float*>(elements.data), elements.size / sizeof(float)))
    if (std::isfinite(value) && std::fabs(value) >= limit)
      throw Error(ErrorCode::kOutOfRange,
                  fmt::format("wire: {} in tensor {} is too large for {}, which ends at {}", value, quoted(name),
                              name_of(dtype), dtype == DType::f16 ? 65504.0 : 0x1.fep127));
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kProtocol, std::string("safetensors: the metadata \"") + kNarrowed + "\" " + why);
}

Json names_in(const std::string& text) {
  Json names;
  try {
    names = Json::parse(text, {.max_bytes = text.size(), .max_depth = 2, .max_values = 20'000});
  } catch (const Error& error) {
    refuse(std::string("isn't JSON: ") + error.what());
  }
  if (!names.is_array()) refuse("must be a list of names, got " + text.substr(0, 80));
  for (const Json& name : names.as_array())
    if (!name.is_string()) refuse("must be a list of names, got " + text.substr(0, 80));
  return names;
}

}  // namespace

Tensors narrow(const Tensors& tensors, DType dtype, Metadata& metadata) {
  Tensors out;
  Json names = Json::array();
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined() || tensor.dtype() != DType::f32) {
      out.set(name, tensor);
      continue;
    }
    check_range(name, tensor, dtype);
    out.set(name, detail::cast(tensor, dtype));
    names.push_back(name);
  }
  if (!names.empty()) metadata[kNarrowed] = names.dump();
  return out;
}

Tensors widen(Tensors tensors, const Metadata& metadata) {
  const auto found = metadata.find(kNarrowed);
  if (found == metadata.end()) return tensors;
  const Json names = names_in(found->second);
  for (const Json& json : names.as_array()) {
    const std::string& name = json.as_string();
    const Tensor* tensor = tensors.find(name);
    if (!tensor) refuse("names " + quoted(name) + ", which isn't there");
    if (tensor->dtype() != DType::f16 && tensor->dtype() != DType::bf16)
      refuse("names " + quoted(name) + " of dtype " + std::string(name_of(tensor->dtype())));
    tensors.set(name, detail::cast(*tensor, DType::f32));
  }
  return tensors;
}

}  // namespace sm::codec
