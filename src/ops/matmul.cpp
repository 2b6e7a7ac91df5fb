#include "kernels/matmul.hpp"

#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

Tensor matmul_forward(const Call& call) {
  const DType dtype = result_type(call.inputs);
  const InDType a(call.in(0), dtype), b(call.in(1), dtype);
  return kernels::matmul(a, b);
}

// The output's gradient with the axes that 1-d operands left out.
Tensor matrix_gradient(const GradientCall& c) {
  Tensor gradient = c.gradient;
  if (c.shape(1).size() == 1) gradient = unsqueeze(gradient, -1);
  if (c.shape(0).size() == 1) gradient = unsqueeze(gradient, -2);
  return gradient;
}

Tensor left_gradient(const GradientCall& c) {
  const Tensor b = c.shape(1).size() == 1 ? unsqueeze(c.in(1), -1) : c.in(1);
  if (c.is_transposed(0)) return swap_last(matmul(b, swap_last(matrix_gradient(c))));
  const Tensor out = matmul(matrix_gradient(c), swap_last(b));
  const Shape& shape = c.shape(0);
  return shape.size() == 1 ? reshape(sum_to(out, {1, shape[0]}), shape) : out;
}

Tensor right_gradient(const GradientCall& c) {
  const Shape& shape = c.shape(1);
  Tensor a = c.shape(0).size() == 1 ? unsqueeze(c.in(0), 0) : c.in(0);
  Tensor gradient = matrix_gradient(c);
  if (shape.size() <= 2 && a.ndim() > 2) {
    // One product over all rows also sums over the batch.
    Shape rows = a.shape();
    rows.erase(rows.size() - 1);
    a = reshape(a, {elements_of(rows), a.size(-1)});
    gradient = reshape(gradient, {elements_of(rows), gradient.size(-1)});
  }
  if (shape.size() == 2 && c.is_transposed(1)) return swap_last(matmul(swap_last(gradient), a));
  const Tensor out = matmul(swap_last(a), gradient);
  return shape.size() == 1 ? reshape(sum_to(out, {shape[0], 1}), shape) : out;
}

// The matrices of one operand: where matrix `batch` of the broadcast batch begins, and its sizes.
struct RefMatrices {
  const RefArray& array;
  Shape leading;
  int64_t rows, columns;

  RefMatrices(const RefArray& operand, bool left) : array(operand) {
    const Shape& shape = operand.shape;
    const int n = shape.size();
    for (int i = 0; i < n - 2; ++i) leading.push_back(shape[i]);
    rows = n > 1 ? shape[n - 2] : left ? 1 : shape[0];
    columns = n > 1 ? shape[n - 1] : left ? shape[0] : 1;
  }
  double at(const Shape& batch, int64_t flat, int64_t row, int64_t column) const {
    int64_t index = row * columns + column, step = rows * columns;
    for (int i = batch.size() - 1, mine = leading.size() - 1; mine >= 0; --i, --mine) {
      if (leading[mine] != 1) index += flat % batch[i] * step;
      step *= leading[mine];
      flat /= batch[i];
    }
    return array.data[static_cast<size_t>(index)];
  }
};

RefArray matmul_reference(const RefCall& c) {
  const RefMatrices a(c.in(0), true), b(c.in(1), false);
  const Shape batch = broadcast(a.leading, b.leading, "reference");
  RefArray out{batch, {}};
  if (c.in(0).shape.size() > 1) out.shape.push_back(a.rows);
  if (c.in(1).shape.size() > 1) out.shape.push_back(b.columns);
  for (int64_t item = 0; item < elements_of(batch); ++item)
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t j = 0; j < b.columns; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < a.columns; ++k) sum += a.at(batch, item, i, k) * b.at(batch, item, k, j);
        out.data.push_back(sum);
      }
  return out;
}

}  // namespace

std::span<const Op> matmul_ops() {
  static const std::vector<Op> rows = {
      {.name = "matmul",
       .js = "matmul mm",
       .args = {tensor_arg("tensor"), tensor_arg("other")},
       .doc =
           "The matrix product, as NumPy's matmul: the last two axes are multiplied, the ones before them broadcast; "
           "a 1-d tensor is a row on the left and a column on the right, and that axis is left out of the result.",
       .forward = matmul_forward,
       .gradient = {{kIn1, left_gradient}, {kIn0, right_gradient}},
       .reference = matmul_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}, Shape{3, 4}}, {}},
                    {{Shape{1, 1}, Shape{1, 1}}, {}},
                    {{Shape{3}, Shape{3}}, {}},
                    {{Shape{3}, Shape{3, 2}}, {}},
                    {{Shape{2, 3}, Shape{3}}, {}},
                    {{Shape{2, 2, 3}, Shape{3, 4}}, {}},
                    {{Shape{2, 2, 3}, Shape{3}}, {}},
                    {{Shape{3}, Shape{2, 3, 2}}, {}},
                    {{Shape{2, 3}, Shape{2, 3, 2}}, {}},
                    {{Shape{2, 1, 2, 3}, Shape{3, 3, 2}}, {}},
                    {{Shape{1, 2, 3}, Shape{2, 3, 2}}, {}},
                    {{Shape{9, 11}, Shape{11, 10}}, {}},
                    {{Shape{0, 3}, Shape{3, 4}}, {}},
                    {{Shape{2, 0}, Shape{0, 4}}, {}},
                    {{Shape{0, 2, 3}, Shape{3, 4}}, {}}}}},
  };
  return rows;
}

}  // namespace sm::ops
