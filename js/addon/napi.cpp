#include "napi.hpp"

#include <cmath>

#include "instance.hpp"

namespace sm::js {
namespace {

[[noreturn]] void reject(napi_env env, napi_value value, const char* what, const char* expected) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string(what) + ": expected " + expected + ", got " + described(env, value));
}

}  // namespace

std::string described(napi_env env, napi_value value) {
  const napi_valuetype type = type_of(env, value);
  if (type == napi_object) return is_array(env, value) ? "an array" : "an object";
  if (type == napi_function) return "a function";
  if (type == napi_symbol || type == napi_external) return "something else";
  napi_value words;
  check(env, napi_coerce_to_string(env, value, &words));
  const std::string shown = to_text(env, words, "value");
  return type == napi_string ? '"' + shown + '"' : shown;
}

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  if (status == napi_pending_exception) throw Pending();
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  throw Error(ErrorCode::kInternal,
              std::string("Node-API: ") + (info && info->error_message ? info->error_message : "unknown error"));
}

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value null(napi_env env) {
  napi_value value;
  napi_get_null(env, &value);
  return value;
}

napi_value number(napi_env env, double value) {
  napi_value out;
  check(env, napi_create_double(env, value, &out));
  return out;
}

napi_value integer(napi_env env, uint32_t value) {
  napi_value out;
  check(env, napi_create_uint32(env, value, &out));
  return out;
}

napi_value boolean(napi_env env, bool value) {
  napi_value out;
  check(env, napi_get_boolean(env, value, &out));
  return out;
}

napi_value text(napi_env env, std::string_view value) {
  napi_value out;
  check(env, napi_create_string_utf8(env, value.data(), value.size(), &out));
  return out;
}

napi_value array(napi_env env, size_t size) {
  napi_value out;
  check(env, napi_create_array_with_length(env, size, &out));
  return out;
}

napi_value object(napi_env env) {
  napi_value out;
  check(env, napi_create_object(env, &out));
  return out;
}

void set(napi_env env, napi_value object, const char* key, napi_value value) {
  check(env, napi_set_named_property(env, object, key, value));
}

void set(napi_env env, napi_value array, uint32_t index, napi_value value) {
  check(env, napi_set_element(env, array, index, value));
}

napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, value, &type));
  return type;
}

bool is_array(napi_env env, napi_value value) {
  bool yes = false;
  check(env, napi_is_array(env, value, &yes));
  return yes;
}

uint32_t length_of(napi_env env, napi_value array) {
  uint32_t length = 0;
  check(env, napi_get_array_length(env, array, &length));
  return length;
}

napi_value at(napi_env env, napi_value array, uint32_t index) {
  napi_value out;
  check(env, napi_get_element(env, array, index, &out));
  return out;
}

napi_value get(napi_env env, napi_value object, const char* key) {
  napi_value out;
  check(env, napi_get_named_property(env, object, key, &out));
  return out;
}

double to_number(napi_env env, napi_value value, const char* what) {
  double out = 0;
  if (napi_get_value_double(env, value, &out) == napi_ok) return out;
  int64_t whole = 0;
  bool exact = false;
  if (napi_get_value_bigint_int64(env, value, &whole, &exact) == napi_ok && exact) return static_cast<double>(whole);
  reject(env, value, what, "a number");
}

int64_t to_integer(napi_env env, napi_value value, const char* what) {
  double out = 0;
  if (napi_get_value_double(env, value, &out) == napi_ok) {
    if (std::trunc(out) != out || std::abs(out) > 9007199254740991.0) reject(env, value, what, "a whole number");
    return static_cast<int64_t>(out);
  }
  int64_t whole = 0;
  bool exact = false;
  if (napi_get_value_bigint_int64(env, value, &whole, &exact) == napi_ok && exact) return whole;
  reject(env, value, what, "a whole number");
}

uint32_t to_handle(napi_env env, napi_value value) {
  uint32_t out = 0;
  if (napi_get_value_uint32(env, value, &out) != napi_ok) reject(env, value, "argument", "a tensor");
  return out;
}

bool to_boolean(napi_env env, napi_value value) {
  bool out = false;
  if (napi_get_value_bool(env, value, &out) == napi_ok) return out;
  napi_value coerced;
  check(env, napi_coerce_to_bool(env, value, &coerced));
  check(env, napi_get_value_bool(env, coerced, &out));
  return out;
}

std::string to_text(napi_env env, napi_value value, const char* what) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) reject(env, value, what, "a string");
  std::string out(size, '\0');
  check(env, napi_get_value_string_utf8(env, value, out.data(), size + 1, &size));
  return out;
}

Dims to_dims(napi_env env, napi_value value, const char* what) {
  bool typed = false;
  check(env, napi_is_typedarray(env, value, &typed));
  if (!typed && !is_array(env, value)) {
    if (type_of(env, value) != napi_number && type_of(env, value) != napi_bigint)
      reject(env, value, what, "a whole number or an array of them");
    return Dims(to_integer(env, value, what));
  }
  const auto size =
      typed ? static_cast<uint32_t>(to_integer(env, get(env, value, "length"), what)) : length_of(env, value);
  Dims out(static_cast<int>(std::min(size, 1u << 20)), 0);
  for (uint32_t i = 0; i < size; ++i) out[static_cast<int>(i)] = to_integer(env, at(env, value, i), what);
  return out;
}

napi_value from_dims(napi_env env, const Dims& dims) {
  const napi_value out = array(env, static_cast<size_t>(dims.size()));
  for (int i = 0; i < dims.size(); ++i)
    set(env, out, static_cast<uint32_t>(i), number(env, static_cast<double>(dims[i])));
  return out;
}

void throw_error(napi_env env, const Error& error) {
  try {
    napi_throw(env, make_error(env, error));
  } catch (const Pending&) {
  }
}

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  check(env, napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr));
  count_ = std::min(count_, kMost);
}

}  // namespace sm::js
