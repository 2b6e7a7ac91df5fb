#include "kernels/attention.hpp"

#include <algorithm>
#include <limits>

#include "kernels/copy.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/rows_simd.hpp"
#include "kernels/parallel.hpp"
#include "tensor/impl.hpp"
#include "util/buffer.hpp"

namespace sm::kernels {
namespace {

constexpr int64_t kQueries = 64;  // whose scores are there at once

// An operand [..., rows, columns] as matrices that BLAS reads.
class Matrices {
 public:
  // Elements that are still to be computed are computed here, not in the threads.
  explicit Matrices(const Tensor& x) : tensor_(readable(x) ? x : contiguous(x)), data_(tensor_.impl()->as<float>()) {}

  Matrix at(int64_t item, int64_t row = 0) const {
    const int last = tensor_.ndim() - 1;
    int64_t offset = row * row_stride();
    for (int axis = last - 2; axis >= 0; --axis) {
      offset += item % tensor_.shape()[axis] * tensor_.strides()[axis];
      item /= tensor_.shape()[axis];
    }
    return {data_ + offset, row_stride(), 1};
  }

 private:
  static bool readable(const Tensor& x) {
    const int last = x.ndim() - 1;
    return x.strides()[last] == 1 && x.strides()[last - 1] >= x.shape()[last];
  }
  int64_t row_stride() const { return tensor_.strides()[tensor_.ndim() - 2]; }

  Tensor tensor_;
  const float* data_;
};

struct Sizes {
  int64_t items, queries, keys, width, value_width;

  Sizes(const Tensor& query, const Tensor& key, const Tensor& value)
      : items(query.elements() / (query.size(-1) * query.size(-2))),
        queries(query.size(-2)),
        keys(key.size(-2)),
        width(query.size(-1)),
        value_width(value.size(-1)) {}
  int64_t blocks() const { return (queries + kQueries - 1) / kQueries; }
  int64_t block_size(int64_t block) const { return std::min(kQueries, queries - block * kQueries); }
};

struct Floats {
  util::BufferRef buffer;
  explicit Floats(int64_t count) : buffer(util::Buffer::allocate(static_cast<size_t>(count) * sizeof(float))) {}
  float* data() { return reinterpret_cast<float*>(buffer->data()); }
};

class Weights {
 public:
  Weights(const Attention& how, const Sizes& sizes, const Tensor& query, const Tensor& key, const Tensor& mask)
      : how_(how),
        sizes_(sizes),
        query_(query),
        key_(key),
        mask_(mask),
        added_(mask.defined() ? mask.impl()->as<float>() : nullptr) {}

  // Writes the weights of a block of queries, a row of `keys` for each.
  void compute(int64_t item, int64_t block, float* out) const {
    const int64_t first = block * kQueries, rows = sizes_.block_size(block), keys = sizes_.keys;
    multiply_add(rows, keys, sizes_.width, static_cast<float>(how_.scale), query_.at(item, first),
                 key_.at(item).transposed(), 0, out, keys);
    const auto& kernels = simd::row_kernels<float>();
    if (!how_.causal && !mask_.defined()) return kernels.softmax(out, out, rows, keys);
    for (int64_t i = 0; i < rows; ++i, out += keys) {
      const int64_t seen = how_.causal ? std::min(keys, first + i + 1) : keys;
      std::fill(out + seen, out + keys, 0.0f);
      if (mask_.defined() && !add_mask(item, first + i, seen, out))
        std::fill_n(out, seen, 0.0f);
      else
        kernels.softmax(out, out, 1, seen);
    }
  }

 private:
  // Whether any key is left to see.
  bool add_mask(int64_t item, int64_t query, int64_t seen, float* row) const {
    const int last = mask_.ndim() - 1;
    int64_t offset = query * mask_.strides()[last - 1];
    for (int axis = last - 2; axis >= 0; --axis) {
      offset += item % mask_.shape()[axis] * mask_.strides()[axis];
      item /= mask_.shape()[axis];
    }
    const float* from = added_ + offset;
    const int64_t step = mask_.strides()[last];
    bool any = false;
    for (int64_t j = 0; j < seen; ++j) {
      row[j] += from[j * step];
      any |= row[j] != -std::numeric_limits<float>::infinity();
    }
    return any;
  }

