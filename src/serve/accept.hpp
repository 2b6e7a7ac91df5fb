#pragma once

#include <string>

#include "serve/content.hpp"

namespace sm::io {

// What a body may be, for messages.
std::string supported_types();

}  // namespace sm::io
