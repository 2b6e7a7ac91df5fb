#include "instance.hpp"
#include "shumai/index.hpp"

namespace sm::js {
namespace {

// Numbers and text as they are, tensors as [handle].
std::vector<Index> to_specs(napi_env env, napi_value value) {
  std::vector<Index> specs;
  for (uint32_t i = 0, n = length_of(env, value); i < n; ++i) {
    const napi_value spec = at(env, value, i);
    if (is_array(env, spec))
      specs.emplace_back(tensor_at(env, at(env, spec, 0)));
    else if (type_of(env, spec) == napi_string)
      specs.emplace_back(to_text(env, spec, "spec"));
    else
      specs.emplace_back(to_integer(env, spec, "index: a spec"));
  }
  return specs;
}

// index(handle, specs)
napi_value pick(const Arguments& arguments) {
  const napi_env env = arguments.env();
  return integer(env, add(env, index(tensor_at(env, arguments[0]), to_specs(env, arguments[1]))));
}

// indexedAssign(handle, handle of the value, specs)
napi_value assign(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor &tensor = tensor_at(env, arguments[0]), &value = tensor_at(env, arguments[1]);
  return integer(env, add(env, indexed_assign(tensor, value, to_specs(env, arguments[2]))));
}

}  // namespace

void define_indexing(napi_env env, napi_value exports) {
  define<pick>(env, exports, "index");
  define<assign>(env, exports, "indexedAssign");
}

}  // namespace sm::js
