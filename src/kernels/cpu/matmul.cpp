#include "kernels/matmul.hpp"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/copy.hpp"
#include "kernels/cpu/gemm.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"
#include "util/buffer.hpp"

namespace sm::kernels {
namespace {

// A matrix product per index of `batch`: [m, k] times [k, n]. Strides count elements.
struct Plan {
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column;
  Shape batch;
  Dims a_batch, b_batch;  // strides along `batch`
  Shape result;
};

template <class T>
struct View {
  const T* data;
  int64_t row, column;  // strides
  View at(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
};

Shape leading_axes(const Tensor& x) {
  Shape out;
  for (int i = 0; i < x.ndim() - 2; ++i) out.push_back(x.shape()[i]);
  return out;
}

Dims leading_strides(const Tensor& x, const Shape& batch) {
  Dims out(batch.size(), 0);
  const int count = std::max(x.ndim() - 2, 0);
  for (int i = 0; i < count; ++i)
    if (x.shape()[i] != 1) out[batch.size() - count + i] = x.strides()[i];
  return out;
}

[[noreturn]] void reject(const char* what, const Tensor& a, const Tensor& b) {
  throw Error(ErrorCode::kShapeMismatch,
              std::string("matmul: ") + what + ", got " + a.shape().to_string() + " and " + b.shape().to_string());
}

bool broadcasts(const Shape& a, const Shape& b) {
  for (int i = a.size() - 1, j = b.size() - 1; i >= 0 && j >= 0; --i, --j)
    if (a[i] != b[j] && a[i] != 1 && b[j] != 1) return false;
  return true;
}

// Whether BLAS can read a matrix in place: one stride is 1, and the other covers a line.
bool readable(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  const bool plain = (column == 1 || columns == 1) && (row >= columns || rows == 1);
  const bool transposed = (row == 1 || rows == 1) && (column >= rows || columns == 1);
  return plain || transposed;
}

// With one matrix on the right, the rows of all matrices on the left can be one long matrix.
void join_batch(Plan& plan) {
  if (plan.batch.empty() || std::any_of(plan.b_batch.begin(), plan.b_batch.end(), [](int64_t s) { return s != 0; }))
    return;
  int64_t m = plan.m, row = plan.a_row;
  for (int i = plan.batch.size() - 1; i >= 0; --i) {
    if (m == 1)
      row = plan.a_batch[i];
    else if (plan.batch[i] != 1 && plan.a_batch[i] != row * m)
      return;
    m *= plan.batch[i];
  }
  if (!readable(m, plan.k, row, plan.a_column)) return;
  plan.m = m;
  plan.a_row = row;
  plan.batch = plan.a_batch = plan.b_batch = {};
}

Plan make_plan(const Tensor& a, const Tensor& b) {
  const int na = a.ndim(), nb = b.ndim();
  if (na == 0 || nb == 0) reject("needs tensors of 1 or more dimensions", a, b);
  Plan plan;
  plan.m = na > 1 ? a.shape()[na - 2] : 1;
  plan.k = a.shape()[na - 1];
  plan.n = nb > 1 ? b.shape()[nb - 1] : 1;
  plan.a_row = na > 1 ? a.strides()[na - 2] : 0;
  plan.a_column = a.strides()[na - 1];
  plan.b_row = b.strides()[nb > 1 ? nb - 2 : 0];
  plan.b_column = nb > 1 ? b.strides()[nb - 1] : 0;
  if (plan.k != b.shape()[nb > 1 ? nb - 2 : 0]) reject("inner sizes differ", a, b);
  const Shape a_leading = leading_axes(a), b_leading = leading_axes(b);
  if (!broadcasts(a_leading, b_leading)) reject("leading axes don't broadcast", a, b);
  plan.batch = broadcast(a_leading, b_leading, "matmul");
  plan.a_batch = leading_strides(a, plan.batch);
  plan.b_batch = leading_strides(b, plan.batch);
  plan.result = plan.batch;
  if (na > 1) plan.result.push_back(plan.m);
  if (nb > 1) plan.result.push_back(plan.n);
  join_batch(plan);
  return plan;
}

// Integers are multiplied as unsigned ones, which wrap around without undefined behaviour.
template <class T, bool = std::is_integral_v<T>>
struct Arithmetic {
  using type = T;
};
template <class T>
struct Arithmetic<T, true> {
  using type = std::make_unsigned_t<T>;
};

// 8 and 16 bits would be promoted to int, whose product can overflow.
template <class U>
using Wide = std::conditional_t<std::is_integral_v<U> && sizeof(U) < 4, uint32_t, U>;

template <class U>
void tiny_product(int64_t m, int64_t n, int64_t k, View<U> a, View<U> b, U* c, int64_t c_row) {
  for (int64_t i = 0; i < m; ++i) {
    U* row = c + i * c_row;
    for (int64_t j = 0; j < n; ++j) {
      const U* x = a.data + i * a.row;
      const U* y = b.data + j * b.column;
      U sum{};
      for (int64_t p = 0; p < k; ++p, x += a.column, y += b.row) sum = static_cast<U>(sum + Wide<U>(*x) * Wide<U>(*y));
      row[j] = sum;
    }
  }
}

// Four rows of c by eight columns, where rows of b lie together. A missing row repeats the last.
void small_tile(int64_t rows, int64_t k, View<float> a, View<float> b, float* c, int64_t c_row) {
  typedef float Eight __attribute__((vector_size(32)));
  constexpr int kRows = 4;
  const float* from[kRows];
  for (int r = 0; r < kRows; ++r) from[r] = a.data + std::min<int64_t>(r, rows - 1) * a.row;
  Eight s0{}, s1{}, s2{}, s3{};
  for (int64_t p = 0; p < k; ++p) {
    Eight line;
    std::memcpy(&line, b.data + p * b.row, sizeof line);
    const int64_t at = p * a.column;
    s0 += line * from[0][at];
    s1 += line * from[1][at];
    s2 += line * from[2][at];
    s3 += line * from[3][at];
  }
  const Eight sums[kRows] = {s0, s1, s2, s3};
  for (int64_t r = 0; r < rows; ++r) std::memcpy(c + r * c_row, &sums[r], sizeof(Eight));
}

// The same where rows of b lie together.
void small_product(int64_t m, int64_t n, int64_t k, View<float> a, View<float> b, float* c, int64_t c_row) {
  const int64_t whole = n / 8 * 8;
  for (int64_t i = 0; i < m; i += 4)
    for (int64_t j = 0; j < whole; j += 8)
      small_tile(std::min<int64_t>(4, m - i), k, a.at(i, 0), b.at(0, j), c + i * c_row + j, c_row);
  if (whole == n) return;
  for (int64_t i = 0; i < m; ++i) {
    float* row = c + i * c_row;
    for (int64_t j = whole; j < n; ++j) row[j] = 0;
    for (int64_t p = 0; p < k; ++p) {
      const float x = a.data[i * a.row + p * a.column];
      const float* y = b.data + p * b.row;
      for (int64_t j = whole; j < n; ++j) row[j] += x * y[j];
    }
  }
}

// --- Products of float64 and of integers: BLAS has none of the latter, oneDNN neither. ---

constexpr int64_t kBlockRows = 4;     // rows of c that are kept in registers
constexpr int64_t kBlockDepth = 256;  // a panel of b stays in the first-level cache

template <class U>
struct Lanes {
  typedef U type __attribute__((vector_size(32)));
  static constexpr int64_t kCount = 32 / sizeof(U);
};

// sums[r] = the products of up to kBlockRows rows of `a` with a packed panel of `b`.
template <class U>
inline void multiply_panel(const View<U>& a, int64_t rows, int64_t depth, const typename Lanes<U>::type* panel,
                           typename Lanes<U>::type* sums) {
  // A missing row repeats the last; its sums aren't stored.
  const U* a0 = a.data;
  const U* a1 = a.data + std::min<int64_t>(1, rows - 1) * a.row;
  const U* a2 = a.data + std::min<int64_t>(2, rows - 1) * a.row;
  const U* a3 = a.data + std::min<int64_t>(3, rows - 1) * a.row;
  typename Lanes<U>::type s0{}, s1{}, s2{}, s3{};
  for (int64_t p = 0; p < depth; ++p) {
    const auto& b = panel[p];
    const int64_t at = p * a.column;
    s0 += b * a0[at];
    s1 += b * a1[at];
    s2 += b * a2[at];
    s3 += b * a3[at];
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

template <class U>
void pack_panel(const View<U>& b, int64_t depth, int64_t columns, typename Lanes<U>::type* panel) {
  for (int64_t p = 0; p < depth; ++p) {
    typename Lanes<U>::type lane{};
    for (int64_t j = 0; j < columns; ++j) lane[j] = b.data[p * b.row + j * b.column];
    panel[p] = lane;
  }
}

template <class U>
void blocked_product(int64_t m, int64_t n, int64_t k, View<U> a, View<U> b, U* c, int64_t c_row) {
  constexpr int64_t kColumns = Lanes<U>::kCount;
  typename Lanes<U>::type panel[kBlockDepth], sums[kBlockRows];
  for (int64_t p = 0; p < k; p += kBlockDepth) {
    const int64_t depth = std::min(kBlockDepth, k - p);
    for (int64_t j = 0; j < n; j += kColumns) {
      const int64_t columns = std::min(kColumns, n - j);
      pack_panel(b.at(p, j), depth, columns, panel);
      for (int64_t i = 0; i < m; i += kBlockRows) {
        const int64_t rows = std::min(kBlockRows, m - i);
        multiply_panel(a.at(i, p), rows, depth, panel, sums);
        for (int64_t r = 0; r < rows; ++r) {
          U* out = c + (i + r) * c_row + j;
          for (int64_t l = 0; l < columns; ++l) out[l] = p == 0 ? sums[r][l] : static_cast<U>(out[l] + sums[r][l]);
        }
      }
    }
  }
}

// --- Products of float32, by oneDNN. ---

struct BlasMatrix {
  char transposed;
  int64_t leading;
};

// How to name a readable matrix to BLAS, where the stride of an axis of size 1 can be anything.
BlasMatrix blas_matrix(int64_t rows, int64_t columns, int64_t row, int64_t column, bool prefer_transposed) {
  const bool plain = (column == 1 || columns == 1) && (row >= columns || rows == 1);
  const bool transposed = (row == 1 || rows == 1) && (column >= rows || columns == 1);
  if (transposed && (prefer_transposed || !plain)) return {'T', columns == 1 ? rows : column};
  return {'N', rows == 1 ? columns : row};
}

template <class U>
void add_to_rows(int64_t rows, int64_t columns, const U* __restrict added, U* __restrict c, int64_t c_row) {
  for (int64_t i = 0; i < rows; ++i, c += c_row)
    for (int64_t j = 0; j < columns; ++j) c[j] = static_cast<U>(c[j] + added[j]);
}

// Where our own product is ahead of oneDNN's (bench/NOTES.md).
bool suits_packed_product(int64_t m, int64_t n, int64_t k, const View<float>& b) {
  constexpr int64_t kFew = 64;
  if (b.column == 1) return m >= 8 && m <= kFew && n >= 8 && n <= kFew && k <= kFew;
  return m <= kFew && n >= 16 && (m >= 32 || (m >= 8 && n <= kFew));
}
template <class U>
bool suits_packed_product(int64_t, int64_t, int64_t, const View<U>&) {
  return false;
}

// oneDNN has as few columns in vectors that are mostly empty.
bool suits_narrow_product(int64_t m, int64_t n, int64_t k, const View<float>& a) {
  return n >= 2 && n <= 8 && k >= 16 && m >= (a.column == 1 ? 8 : 16) && (a.column == 1 || a.row == 1);
}
template <class U>
bool suits_narrow_product(int64_t, int64_t, int64_t, const View<U>&) {
  return false;
}

// Up to these a call costs more than the product.
constexpr int64_t kTiny = 256, kSmall = 1024;

bool suits_small_product(int64_t m, int64_t n, int64_t k, const View<float>& b) {
  return m * n * k <= kTiny || (m * n * k <= kSmall && b.column == 1 && n >= 4);
}

void product(int64_t m, int64_t n, int64_t k, View<float> a, View<float> b, const float* bias, float* c,
             int64_t c_row) {
  const Matrix left{a.data, a.row, a.column}, right{b.data, b.row, b.column};
  if (m * n * k <= kTiny)
    tiny_product(m, n, k, a, b, c, c_row);
  else if (suits_small_product(m, n, k, b))
    small_product(m, n, k, a, b, c, c_row);
  else if (suits_narrow_product(m, n, k, a) && narrow_product(m, n, k, left, right, bias, c, c_row))
    return;
  else if (suits_packed_product(m, n, k, b) && packed_product(m, n, k, left, right, bias, c, c_row))
    return;
  else
    multiply_add(m, n, k, 1, left, right, 0, c, c_row);
  if (bias) add_to_rows(m, n, bias, c, c_row);
}

template <class U>
void product(int64_t m, int64_t n, int64_t k, View<U> a, View<U> b, const U* bias, U* c, int64_t c_row) {
  constexpr int64_t kTiny = 64;
  if (m * n * k <= kTiny)
    tiny_product(m, n, k, a, b, c, c_row);
  else
    blocked_product(m, n, k, a, b, c, c_row);
  if (bias) add_to_rows(m, n, bias, c, c_row);
}

// --- All dtypes ---

// Multiply-adds that make a piece of work worth a thread: about 5 microseconds of float32.
template <class U>
constexpr int64_t kGrain = std::is_same_v<U, float> ? int64_t{1} << 19 : int64_t{1} << 17;

// The part of one product that `piece` of `pieces` stands for: rows, or columns where there are more of them.
template <class U>
void product_piece(const Plan& plan, View<U> a, View<U> b, const U* bias, U* c, int64_t piece, int64_t pieces) {
  // What has to be packed is packed once.
  const bool by_rows = plan.b_column == 1 ? plan.m >= plan.n : plan.m > 2 * plan.n;
  const int64_t size = by_rows ? plan.m : plan.n;
  // A multiple of what the kernels work on at a time.
  const int64_t length = ((size + pieces - 1) / pieces + 15) / 16 * 16;
  const int64_t begin = piece * length, end = std::min(size, begin + length);
  if (begin >= end) return;
  const int64_t rows = by_rows ? end - begin : plan.m, columns = by_rows ? plan.n : end - begin;
  const int64_t row = by_rows ? begin : 0, column = by_rows ? 0 : begin;
  U* out = c + row * plan.n + column;
  product(rows, columns, plan.k, a.at(row, 0), b.at(0, column), bias ? bias + column : nullptr, out, plan.n);
}

int64_t offset_of(int64_t flat, const Shape& batch, const Dims& strides) {
  int64_t offset = 0;
  for (int i = batch.size() - 1; i >= 0; --i) {
    offset += flat % batch[i] * strides[i];
    flat /= batch[i];
  }
  return offset;
}

// One long product into few elements: each thread takes a part of the depth, so that none packs what others pack too
// (64x784x128 with a transposed weight in 45 us instead of 50). The sums are added up in order.
template <class U>
void product_by_depth(const Plan& plan, View<U> a, View<U> b, const U* bias, U* c, int64_t pieces) {
  const int64_t size = plan.m * plan.n, length = (plan.k + pieces - 1) / pieces;
  pieces = (plan.k + length - 1) / length;
  const util::BufferRef held = util::Buffer::allocate(static_cast<size_t>((pieces - 1) * size) * sizeof(U));
  U* partial = reinterpret_cast<U*>(held->data());
  parallel_for(pieces, 0, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i * length, depth = std::min(plan.k, from + length) - from;
      product(plan.m, plan.n, depth, a.at(0, from), b.at(from, 0), i == 0 ? bias : nullptr,
              i == 0 ? c : partial + (i - 1) * size, plan.n);
    }
  });
  for (int64_t i = 1; i < pieces; ++i) add_to_rows(1, size, partial + (i - 1) * size, c, size);
}

// Only where b is transposed, since packing it is then most of what a thread would do twice, and where its columns
// can't be parted for packed_product, which packs in less time.
template <class U>
bool is_deep(const Plan& plan, const View<U>& b, int64_t pieces) {
  constexpr int64_t kFew = 1 << 15;  // elements of a result, which are summed by one thread
  return plan.k >= 4 * std::max(plan.m, plan.n) && plan.m * plan.n <= kFew && plan.b_column != 1 &&
         !suits_packed_product(plan.m, plan.n / pieces, plan.k, b);
}

// Whether sums come out the same, bit for bit, when two threads take a half each.
template <class U>
bool halves_are_the_same(const Plan& plan) {
  const View<U> a{nullptr, plan.a_row, plan.a_column}, b{nullptr, plan.b_row, plan.b_column};
  if (suits_narrow_product(plan.m, plan.n, plan.k, a)) return suits_narrow_product(plan.m / 2, plan.n, plan.k, a);
  return suits_packed_product(plan.m, plan.n, plan.k, b) && suits_packed_product(plan.m / 2, plan.n, plan.k, b) &&
         suits_packed_product(plan.m, plan.n / 2, plan.k, b);
}

template <class U>
void multiply(const Plan& plan, const U* a, const U* b, const U* bias, U* c) {
  const int64_t count = elements_of(plan.batch);
  const int64_t work = plan.m * plan.n * plan.k;
  int64_t pieces = 1;
  if (work >= 2 * kGrain<U> && count < 4 * num_threads())
    pieces = std::min<int64_t>(num_threads(), work / kGrain<U>);
  else if (count == 1 && work >= kGrain<U> / 2 && halves_are_the_same<U>(plan) && helper_is_near())
    pieces = 2;
  if (count == 1 && work >= 2 * kGrain<U> && pieces > 1 && is_deep<U>(plan, {b, plan.b_row, plan.b_column}, pieces))
    return product_by_depth<U>(plan, {a, plan.a_row, plan.a_column}, {b, plan.b_row, plan.b_column}, bias, c, pieces);
  const int64_t grain = 2 * kGrain<U> / std::max<int64_t>(work / pieces, 1);
  parallel_for(count * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t item = i / pieces;
      const View<U> left{a + offset_of(item, plan.batch, plan.a_batch), plan.a_row, plan.a_column};
      const View<U> right{b + offset_of(item, plan.batch, plan.b_batch), plan.b_row, plan.b_column};
      product_piece(plan, left, right, bias, c + item * plan.m * plan.n, i % pieces, pieces);
    }
  });
}

// Those of one row that stands for all rows of `shape`.
Dims row_strides(const Tensor& row, const Shape& shape) {
  Dims strides(shape.size(), 0);
  strides[shape.size() - 1] = row.strides()[0];
  return strides;
}

// A small product of two matrices, which needs no plan; undefined for any other.
Tensor small_matmul(const Tensor& a, const Tensor& b) {
  TensorImpl &x = *a.impl(), &y = *b.impl();
  if (x.dtype != DType::f32 || x.shape.size() != 2 || y.shape.size() != 2 || x.shape[1] != y.shape[0]) return {};
  const int64_t m = x.shape[0], n = y.shape[1], k = x.shape[1];
  if (std::min({m, n, k}) < 1 || std::max({m, n, k}) > kSmall) return {};
  const View<float> right{y.as<float>(), y.strides[0], y.strides[1]};
  if (!suits_small_product(m, n, k, right)) return {};
  Tensor out = make_tensor({m, n}, DType::f32);
  product(m, n, k, {x.as<float>(), x.strides[0], x.strides[1]}, right, nullptr, out.impl()->as<float>(), n);
  return out;
}

bool is_readable(const Tensor& x) {
  const Shape& shape = x.shape();
  const Dims& strides = x.strides();
  const int last = x.ndim() - 1;
  if (x.dtype() != DType::f32) return true;
  if (last == 0) return strides[0] >= 1 || shape[0] <= 1;
  return readable(shape[last - 1], shape[last], strides[last - 1], strides[last]);
}

}  // namespace

