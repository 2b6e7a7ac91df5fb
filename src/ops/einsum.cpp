#include <algorithm>
#include <limits>

#include "ops/common.hpp"
#include "ops/equation.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// A tensor whose axes have different labels, in any order.
struct Term {
  Tensor tensor;
  Labels labels;
};

bool has(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

// Twice the same label becomes the diagonal; axes of size 1 that others make larger are dropped.
Term simplified(Tensor x, Labels labels, const std::vector<int64_t>& sizes) {
  for (size_t second = 1; second < labels.size(); ++second) {
    const auto first = std::find(labels.begin(), labels.begin() + static_cast<long>(second), labels[second]);
    if (first == labels.begin() + static_cast<long>(second)) continue;
    const int label = labels[second];
    x = diagonal(x, 0, first - labels.begin(), static_cast<int64_t>(second));
    labels.erase(labels.begin() + static_cast<long>(second));
    labels.erase(first);
    labels.push_back(label);
    second = 0;
  }
  Dims dropped;
  Labels rest;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (x.size(static_cast<int>(i)) == 1 && sizes[static_cast<size_t>(labels[i])] != 1)
      dropped.push_back(static_cast<int64_t>(i));
    else
      rest.push_back(labels[i]);
  }
  return {dropped.empty() ? x : squeeze(x, dropped), rest};
}

// Summed over the labels that `needed` lacks.
Term summed(const Term& term, const Labels& needed) {
  Dims axes;
  Labels rest;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (has(needed, term.labels[i]))
      rest.push_back(term.labels[i]);
    else
      axes.push_back(static_cast<int64_t>(i));
  }
  return axes.empty() ? term : Term{converted(sum(term.tensor, axes), term.tensor.dtype()), rest};
}

// The axes of `term` in the order of `labels`, which it all has.
Tensor arranged(const Term& term, const Labels& labels) {
  Dims axes;
  bool moved = false;
  for (size_t i = 0; i < labels.size(); ++i) {
    axes.push_back(std::find(term.labels.begin(), term.labels.end(), labels[i]) - term.labels.begin());
    moved = moved || axes.back() != static_cast<int64_t>(i);
  }
  return moved ? transpose(term.tensor, axes) : term.tensor;
}

struct Contraction {
  Labels batch, left, right, inner;  // in both and kept; in one; in both and summed over
  const std::vector<int64_t>& sizes;

  Contraction(const Term& a, const Term& b, const Labels& needed, const std::vector<int64_t>& all) : sizes(all) {
    for (int label : a.labels) (!has(b.labels, label) ? left : has(needed, label) ? batch : inner).push_back(label);
    for (int label : b.labels)
      if (!has(a.labels, label)) right.push_back(label);
  }
  int64_t count(const Labels& labels) const {
    int64_t product = 1;
    for (int label : labels) product *= sizes[static_cast<size_t>(label)];
    return product;
  }
  Labels result() const { return joined({&batch, &left, &right}); }
  static Labels joined(std::initializer_list<const Labels*> lists) {
    Labels out;
    for (const Labels* list : lists) out.insert(out.end(), list->begin(), list->end());
    return out;
  }
  Shape shape(const Labels& labels) const {
    Shape out;
    for (int label : labels) out.push_back(sizes[static_cast<size_t>(label)]);
    return out;
  }
};

// One batched matrix product, or a product element by element where nothing is summed.
Term contracted(const Term& first, const Term& second, const Labels& needed, const std::vector<int64_t>& sizes) {
  Labels with_first = Contraction::joined({&needed, &first.labels}), with_second = needed;
  with_second.insert(with_second.end(), second.labels.begin(), second.labels.end());
  // What only one of them has, and nobody needs, is summed before it makes the product larger.
  const Term a = summed(first, with_second), b = summed(second, with_first);
  const Contraction c(a, b, needed, sizes);
  const int64_t batch = c.count(c.batch), rows = c.count(c.left), columns = c.count(c.right), inner = c.count(c.inner);
  const Tensor x = arranged(a, Contraction::joined({&c.batch, &c.left, &c.inner}));
  const Shape shape = c.shape(c.result());
  if (c.inner.empty()) {
    const Tensor y = arranged(b, Contraction::joined({&c.batch, &c.right}));
    return {reshape(reshape(x, {batch, rows, 1}) * reshape(y, {batch, 1, columns}), shape), c.result()};
  }
  const Tensor y = arranged(b, Contraction::joined({&c.batch, &c.inner, &c.right}));
  if (c.batch.empty())
    return {reshape(matmul(reshape(x, {rows, inner}), reshape(y, {inner, columns})), shape), c.result()};
  return {reshape(matmul(reshape(x, {batch, rows, inner}), reshape(y, {batch, inner, columns})), shape), c.result()};
}

// The labels of the result and of all terms but two.
Labels needed_beside(const std::vector<Term>& terms, size_t a, size_t b, const Labels& result) {
  Labels needed = result;
  for (size_t i = 0; i < terms.size(); ++i)
    if (i != a && i != b) needed.insert(needed.end(), terms[i].labels.begin(), terms[i].labels.end());
  return needed;
}

