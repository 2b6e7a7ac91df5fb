#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sm::util {

// `; did you mean "port"?` for a name of which one of `known` is a misspelling: fewer than half of its letters have to
// be added, removed or replaced, whatever their case. Else empty.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace sm::util
