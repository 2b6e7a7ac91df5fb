#include <algorithm>
#include <array>

#include "codec/file.hpp"
#include "codec/safetensors.hpp"
#include "codec/shumai_binary.hpp"
#include "instance.hpp"
#include "ops/op.hpp"
#include "shumai/dlpack.hpp"
#include "shumai/json_model.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm::js {
namespace {

using ops::Arg;
using ops::ArgKind;
using ops::Attr;
using ops::Op;

std::string_view kind_name(ArgKind kind) {
  switch (kind) {
    case ArgKind::kTensor:
      return "tensor";
    case ArgKind::kOptionalTensor:
      return "tensor?";
    case ArgKind::kTensors:
      return "tensors";
    case ArgKind::kBool:
      return "bool";
    case ArgKind::kInt:
      return "int";
    case ArgKind::kFloat:
      return "float";
    case ArgKind::kDims:
      return "dims";
    case ArgKind::kDType:
      return "dtype";
    case ArgKind::kString:
      return "string";
  }
  return "";
}

// The op table, from which JavaScript makes its functions and methods.
napi_value table(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto rows = ops::table();
  const napi_value out = array(env, rows.size());
  for (uint32_t i = 0; i < rows.size(); ++i) {
    const Op& op = *rows[i];
    const napi_value row = object(env);
    set(env, row, "name", text(env, op.name));
    set(env, row, "js", text(env, op.js));
    set(env, row, "many", boolean(env, op.forward_many != nullptr));
    set(env, row, "differentiable", boolean(env, op.gradient.differentiable()));
    const napi_value args = array(env, op.args.size());
    for (uint32_t k = 0; k < op.args.size(); ++k) {
      const napi_value arg = object(env);
      set(env, arg, "name", text(env, op.args[k].name));
      set(env, arg, "kind", text(env, kind_name(op.args[k].kind)));
      set(env, arg, "optional", boolean(env, op.args[k].optional));
      set(env, arg, "index", boolean(env, op.args[k].index));
      set(env, args, k, arg);
    }
    set(env, row, "args", args);
    set(env, out, i, row);
  }
  return out;
}

Attr convert_attr(napi_env env, const Arg& arg, napi_value value) {
  if (type_of(env, value) == napi_undefined) {
    if (!arg.optional) throw Error(ErrorCode::kInvalidArgument, std::string(arg.name) + " is missing");
    return arg.fallback;
  }
  const char* name = arg.name.data();
  switch (arg.kind) {
    case ArgKind::kBool:
      return to_boolean(env, value);
    case ArgKind::kInt:
      return to_integer(env, value, name);
    case ArgKind::kFloat:
      return to_number(env, value, name);
    case ArgKind::kDims:
      return missing(env, value) ? arg.fallback : Attr(to_dims(env, value, name));
    case ArgKind::kDType:
      return static_cast<DType>(to_integer(env, value, name));
    default:
      return to_text(env, value, name);
  }
}

Attr to_attr(napi_env env, const Op& op, const Arg& arg, napi_value value) {
  try {
    return convert_attr(env, arg, value);
  } catch (const Error& error) {
    throw Error(error.code(), std::string(op.name) + ": " + error.what());
  }
}

// The handles of several tensors.
napi_value add_all(napi_env env, const std::vector<Tensor>& tensors) {
  const napi_value out = array(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) set(env, out, i, integer(env, add(env, tensors[i])));
  return out;
}

// run(op, ...arguments), tensors as handles; an array of handles for an op with several outputs.
napi_value run_op(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto rows = ops::table();
  const uint32_t index = to_handle(env, arguments[0]);
  if (index >= rows.size()) throw Error(ErrorCode::kNotFound, "no such op");
  const Op& op = *rows[index];
  std::array<const Tensor*, Arguments::kMost> inputs;
  std::vector<const Tensor*> list;
  std::vector<Attr> attrs;
  const Tensor absent;
  size_t count = 0;
  for (size_t i = 0; i < op.args.size(); ++i) {
    const Arg& arg = op.args[i];
    const napi_value value = arguments[i + 1];
    if (arg.kind == ArgKind::kTensor) {
      inputs[count++] = &tensor_at(env, value);
    } else if (arg.kind == ArgKind::kOptionalTensor) {
      inputs[count++] = missing(env, value) ? &absent : &tensor_at(env, value);
    } else if (arg.kind == ArgKind::kTensors) {
      for (uint32_t k = 0, n = length_of(env, value); k < n; ++k) list.push_back(&tensor_at(env, at(env, value, k)));
    } else {
      attrs.push_back(to_attr(env, op, arg, value));
    }
  }
  const ops::Inputs used = list.empty() ? ops::Inputs(inputs.data(), count) : ops::Inputs(list);
  if (op.forward_many) return add_all(env, ops::run_many(op, used, attrs));
  return integer(env, add(env, ops::run(op, used, attrs)));
}

// number(value, whole): a constant that adapts to the other operand's dtype.
napi_value make_number(const Arguments& arguments) {
  const napi_env env = arguments.env();
  if (type_of(env, arguments[0]) == napi_boolean) return integer(env, add(env, Tensor(to_boolean(env, arguments[0]))));
  if (to_boolean(env, arguments[1])) return integer(env, add(env, Tensor(to_integer(env, arguments[0], "operand"))));
  return integer(env, add(env, Tensor(to_number(env, arguments[0], "operand"))));
}

struct Bytes {
  const void* data = nullptr;
  size_t size = 0;
};

Bytes bytes_of(napi_env env, napi_value value) {
  bool yes = false;
  check(env, napi_is_typedarray(env, value, &yes));
  void* data = nullptr;
  size_t size = 0;
  if (yes) {
    napi_typedarray_type type;
    size_t length = 0;
    check(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
    static constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
    return {data, length * (type <= napi_biguint64_array ? kSizes[type] : 2)};
  }
  check(env, napi_is_arraybuffer(env, value, &yes));
  if (!yes) throw Error(ErrorCode::kInvalidArgument, "data: expected a typed array");
  check(env, napi_get_arraybuffer_info(env, value, &data, &size));
  return {data, size};
}

DType to_dtype(napi_env env, napi_value value) {
  const int64_t code = to_integer(env, value, "dtype");
  if (code < 0 || code >= kDTypeCount) throw Error(ErrorCode::kDTypeMismatch, "unknown dtype " + std::to_string(code));
  return static_cast<DType>(code);
}

// fromData(typed array, dtype of its elements, shape)
napi_value from_data(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Bytes bytes = bytes_of(env, arguments[0]);
  const DType dtype = to_dtype(env, arguments[1]);
  const Shape shape = to_dims(env, arguments[2], "shape");
  return integer(
      env, add(env, detail::from_bytes(bytes.data, shape, dtype, static_cast<int64_t>(bytes.size / size_of(dtype)))));
}

// read(handle, dtype, typed array): converts every element into the array.
napi_value read_data(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor& tensor = tensor_at(env, arguments[0]);
  const DType dtype = to_dtype(env, arguments[1]);
  const Bytes bytes = bytes_of(env, arguments[2]);
  if (bytes.size != static_cast<size_t>(tensor.elements()) * size_of(dtype))
    throw Error(ErrorCode::kInternal, "read: the array has another size");
  if (bytes.size) detail::to_bytes(tensor, dtype, const_cast<void*>(bytes.data));
  return undefined(env);
}

napi_value item(const Arguments& arguments) {
  const Tensor& tensor = tensor_at(arguments.env(), arguments[0]);
  return number(arguments.env(), tensor.item<double>());
}

napi_value item_bigint(const Arguments& arguments) {
  const Tensor& tensor = tensor_at(arguments.env(), arguments[0]);
  napi_value out;
  if (tensor.dtype() == DType::u64)
    check(arguments.env(),
          napi_create_bigint_uint64(arguments.env(), static_cast<uint64_t>(tensor.item<int64_t>()), &out));
  else
    check(arguments.env(), napi_create_bigint_int64(arguments.env(), tensor.item<int64_t>(), &out));
  return out;
}

napi_value shape(const Arguments& arguments) {
  return from_dims(arguments.env(), tensor_at(arguments.env(), arguments[0]).shape());
}
napi_value strides(const Arguments& arguments) {
  return from_dims(arguments.env(), tensor_at(arguments.env(), arguments[0]).strides());
}
napi_value ndim(const Arguments& arguments) {
  return integer(arguments.env(), static_cast<uint32_t>(tensor_at(arguments.env(), arguments[0]).ndim()));
}
napi_value elements(const Arguments& arguments) {
  return number(arguments.env(), static_cast<double>(tensor_at(arguments.env(), arguments[0]).elements()));
}
napi_value dtype(const Arguments& arguments) {
  return integer(arguments.env(), static_cast<uint32_t>(tensor_at(arguments.env(), arguments[0]).dtype()));
}
napi_value version(const Arguments& arguments) {
  return number(arguments.env(), static_cast<double>(tensor_at(arguments.env(), arguments[0]).version()));
}
napi_value describe(const Arguments& arguments) {
  return text(arguments.env(), tensor_at(arguments.env(), arguments[0]).to_string());
}

// markLeaf(handle): see Slots.
napi_value mark_leaf(const Arguments& arguments) {
  instance(arguments.env()).slots.mark_leaf(to_handle(arguments.env(), arguments[0]));
  return undefined(arguments.env());
}

// tokenOf(handle): the token of its group, or undefined when that is gone.
napi_value token_of(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const napi_value token = instance(env).slots.token_of(env, to_handle(env, arguments[0]));
  return token ? token : undefined(env);
}

napi_value requires_grad(const Arguments& arguments) {
  const Tensor& tensor = tensor_at(arguments.env(), arguments[0]);
  if (arguments.size() > 1) tensor.requires_grad(to_boolean(arguments.env(), arguments[1]));
  return boolean(arguments.env(), tensor.requires_grad());
}

// grad(handle, handle of the gradient that was given last or 0): that one if it still is, a new handle, or 0 for none.
napi_value grad(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor gradient = tensor_at(env, arguments[0]).grad();
  if (!gradient.defined()) return integer(env, 0);
  const uint32_t known = to_handle(env, arguments[1]);
  if (known && instance(env).slots.at(known).same_as(gradient)) return arguments[1];
  return integer(env, add(env, gradient));
}

napi_value set_grad(const Arguments& arguments) {
  const Tensor& tensor = tensor_at(arguments.env(), arguments[0]);
  tensor.set_grad(missing(arguments.env(), arguments[1]) ? Tensor() : tensor_at(arguments.env(), arguments[1]));
  return undefined(arguments.env());
}

napi_value detach(const Arguments& arguments) {
  return integer(arguments.env(), add(arguments.env(), tensor_at(arguments.env(), arguments[0]).detach()));
}
napi_value copy(const Arguments& arguments) {
  return integer(arguments.env(), add(arguments.env(), tensor_at(arguments.env(), arguments[0]).copy()));
}
napi_value update(const Arguments& arguments) {
  tensor_at(arguments.env(), arguments[0]).update(tensor_at(arguments.env(), arguments[1]));
  return undefined(arguments.env());
}
napi_value save(const Arguments& arguments) {
  tensor_at(arguments.env(), arguments[0]).save(to_text(arguments.env(), arguments[1], "path"));
  return undefined(arguments.env());
}
napi_value dispose(const Arguments& arguments) {
  instance(arguments.env()).slots.dispose(to_handle(arguments.env(), arguments[0]));
  return undefined(arguments.env());
}

// load(path): [[name, handle], ...]
napi_value load_file(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensors tensors = load(to_text(env, arguments[0], "path"));
  const napi_value out = array(env, tensors.size());
  uint32_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    const napi_value pair = array(env, 2);
    set(env, pair, 0u, text(env, name));
    set(env, pair, 1u, integer(env, add(env, tensor)));
    set(env, out, i++, pair);
  }
  return out;
}

// describeModel(JSON text): the same with every default.
napi_value describe_model(const Arguments& arguments) {
  const napi_env env = arguments.env();
  return text(env, nn::describe(Json::parse(to_text(env, arguments[0], "description"))).dump());
}

// readDescription(path): [JSON text, whether the file holds nothing else]
napi_value read_description(const Arguments& arguments) {
  const napi_env env = arguments.env();
  bool alone = false;
  const napi_value out = array(env, 2);
  set(env, out, 0u, text(env, nn::read_description(to_text(env, arguments[0], "path"), &alone).dump()));
  set(env, out, 1u, boolean(env, alone));
  return out;
}

// saveAll(path, names, handles, a model's description or nothing)
napi_value save_all(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Tensors tensors;
  for (uint32_t i = 0, n = length_of(env, arguments[1]); i < n; ++i)
    tensors.set(to_text(env, at(env, arguments[1], i), "name"), tensor_at(env, at(env, arguments[2], i)));
  const std::string path = to_text(env, arguments[0], "path");
  if (missing(env, arguments[3])) {
    sm::save(path, tensors);
  } else {
    const codec::Metadata metadata = {{std::string(nn::kDescriptionKey), to_text(env, arguments[3], "description")}};
    codec::atomic_write(path, codec::encode_safetensors(tensors, metadata));
  }
  return undefined(env);
}

// toDLTensor(handle, versioned, copy): the address of the struct.
napi_value to_dl_tensor(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Tensor& tensor = tensor_at(env, arguments[0]);
  const void* given = to_boolean(env, arguments[1])
                          ? static_cast<void*>(to_dlpack(tensor, to_boolean(env, arguments[2])))
                          : static_cast<void*>(to_dlpack_unversioned(tensor));
  return number(env, static_cast<double>(reinterpret_cast<uintptr_t>(given)));
}

// fromDLTensor(address, versioned)
napi_value from_dl_tensor(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto address = static_cast<uintptr_t>(to_integer(env, arguments[0], "fromDLTensor: the address"));
  if (to_boolean(env, arguments[1]))
    return integer(env, add(env, from_dlpack(reinterpret_cast<dlpack::ManagedVersioned*>(address))));
  return integer(env, add(env, from_dlpack(reinterpret_cast<dlpack::Managed*>(address))));
}

// encodeBinary(handle, provenance as a bigint, requires gradients, props as text): an ArrayBuffer.
napi_value encode_binary(const Arguments& arguments) {
  const napi_env env = arguments.env();
  codec::ShumaiBinary message{.tensor = tensor_at(env, arguments[0])};
  message.provenance = to_integer(env, arguments[1], "provenance");
  message.requires_grad = to_boolean(env, arguments[2]);
  message.props = to_text(env, arguments[3], "props");
  const std::vector<util::Slice> pieces = codec::encode_shumai_binary(message);
  size_t size = 0;
  for (const util::Slice& piece : pieces) size += piece.size;
  void* memory = nullptr;
  napi_value out;
  check(env, napi_create_arraybuffer(env, size, &memory, &out));
  auto* at = static_cast<std::byte*>(memory);
  for (const util::Slice& piece : pieces) at = std::copy_n(piece.data, piece.size, at);
  return out;
}

// decodeBinary(bytes): [handle, provenance as a bigint, requires gradients, props as text]
napi_value decode_binary(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const Bytes bytes = bytes_of(env, arguments[0]);
  const util::BufferRef body = util::Buffer::allocate(bytes.size);
  std::copy_n(static_cast<const std::byte*>(bytes.data), bytes.size, body->data());
  const codec::ShumaiBinary message = codec::decode_shumai_binary(body, 0, bytes.size);
  const napi_value out = array(env, 4);
  napi_value provenance;
  check(env, napi_create_bigint_int64(env, message.provenance, &provenance));
  set(env, out, 0u, integer(env, add(env, message.tensor)));
  set(env, out, 1u, provenance);
  set(env, out, 2u, boolean(env, message.requires_grad));
  set(env, out, 3u, text(env, message.props));
  return out;
}

napi_value seed(const Arguments& arguments) {
  manual_seed(static_cast<uint64_t>(to_integer(arguments.env(), arguments[0], "seed")));
  return undefined(arguments.env());
}

napi_value bytes_used(const Arguments& arguments) {
  return number(arguments.env(), static_cast<double>(util::Buffer::bytes_in_use()));
}

napi_value held(const Arguments& arguments) {
  const Slots& slots = instance(arguments.env()).slots;
  const napi_value out = object(arguments.env());
  set(arguments.env(), out, "tensors", number(arguments.env(), static_cast<double>(slots.size())));
  set(arguments.env(), out, "bytes", number(arguments.env(), static_cast<double>(slots.bytes())));
  return out;
}

napi_value open_group(const Arguments& arguments) {
  instance(arguments.env()).slots.open_group(arguments.env(), arguments[0]);
  return undefined(arguments.env());
}

napi_value adopt(const Arguments& arguments) {
  instance(arguments.env()).slots.adopt(arguments.env(), to_handle(arguments.env(), arguments[0]), arguments[1]);
  return undefined(arguments.env());
}

// sweep(), after a collection: the number of tensors that are left.
napi_value sweep(const Arguments& arguments) {
  return integer(arguments.env(),
                 static_cast<uint32_t>(instance(arguments.env()).slots.sweep_collected(arguments.env())));
}

}  // namespace

