#include "instance.hpp"
#include "network.hpp"

namespace sm::js {
namespace {

napi_value set_error_class(const Arguments& arguments) {
  check(arguments.env(),
        napi_create_reference(arguments.env(), arguments[0], 1, &instance(arguments.env()).error_class));
  return undefined(arguments.env());
}

}  // namespace
}  // namespace sm::js

NAPI_MODULE_INIT() {
  using namespace sm::js;
  napi_set_instance_data(
      env, new Instance, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); }, nullptr);
  try {
    define<set_error_class>(env, exports, "setErrorClass");
    define_tensors(env, exports);
    define_quick(env, exports);
    define_indexing(env, exports);
    define_autograd(env, exports);
    define_losses(env, exports);
    define_optimizers(env, exports);
    define_network(env, exports);
    define_server(env, exports);
    define_stats(env, exports);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  } catch (const Pending&) {
  }
  return exports;
}