// The pair whose product adds the fewest elements, the first of equals.
std::pair<size_t, size_t> cheapest(const std::vector<Term>& terms, const Equation& equation) {
  std::pair<size_t, size_t> best{0, 1};
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < terms.size() && terms.size() > 2; ++i)
    for (size_t j = i + 1; j < terms.size(); ++j) {
      const Labels needed = needed_beside(terms, i, j, equation.result);
      double size = 1;
      const Labels all = Contraction::joined({&terms[i].labels, &terms[j].labels});
      for (size_t k = 0; k < all.size(); ++k)
        if (has(needed, all[k]) &&
            std::find(all.begin(), all.begin() + static_cast<long>(k), all[k]) == all.begin() + static_cast<long>(k))
          size *= static_cast<double>(equation.sizes[static_cast<size_t>(all[k])]);
      size -= static_cast<double>(terms[i].tensor.elements()) + static_cast<double>(terms[j].tensor.elements());
      if (size < least) least = size, best = {i, j};
    }
  return best;
}

std::vector<Shape> shapes_of(Inputs inputs) {
  std::vector<Shape> shapes;
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  return shapes;
}

Tensor einsum_forward(const Call& call) {
  if (call.inputs.empty()) throw Error(ErrorCode::kInvalidArgument, "einsum: expects at least one tensor");
  const Equation equation(call.text(0), shapes_of(call.inputs));
  const DType dtype = result_type(call.inputs);
  if (dtype == DType::boolean) reject_dtype(call.op, "numbers", dtype);
  std::vector<Term> terms;
  terms.reserve(call.inputs.size());
  for (int i = 0; i < call.count(); ++i)
    terms.push_back(
        simplified(converted(call.in(i), wide(dtype)), equation.operands[static_cast<size_t>(i)], equation.sizes));
  while (terms.size() > 1) {
    const auto [i, j] = cheapest(terms, equation);
    const Labels needed = needed_beside(terms, i, j, equation.result);
    terms[i] = contracted(terms[i], terms[j], needed, equation.sizes);
    terms.erase(terms.begin() + static_cast<long>(j));
  }
  return converted(arranged(summed(terms[0], equation.result), equation.result), dtype);
}

// Every product of every combination of indices, one by one.
RefArray einsum_reference(const RefCall& c) {
  std::vector<Shape> shapes;
  for (const RefArray& input : c.inputs) shapes.push_back(input.shape);
  const Equation equation(std::get<std::string>(c.attrs[0]), shapes);
  std::vector<int64_t> index(equation.sizes.size(), 0);
  int64_t combinations = 1;
  for (int64_t size : equation.sizes) combinations *= size;
  const auto position = [&](const Labels& labels, const Shape& shape) {
    int64_t at = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      const int64_t size = shape[static_cast<int>(i)];
      at = at * size + (size == 1 ? 0 : index[static_cast<size_t>(labels[i])]);
    }
    return static_cast<size_t>(at);
  };
  RefArray out;
  for (int label : equation.result) out.shape.push_back(equation.sizes[static_cast<size_t>(label)]);
  out.data.assign(static_cast<size_t>(elements_of(out.shape)), 0);
  for (int64_t flat = 0; flat < combinations; ++flat) {
    int64_t rest = flat;
    for (size_t label = 0; label < index.size(); ++label) {
      index[label] = rest % equation.sizes[label];
      rest /= equation.sizes[label];
    }
    double product = 1;
    for (size_t i = 0; i < c.inputs.size(); ++i)
      product *= c.inputs[i].data[position(equation.operands[i], c.inputs[i].shape)];
    out.data[position(equation.result, out.shape)] += product;
  }
  return out;
}

Sample einsum_case(const std::string& equation, std::vector<Shape> shapes) { return {std::move(shapes), {equation}}; }

}  // namespace

std::span<const Op> einsum_ops() {
  static const std::vector<Op> rows = {
      {.name = "einsum",
       .js = "einsum",
       .args = {string_arg("equation"), tensors_arg("tensors")},
       .doc = "Einstein's sum as NumPy writes it, \"ij,jk->ik\": products over the letters, summed over those that the "
              "result leaves out. A letter twice in one operand is its diagonal, `...` stands for any axes, sizes of 1 "
              "broadcast; without an arrow the result has the letters that occur once, in alphabetical order. Done by "
              "matrix products of two operands at a time, those that leave the least first.",
       .forward = einsum_forward,
       .gradient = Gradient::composed(),
       .reference = einsum_reference,
       .samples = {{{-2, 2}},
                   {einsum_case("ij,jk->ik", {{2, 3}, {3, 4}}), einsum_case("ij,jk", {{2, 3}, {3, 2}}),
                    einsum_case("ii", {{3, 3}}), einsum_case("ii->i", {{3, 3}}), einsum_case("ba", {{2, 3}}),
                    einsum_case("ij->", {{2, 3}}), einsum_case("i,j->ij", {{2}, {3}}), einsum_case(",i", {{}, {3}}),
                    einsum_case("bij, bjk -> bik", {{2, 2, 3}, {2, 3, 2}}), einsum_case("iji,j->ij", {{2, 3, 2}, {3}}),
                    einsum_case("...ij,...jk->...ik", {{2, 1, 2, 3}, {3, 3, 2}}), einsum_case("i...->...", {{2, 3}}),
                    einsum_case("ij,ij->j", {{1, 3}, {2, 3}}), einsum_case("ij,kj->", {{2, 3}, {2, 3}}),
                    einsum_case("ab,bc,cd,d->a", {{2, 3}, {3, 2}, {2, 3}, {3}}),
                    einsum_case("ij,jk->ik", {{2, 0}, {0, 3}}), einsum_case("bi,bj->bij", {{0, 2}, {0, 3}})}}},
  };
  return rows;
}

}  // namespace sm::ops
