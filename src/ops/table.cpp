#include <string>
#include <unordered_map>

#include "ops/op.hpp"
#include "shumai/error.hpp"

namespace sm::ops {

std::span<const Op* const> table() {
  static const std::vector<const Op*> rows = [] {
    std::vector<const Op*> all;
    for (auto family :
         {make_ops,   random_ops, unary_ops,  activation_ops, binary_ops, compare_ops,  reduce_ops, softmax_ops,
          shape_ops,  matmul_ops, linalg_ops, einsum_ops,     conv_ops,   conv1d_ops,   index_ops,  window_ops,
          gather_ops, sort_ops,   scan_ops,   rearrange_ops,  nn_ops,     attention_ops})
      for (const Op& op : family()) all.push_back(&op);
    return all;
  }();
  return rows;
}

const Op& find(std::string_view name) {
  static const std::unordered_map<std::string_view, const Op*> index = [] {
    std::unordered_map<std::string_view, const Op*> map;
    for (const Op* op : table()) map.emplace(op->name, op);
    return map;
  }();
  const auto found = index.find(name);
  if (found == index.end()) throw Error(ErrorCode::kNotFound, "ops: no op named \"" + std::string(name) + "\"");
  return *found->second;
}

RefArray Reference::operator()(const RefCall& call) const {
  if (general_) return general_(call);
  const RefArray& a = call.in(0);
  if (unary_) {
    RefArray out = a;
    for (double& value : out.data) value = unary_(value);
    return out;
  }
  const RefArray& b = call.in(1);
  RefArray out{broadcast(a.shape, b.shape, "reference"), {}};
  out.data.resize(static_cast<size_t>(elements_of(out.shape)));
  // The position of output element `flat` in an operand that broadcasts to the output.
  const auto position = [&](const RefArray& operand, int64_t flat) {
    int64_t index = 0, step = 1;
    for (int axis = out.shape.size() - 1, mine = operand.shape.size() - 1; mine >= 0; --axis, --mine) {
      if (operand.shape[mine] != 1) index += flat % out.shape[axis] * step;
      step *= operand.shape[mine];
      flat /= out.shape[axis];
    }
    return static_cast<size_t>(index);
  };
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = binary_(a.data[position(a, static_cast<int64_t>(i))], b.data[position(b, static_cast<int64_t>(i))]);
  return out;
}

}  // namespace sm::ops
