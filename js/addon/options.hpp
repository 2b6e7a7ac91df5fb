#pragma once

#include "napi.hpp"
#include "shumai/io.hpp"

namespace sm::js {

// What serve() was told, but for functions and tensors. Throws Error
// (kInvalidArgument) that names the option for a value that it can't have.
io::ServeOptions to_serve_options(napi_env env, napi_value value);

}  // namespace sm::js
