// Any token file either fails with an sm::Error that tells no secret, or names
// tokens that can be found by what stands for them.

#include <string>

#include "fuzzing.hpp"
#include "serve/tokens.hpp"

using namespace sm;
using namespace sm::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  io::TokenSet tokens;
  try {
    io::add_tokens(tokens, text);
  } catch (const Error& error) {
    require(std::string(error.what()).starts_with("line "));
  }
  require(tokens.size() <= io::TokenSet::kMost);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const io::TokenSet::Entry& entry = tokens.entries()[i];
    require(!entry.name.empty() && tokens.place_of(entry.digest) == i);
    for (const std::string& route : entry.routes) require(entry.opens(route));
  }
  require(tokens.find(text) == nullptr || size >= io::TokenSet::kLeastSecret);
  return 0;
}
