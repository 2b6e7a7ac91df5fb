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

// Of a row of matrix number `item` of [..., rows, columns].
int64_t offset_of(const Tensor& x, int64_t item, int64_t row) {
  const int last = x.ndim() - 1;
  int64_t offset = row * x.strides()[last - 1];
  for (int axis = last - 2; axis >= 0; --axis) {
    offset += item % x.shape()[axis] * x.strides()[axis];
    item /= x.shape()[axis];
  }
  return offset;
}

// An operand [..., rows, columns] as matrices that BLAS reads.
class Matrices {
 public:
  // Elements that are still to be computed are computed here, not in the threads.
  explicit Matrices(const Tensor& x) : tensor_(readable(x) ? x : contiguous(x)), data_(tensor_.impl()->as<float>()) {}

  Matrix at(int64_t item, int64_t row = 0) const { return {data_ + offset_of(tensor_, item, row), row_stride(), 1}; }

 private:
  static bool readable(const Tensor& x) {
    const int last = x.ndim() - 1;
    return x.strides()[last] == 1 && x.strides()[last - 1] >= x.shape()[last];
  }
  int64_t row_stride() const { return tensor_.strides()[tensor_.ndim() - 2]; }

  Tensor tensor_;
  const float* data_;
};

// A result whose rows lie as those of `like` do: of heads that are columns of a wider matrix it is such a matrix, too.
class Result {
 public:
  Result(const Tensor& like, int64_t width) {
    Shape shape = like.shape();
    const int last = like.ndim() - 1;
    shape[last] = width;
    const bool turned = last >= 2 && like.strides()[last - 2] < like.strides()[last - 1] && shape[last - 2] > 1;
    if (turned) std::swap(shape[last - 2], shape[last - 1]);
    tensor_ = make_tensor(shape, DType::f32);
    if (!turned) return;
    Dims strides = tensor_.strides();
    std::swap(shape[last - 2], shape[last - 1]);
    std::swap(strides[last - 2], strides[last - 1]);
    tensor_ = make_view(tensor_, shape, strides, tensor_.impl()->offset);
  }

  float* at(int64_t item, int64_t row = 0) { return tensor_.impl()->as<float>() + offset_of(tensor_, item, row); }
  int64_t row_stride() const { return tensor_.strides()[tensor_.ndim() - 2]; }
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
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
    const float* from = added_ + offset_of(mask_, item, query);
    const int64_t step = mask_.strides()[mask_.ndim() - 1];
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

  void compute(int64_t item, Result& query, Result& key, Result& value) const {
    const Sizes& s = sizes_;
    Floats weights(kQueries * s.keys), slopes(kQueries * s.keys);
    for (int64_t block = 0; block < s.blocks(); ++block) {
      const int64_t first = block * kQueries, rows = s.block_size(block);
      const float sum = block == 0 ? 0 : 1;
      const Matrix gradient = gradient_.at(item, first), p{weights.data(), s.keys, 1}, d{slopes.data(), s.keys, 1};
      weights_.compute(item, block, weights.data());
      multiply_add(s.keys, s.value_width, rows, 1, p.transposed(), gradient, sum, value.at(item), value.row_stride());
      multiply_add(rows, s.keys, s.value_width, 1, gradient, value_.at(item).transposed(), 0, slopes.data(), s.keys);
      simd::row_kernels<float>().softmax_gradient(slopes.data(), weights.data(), slopes.data(), rows, s.keys);
      multiply_add(rows, s.width, s.keys, scale_, d, key_.at(item), 0, query.at(item, first), query.row_stride());
      multiply_add(s.keys, s.width, rows, scale_, d.transposed(), query_.at(item, first), sum, key.at(item),
                   key.row_stride());
    }
  }

 private:
  float scale_;
  const Sizes& sizes_;
  Weights weights_;
  Matrices gradient_, query_, key_, value_;
};

// Items that are worth waking a thread for.
int64_t grain(int64_t multiply_adds) { return (int64_t{1} << 20) / multiply_adds; }

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
  Result out(query, s.value_width);
  const Weights weights(how, s, query, key, mask);
  const Matrices values(value);
  const int64_t work = std::min(kQueries, s.queries) * s.keys * (s.width + s.value_width);
  parallel_for(s.items * s.blocks(), grain(work), [&](int64_t begin, int64_t end) {
    Floats scores(kQueries * s.keys);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t item = i / s.blocks(), block = i % s.blocks();
      weights.compute(item, block, scores.data());
      multiply_add(s.block_size(block), s.value_width, s.keys, 1, {scores.data(), s.keys, 1}, values.at(item), 0,
                   out.at(item, block * kQueries), out.row_stride());
    }
  });
  return out.tensor();
}

AttentionGradients attention_gradients(const Attention& how, const Tensor& gradient, const Tensor& query,
                                       const Tensor& key, const Tensor& value, const Tensor& mask) {
  const Sizes s(query, key, value);
  Result query_gradient(query, s.width), key_gradient(key, s.width), value_gradient(value, s.value_width);
  const ItemGradients items(how, s, gradient, query, key, value, mask);
  parallel_for(s.items, grain(s.queries * s.keys * (3 * s.width + 2 * s.value_width)), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) items.compute(item, query_gradient, key_gradient, value_gradient);
  });
  return {query_gradient.tensor(), key_gradient.tensor(), value_gradient.tensor()};
}

}  // namespace sm::kernels
