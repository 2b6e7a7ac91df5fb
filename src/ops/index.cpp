#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

Tensor one_hot_forward(const Call& call) {
  const Tensor& labels = call.in(0);
  const int64_t classes = call.integer(0);
  if (!is_integral(labels.dtype())) reject_dtype(call.op, "integer labels", labels.dtype());
  if (classes < 1)
    throw Error(ErrorCode::kInvalidArgument, "one_hot: classes must be 1 or more, got " + std::to_string(classes));
  const Tensor indices = kernels::contiguous(as_dtype(labels, DType::i64));
  Shape shape = labels.shape();
  shape.push_back(classes);
  Tensor out = make_tensor(shape, DType::f32);
  kernels::fill(out, 0);
  const int64_t* label = indices.impl()->as<int64_t>();
  float* row = out.impl()->as<float>();
  for (int64_t i = 0; i < indices.elements(); ++i, row += classes) {
    if (label[i] < 0 || label[i] >= classes)
      throw Error(ErrorCode::kOutOfRange,
                  "one_hot: label " + std::to_string(label[i]) + " is outside 0 to " + std::to_string(classes - 1));
    row[label[i]] = 1;
  }
  return out;
}

RefArray one_hot_reference(const RefCall& c) {
  RefArray out{c.in(0).shape, {}};
  out.shape.push_back(c.integer(0));
  for (double label : c.in(0).data)
    for (int64_t k = 0; k < c.integer(0); ++k) out.data.push_back(label == static_cast<double>(k));
  return out;
}

}  // namespace

std::span<const Op> index_ops() {
  static const std::vector<Op> rows = {
      {.name = "one_hot",
       .js = "oneHot",
       .args = {tensor_arg("labels"), int_arg("classes")},
       .doc = "Integer labels of any shape as rows of `classes` zeros with a one at the label; float32 along a new "
              "last axis.",
       .forward = one_hot_forward,
       .gradient = Gradient::none("labels have no gradient"),
       .reference = one_hot_reference,
       .samples = {{{0, 5, true}},
                   {{{Shape{4}}, {int64_t{5}}},
                    {{Shape{2, 2}}, {int64_t{6}}},
                    {{Shape{}}, {int64_t{5}}},
                    {{Shape{0}}, {int64_t{5}}}}},
       .dtypes = DTypes::kIntegral},
  };
  return rows;
}

}  // namespace sm::ops
