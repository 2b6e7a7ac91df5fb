// Any text either fails with sm::Error or becomes a value, or tensors, whose
// text reads back as the same.

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "codec/json_tensor.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace {

using namespace sm;

void require(bool condition) {
  if (!condition) std::abort();
}

// Only the input may fail: what the library wrote must always be read.
template <class Read>
auto read_input(Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

void check_value(std::string_view text) {
  const auto value = read_input([&] { return Json::parse(text); });
  if (!value) return;
  require(Json::parse(value->dump()) == *value);
  require(Json::parse(value->dump(2)) == *value);
}

void check_tensors(std::string_view text) {
  const auto tensors = read_input([&] { return codec::decode_json(text); });
  if (!tensors) return;
  const std::string written = codec::encode_json(*tensors);
  const Tensors again = codec::decode_json(written);
  require(codec::encode_json(again) == written);
  require(again.size() == tensors->size());
  for (size_t i = 0; i < again.size(); ++i) {
    const Tensor& x = tensors->at(i).second;
    const Tensor& y = again.at(i).second;
    require(tensors->at(i).first == again.at(i).first && x.dtype() == y.dtype() && x.shape() == y.shape());
    require(x.nbytes() == 0 || std::memcmp(x.impl()->bytes(), y.impl()->bytes(), x.nbytes()) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_value(text);
  check_tensors(text);
  return 0;
}
