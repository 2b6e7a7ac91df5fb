// Any text either fails with sm::Error or becomes a value, or tensors, whose
// text reads back as the same.

#include <string>

#include "codec/json_tensor.hpp"
#include "fuzzing.hpp"
#include "shumai/json.hpp"

namespace {

using namespace sm;
using namespace sm::fuzz;

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
  require_same(again, *tensors);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_value(text);
  check_tensors(text);
  return 0;
}
