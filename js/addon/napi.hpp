#pragma once

#include <node_api.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/error.hpp"
#include "shumai/shape.hpp"
#include "tagging.hpp"

// Node-API in C++: values in, values out, errors as sm::Error. All of it on
// the thread of the environment.
namespace sm::js {

// A JavaScript exception is pending: unwinds C++ up to the boundary.
struct Pending {};

void check(napi_env env, napi_status status);

napi_value undefined(napi_env env);
napi_value null(napi_env env);
napi_value number(napi_env env, double value);
napi_value integer(napi_env env, uint32_t value);
napi_value boolean(napi_env env, bool value);
napi_value text(napi_env env, std::string_view value);
napi_value array(napi_env env, size_t size);
napi_value object(napi_env env);
void set(napi_env env, napi_value object, const char* key, napi_value value);
void set(napi_env env, napi_value array, uint32_t index, napi_value value);

napi_valuetype type_of(napi_env env, napi_value value);
inline bool missing(napi_env env, napi_value value) {
  const napi_valuetype type = type_of(env, value);
  return type == napi_undefined || type == napi_null;
}
bool is_array(napi_env env, napi_value value);
uint32_t length_of(napi_env env, napi_value array);
napi_value at(napi_env env, napi_value array, uint32_t index);
napi_value get(napi_env env, napi_value object, const char* key);

// These throw Error (kInvalidArgument) that names `what` for a value of another type.
// A value in a message: 2.5, "text", null, an array.
std::string described(napi_env env, napi_value value);

double to_number(napi_env env, napi_value value, const char* what);
int64_t to_integer(napi_env env, napi_value value, const char* what);  // whole numbers and bigints
uint32_t to_handle(napi_env env, napi_value value);
bool to_boolean(napi_env env, napi_value value);
std::string to_text(napi_env env, napi_value value, const char* what);
Dims to_dims(napi_env env, napi_value value, const char* what);  // a number or an array of them

napi_value from_dims(napi_env env, const Dims& dims);

// Throws `error` as the class that was registered, with code and status.
void throw_error(napi_env env, const Error& error);

// One call from JavaScript: its arguments, as many as were given.
class Arguments {
 public:
  static constexpr size_t kMost = 12;
  Arguments(napi_env env, napi_callback_info info);
  napi_env env() const { return env_; }
  size_t size() const { return count_; }
  // undefined beyond the last one
  napi_value operator[](size_t i) const { return i < count_ ? values_[i] : undefined(env_); }

 private:
  napi_env env_;
  size_t count_ = kMost;
  napi_value values_[kMost];
};

// A call from JavaScript: errors become its exceptions.
template <class F>
napi_value guarded(napi_env env, F function) {
  const TaggedCall call;
  try {
    return function();
  } catch (const Error& error) {
    throw_error(env, error);
  } catch (const Pending&) {
  } catch (const std::exception& error) {
    throw_error(env, Error(ErrorCode::kInternal, error.what()));
  }
  return nullptr;
}

// The C function of a binding.
template <napi_value (*function)(const Arguments&)>
napi_value bound(napi_env env, napi_callback_info info) {
  return guarded(env, [env, info] { return function(Arguments(env, info)); });
}

template <napi_value (*function)(const Arguments&)>
void define(napi_env env, napi_value exports, const char* name) {
  napi_value value;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, bound<function>, nullptr, &value));
  set(env, exports, name, value);
}

}  // namespace sm::js
