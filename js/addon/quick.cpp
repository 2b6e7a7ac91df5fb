#include <cmath>
#include <new>
#include <vector>

#include "instance.hpp"
#include "ops/op.hpp"
#include "shumai/error.hpp"

// The operations that JavaScript calls most, without arguments: what they take
// and give lies in memory that both sides see, so that a call crosses Node-API
// twice, and not once for each argument.
namespace sm::js {
namespace {

using ops::Attr;
using ops::Op;

// The op that JavaScript named.
const Op& op_of(const SharedWords& words) {
  const auto rows = ops::table();
  if (words.op >= rows.size()) throw Error(ErrorCode::kNotFound, "no such op");
  return *rows[words.op];
}

// What an op's arguments beside its tensors are when they are left out.
std::span<const Attr> fallbacks(uint32_t op) {
  static const std::vector<std::vector<Attr>> all = [] {
    std::vector<std::vector<Attr>> found;
    for (const Op* row : ops::table()) {
      auto& attrs = found.emplace_back();
      for (const ops::Arg& arg : row->args)
        if (arg.kind != ops::ArgKind::kTensor) attrs.push_back(arg.fallback);
    }
    return found;
  }();
  return all[op];
}

napi_value finish(napi_env env, Instance& mine, Tensor result) {
  mine.words->result = mine.slots.add(env, std::move(result));
  return nullptr;
}

// An op of one tensor, whatever else it takes being left out.
napi_value run_unary(napi_env env, Instance& mine) {
  const Op& op = op_of(*mine.words);
  const Tensor* const inputs[] = {&mine.slots.at(mine.words->a)};
  return finish(env, mine, ops::run(op, inputs, fallbacks(mine.words->op)));
}

napi_value run_binary(napi_env env, Instance& mine) {
  const Op& op = op_of(*mine.words);
  const Tensor* const inputs[] = {&mine.slots.at(mine.words->a), &mine.slots.at(mine.words->b)};
  return finish(env, mine, ops::run(op, inputs, {}));
}

// A binary op with a plain number, first when b is 1; it counts as an integer beside integers when it is whole.
napi_value run_with_number(napi_env env, Instance& mine) {
  const Op& op = op_of(*mine.words);
  const Tensor& tensor = mine.slots.at(mine.words->a);
  const double value = mine.words->number;
  const bool whole = !is_floating(tensor.dtype()) && std::trunc(value) == value && std::abs(value) <= 0x1p53;
  const Tensor constant = whole ? Tensor(static_cast<int64_t>(value)) : Tensor(value);
  const bool first = mine.words->b == 1;
  const Tensor* const inputs[] = {first ? &constant : &tensor, first ? &tensor : &constant};
  return finish(env, mine, ops::run(op, inputs, {}));
}

// words(): the buffer that both sides see.
napi_value words(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Instance& mine = instance(env);
  void* memory = nullptr;
  napi_value buffer;
  check(env, napi_create_arraybuffer(env, sizeof(SharedWords), &memory, &buffer));
  mine.words = new (memory) SharedWords;
  check(env, napi_create_reference(env, buffer, 1, &mine.words_buffer));
  mine.slots.share(mine.words);
  return buffer;
}

}  // namespace

void define_quick(napi_env env, napi_value exports) {
  define<words>(env, exports, "words");
  define_bare<run_unary>(env, exports, "runUnary");
  define_bare<run_binary>(env, exports, "runBinary");
  define_bare<run_with_number>(env, exports, "runNumber");
}

}  // namespace sm::js