  const Attention& how_;
  const Sizes& sizes_;
  Matrices query_, key_;
  Tensor mask_;
  const float* added_;
};

// The passes over one item of the batch, which add up the gradients of its keys and values.
class ItemGradients {
 public:
  ItemGradients(const Attention& how, const Sizes& sizes, const Tensor& gradient, const Tensor& query,
                const Tensor& key, const Tensor& value, const Tensor& mask)
      : scale_(static_cast<float>(how.scale)),
        sizes_(sizes),
        weights_(how, sizes, query, key, mask),
        gradient_(gradient),
        query_(query),
        key_(key),
        value_(value) {}

  void compute(int64_t item, float* query, float* key, float* value) const {
    const Sizes& s = sizes_;
    Floats weights(kQueries * s.keys), slopes(kQueries * s.keys);
    for (int64_t block = 0; block < s.blocks(); ++block) {
      const int64_t first = block * kQueries, rows = s.block_size(block);
      const float sum = block == 0 ? 0 : 1;
      const Matrix gradient = gradient_.at(item, first), p{weights.data(), s.keys, 1}, d{slopes.data(), s.keys, 1};
      weights_.compute(item, block, weights.data());
      multiply_add(s.keys, s.value_width, rows, 1, p.transposed(), gradient, sum, value, s.value_width);
      multiply_add(rows, s.keys, s.value_width, 1, gradient, value_.at(item).transposed(), 0, slopes.data(), s.keys);
      simd::row_kernels<float>().softmax_gradient(slopes.data(), weights.data(), slopes.data(), rows, s.keys);
      multiply_add(rows, s.width, s.keys, scale_, d, key_.at(item), 0, query + first * s.width, s.width);
      multiply_add(s.keys, s.width, rows, scale_, d.transposed(), query_.at(item, first), sum, key, s.width);
    }
  }

 private:
  float scale_;
  const Sizes& sizes_;
  Weights weights_;
  Matrices gradient_, query_, key_, value_;
};

// Items that are worth waking a thread for.
int64_t grain(int64_t multiply_adds) { return std::max<int64_t>(1, (int64_t{1} << 20) / multiply_adds); }

}  // namespace

bool attention_takes(const Tensor& query, const Tensor& key, const Tensor& value) {
  const int last = query.ndim() - 1;
  bool takes = query.ndim() == key.ndim() && query.ndim() == value.ndim();
  for (const Tensor* x : {&query, &key, &value}) takes = takes && x->dtype() == DType::f32 && x->elements() > 0;
  for (int axis = 0; takes && axis < last - 1; ++axis)
    takes = query.shape()[axis] == key.shape()[axis] && query.shape()[axis] == value.shape()[axis];
  return takes;
}

Tensor attention(const Attention& how, const Tensor& query, const Tensor& key, const Tensor& value,
                 const Tensor& mask) {
  const Sizes s(query, key, value);
  Shape shape = query.shape();
  shape[shape.size() - 1] = s.value_width;
  Tensor out = make_tensor(shape, DType::f32);
  const Weights weights(how, s, query, key, mask);
  const Matrices values(value);
  const int64_t work = std::min(kQueries, s.queries) * s.keys * (s.width + s.value_width);
  parallel_for(s.items * s.blocks(), grain(work), [&](int64_t begin, int64_t end) {
    Floats scores(kQueries * s.keys);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t item = i / s.blocks(), block = i % s.blocks();
      weights.compute(item, block, scores.data());
      multiply_add(s.block_size(block), s.value_width, s.keys, 1, {scores.data(), s.keys, 1}, values.at(item), 0,
                   out.impl()->as<float>() + (item * s.queries + block * kQueries) * s.value_width, s.value_width);
    }
  });
  return out;
}

AttentionGradients attention_gradients(const Attention& how, const Tensor& gradient, const Tensor& query,
                                       const Tensor& key, const Tensor& value, const Tensor& mask) {
  const Sizes s(query, key, value);
  AttentionGradients out{make_tensor(query.shape(), DType::f32), make_tensor(key.shape(), DType::f32),
                         make_tensor(value.shape(), DType::f32)};
  const ItemGradients items(how, s, gradient, query, key, value, mask);
  parallel_for(s.items, grain(s.queries * s.keys * (3 * s.width + 2 * s.value_width)), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item)
      items.compute(item, out.query.impl()->as<float>() + item * s.queries * s.width,
                    out.key.impl()->as<float>() + item * s.keys * s.width,
                    out.value.impl()->as<float>() + item * s.keys * s.value_width);
  });
  return out;
}

}  // namespace sm::kernels