void multiply_add(int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, float* c,
                  int64_t c_row) {
  const BlasMatrix left = blas_matrix(m, k, a.row, a.column, false);
  // A column is read several times faster as a row.
  const BlasMatrix right = blas_matrix(k, n, b.row, b.column, n == 1);
  const OneThread guard;
  const dnnl_status_t status = dnnl_sgemm(left.transposed, right.transposed, m, n, k, alpha, a.data, left.leading,
                                          b.data, right.leading, beta, c, c_row);
  if (status != dnnl_success)
    throw Error(ErrorCode::kInternal, "matmul: oneDNN failed with status " + std::to_string(status));
}

Tensor matmul(const Tensor& a, const Tensor& b, const Tensor& bias) {
  assert(a.dtype() == b.dtype() && (!bias.defined() || bias.dtype() == a.dtype()));
  const DType dtype = a.dtype();
  if (dtype == DType::boolean)
    throw Error(ErrorCode::kDTypeMismatch, "matmul: expects numbers, got bool; convert with astype first");
  if (dtype == DType::f16 || dtype == DType::bf16) {
    const Tensor wide = bias.defined() ? cast(bias, DType::f32) : bias;
    return cast(matmul(cast(a, DType::f32), cast(b, DType::f32), wide), dtype);
  }

  if (Tensor out = bias.defined() ? Tensor() : small_matmul(a, b); out.defined()) return out;
  Plan plan = make_plan(a, b);
  Tensor out = make_tensor(plan.result, dtype);
  if (out.elements() == 0) return out;
  if (plan.k == 0) {
    if (bias.defined())
      copy(make_view(bias, plan.result, row_strides(bias, plan.result), bias.impl()->offset), out);
    else
      std::memset(out.impl()->bytes(), 0, out.nbytes());
    return out;
  }
  const Tensor left_made = is_readable(a) ? Tensor() : contiguous(a);
  const Tensor right_made = is_readable(b) ? Tensor() : contiguous(b);
  const Tensor &left = left_made.defined() ? left_made : a, &right = right_made.defined() ? right_made : b;
  const Tensor added = bias.defined() ? contiguous(bias) : bias;
  if (left_made.defined() || right_made.defined()) plan = make_plan(left, right);
  with_type(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      using U = typename Arithmetic<T>::type;
      multiply(plan, reinterpret_cast<const U*>(left.impl()->as<T>()),
               reinterpret_cast<const U*>(right.impl()->as<T>()),
               added.defined() ? reinterpret_cast<const U*>(added.impl()->as<T>()) : nullptr,
               reinterpret_cast<U*>(out.impl()->as<T>()));
    }
  });
  return out;
}

}  // namespace sm::kernels