void define_tensors(napi_env env, napi_value exports) {
  define<table>(env, exports, "table");
  define<run_op>(env, exports, "run");
  define<make_number>(env, exports, "number");
  define<from_data>(env, exports, "fromData");
  define<read_data>(env, exports, "read");
  define<item>(env, exports, "item");
  define<item_bigint>(env, exports, "itemBigInt");
  define<shape>(env, exports, "shape");
  define<strides>(env, exports, "strides");
  define<ndim>(env, exports, "ndim");
  define<elements>(env, exports, "elements");
  define<dtype>(env, exports, "dtype");
  define<version>(env, exports, "version");
  define<describe>(env, exports, "describe");
  define<mark_leaf>(env, exports, "markLeaf");
  define<token_of>(env, exports, "tokenOf");
  define<requires_grad>(env, exports, "requiresGrad");
  define<grad>(env, exports, "grad");
  define<set_grad>(env, exports, "setGrad");
  define<detach>(env, exports, "detach");
  define<copy>(env, exports, "copy");
  define<update>(env, exports, "update");
  define<save>(env, exports, "save");
  define<save_all>(env, exports, "saveAll");
  define<load_file>(env, exports, "load");
  define<describe_model>(env, exports, "describeModel");
  define<read_description>(env, exports, "readDescription");
  define<dispose>(env, exports, "dispose");
  define<to_dl_tensor>(env, exports, "toDLTensor");
  define<from_dl_tensor>(env, exports, "fromDLTensor");
  define<encode_binary>(env, exports, "encodeBinary");
  define<decode_binary>(env, exports, "decodeBinary");
  define<seed>(env, exports, "manualSeed");
  define<bytes_used>(env, exports, "bytesUsed");
  define<held>(env, exports, "held");
  define<open_group>(env, exports, "openGroup");
  define<adopt>(env, exports, "adopt");
  define<sweep>(env, exports, "sweep");
}

}  // namespace sm::js
