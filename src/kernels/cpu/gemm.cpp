#include "kernels/cpu/gemm.hpp"

#include <algorithm>
#include <cstring>

#include "util/buffer.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/pack-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

// Vectors of a size that only the CPU knows can't be kept in arrays.
#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE
bool product(int64_t, int64_t, int64_t, const Matrix&, const Matrix&, const float*, float*, int64_t) { return false; }
bool narrow_product(int64_t, int64_t, int64_t, const Matrix&, const Matrix&, const float*, float*, int64_t) {
  return false;
}
#else

// A tile of c is kRows by up to kVectors vectors: 24 sums where there are 32 registers, 12 where there are 16.
constexpr int kRows = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3 ? 4 : 8;
constexpr int kVectors = 3;

constexpr int64_t kDepth = 320;   // of a panel of b, which is up to 60 KB then: a quick block, and half of the cache
constexpr int64_t kFewRows = 64;  // up to here reading b as it is costs less than packing it

// Where a tile reads and writes. `columns` may end inside its last vector, whose rest of b is read, too.
struct Tile {
  Matrix a;
  const float* b;
  int64_t b_row, depth;
  const float* bias;  // or null
  bool add;           // to what c holds
  float* c;
  int64_t c_row, columns;
};

template <int rows, int vectors>
HWY_INLINE void finish_tile(const Tile& t, const Vector (&sums)[rows][vectors], float* c, int64_t c_row) {
  const Tag d;
#pragma GCC unroll 3
  for (int v = 0; v < vectors; ++v) {
    const Vector bias = t.bias ? hn::LoadU(d, t.bias + v * kLanes) : hn::Zero(d);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      float* to = c + r * c_row + v * kLanes;
      hn::StoreU(hn::Add(sums[r][v], t.add ? hn::LoadU(d, to) : bias), d, to);
    }
  }
}

template <int rows, int vectors>
HWY_NOINLINE void finish_narrow_tile(const Tile& t, const Vector (&sums)[rows][vectors]) {
  HWY_ALIGN float whole[rows * vectors * kLanes];
  Tile plain = t;
  plain.bias = nullptr;
  plain.add = false;
  finish_tile<rows, vectors>(plain, sums, whole, vectors * kLanes);
  for (int r = 0; r < rows; ++r)
    for (int64_t j = 0; j < t.columns; ++j) {
      float& c = t.c[r * t.c_row + j];
      const float before = t.add ? c : t.bias ? t.bias[j] : 0;
      c = whole[r * vectors * kLanes + j] + before;
    }
}

template <int rows, int vectors>
void multiply_tile(const Tile& t) {
  const Tag d;
  Vector sums[rows][vectors];
  const float* a[rows];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    a[r] = t.a.data + r * t.a.row;
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) sums[r][v] = hn::Zero(d);
  }
  const float* b = t.b;
  int64_t at = 0;
  for (int64_t p = t.depth; p > 0; --p, at += t.a.column, b += t.b_row) {
    Vector y[vectors];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) y[v] = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Vector x = hn::Set(d, a[r][at]);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) sums[r][v] = hn::MulAdd(x, y[v], sums[r][v]);
    }
  }
  if (t.columns == vectors * kLanes) return finish_tile<rows, vectors>(t, sums, t.c, t.c_row);
  finish_narrow_tile<rows, vectors>(t, sums);
}

template <int rows>
void multiply_tiles(const Tile& t, int64_t vectors) {
  if (vectors == 3) return multiply_tile<rows, 3>(t);
  if (vectors == 2) return multiply_tile<rows, 2>(t);
  multiply_tile<rows, 1>(t);
}

void multiply_rows(Tile t, int64_t rows, int64_t vectors) {
  if (rows >= kRows) return multiply_tiles<kRows>(t, vectors);
  const auto next = [&](int64_t done) {
    t.a.data += done * t.a.row;
    t.c += done * t.c_row;
    rows -= done;
  };
  if (rows >= 4) multiply_tiles<4>(t, vectors), next(4);
  if (rows >= 2) multiply_tiles<2>(t, vectors), next(2);
  if (rows >= 1) multiply_tiles<1>(t, vectors);
}

// All rows of a times one panel of b, which is as wide as a tile.
void multiply_panel(Tile t, const Matrix& b, bool pack_b, int64_t rows, int64_t vectors, float* packed) {
  if (pack_b || t.columns < vectors * kLanes) {
    t.b = packed;
    t.b_row = vectors * kLanes;
    pack({b.data, b.column, b.row}, t.columns, t.depth, t.b_row, packed);
  }
  for (int64_t r = 0; r < rows; r += kRows, t.a.data += kRows * t.a.row, t.c += kRows * t.c_row)
    multiply_rows(t, std::min<int64_t>(kRows, rows - r), vectors);
}

bool product(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, const float* bias, float* c,
             int64_t c_row) {
  const int64_t blocks = (k + kDepth - 1) / kDepth, depth = (k + blocks - 1) / blocks;
  const util::BufferRef memory = util::Buffer::allocate(static_cast<size_t>(depth * kVectors * kLanes) * sizeof(float));
  float* packed = reinterpret_cast<float*>(memory->data());
  for (int64_t p = 0; p < k; p += depth) {
    int64_t vectors = (n + kLanes - 1) / kLanes, panels = (vectors + kVectors - 1) / kVectors;
    for (int64_t j = 0; j < n; --panels) {
      const int64_t own = (vectors + panels - 1) / panels, columns = std::min(own * kLanes, n - j);
      const Matrix from{b.data + p * b.row + j * b.column, b.row, b.column};
      const Tile tile{{a.data + p * a.column, a.row, a.column},
                      from.data,
                      b.row,
                      std::min(depth, k - p),
                      p == 0 && bias ? bias + j : nullptr,
                      p > 0,
                      c + j,
                      c_row,
                      columns};
      multiply_panel(tile, from, b.column != 1 || m > kFewRows, m, own, packed);
      vectors -= own;
      j += columns;
    }
  }
  return true;
}

// --- c of few columns. ---

constexpr int kDots = 4;                      // columns that are summed together
constexpr int kDotRows = kRows == 8 ? 6 : 3;  // rows of a in a tile

using FourTag = hn::CappedTag<float, 4>;
using Four = hn::Vec<FourTag>;

// Adds up a vector's blocks of four lanes.
template <class D>
HWY_INLINE Four sum_blocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return sum_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// The sums of the lanes of each.
HWY_INLINE Four sum_lanes(const Vector (&v)[kDots]) {
  const Tag d;
  const hn::Repartition<double, Tag> pairs;
  const auto added = [&](const Vector& a, const Vector& b) {
    return hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  };
  const auto ab = added(v[0], v[1]), cd = added(v[2], v[3]);
  return sum_blocks(d, hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, ab, cd)),
                               hn::BitCast(d, hn::InterleaveUpper(pairs, ab, cd))));
}

// Rows of a with up to four columns of b, which lie `stride` apart with zeros behind them; missing ones are zeros.
template <int rows>
void dot_tile(const Matrix& a, const float* b, int64_t stride, int64_t depth, const float* bias, float* c,
              int64_t c_row, int64_t columns) {
  const Tag d;
  Vector sums[rows][kDots];
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < kDots; ++j) sums[r][j] = hn::Zero(d);
  each_vector(d, depth, [&](int64_t p, auto part) {
    Vector y[kDots];
#pragma GCC unroll 4
    for (int j = 0; j < kDots; ++j) y[j] = hn::LoadU(d, b + j * stride + p);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      const Vector x = load(d, a.data + r * a.row + p, part);
#pragma GCC unroll 4
      for (int j = 0; j < kDots; ++j) sums[r][j] = hn::MulAdd(x, y[j], sums[r][j]);
    }
  });
  const FourTag four;
  const auto added = !bias              ? hn::Zero(four)
                     : columns == kDots ? hn::LoadU(four, bias)
                                        : load(four, bias, Part{columns});
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r) {
    const auto row = hn::Add(sum_lanes(sums[r]), added);
    if (columns == kDots)
      hn::StoreU(row, four, c + r * c_row);
    else
      store(four, row, c + r * c_row, Part{columns});
  }
}

// The same with all columns of b, so that a is read once.
template <int rows>
void dot_rows(const Matrix& a, int64_t n, int64_t k, const float* b, int64_t stride, const float* bias, float* c,
              int64_t c_row) {
  for (int64_t j = 0; j < n; j += kDots)
    dot_tile<rows>(a, b + j * stride, stride, k, bias ? bias + j : nullptr, c + j, c_row,
                   std::min<int64_t>(kDots, n - j));
}

void dots(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, const float* bias, float* c,
          int64_t c_row) {
  const int64_t stride = (k + kLanes - 1) / kLanes * kLanes, room = (n + kDots - 1) / kDots * kDots * stride;
  const util::BufferRef memory = util::Buffer::allocate(static_cast<size_t>(room) * sizeof(float));
  float* columns = reinterpret_cast<float*>(memory->data());
  std::fill_n(columns, room, 0.0F);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t p = 0; p < k; ++p) columns[j * stride + p] = b.data[p * b.row + j * b.column];
  int64_t i = 0;
  for (; i + kDotRows <= m; i += kDotRows)
    dot_rows<kDotRows>({a.data + i * a.row, a.row, 1}, n, k, columns, stride, bias, c + i * c_row, c_row);
  for (; i < m; ++i) dot_rows<1>({a.data + i * a.row, a.row, 1}, n, k, columns, stride, bias, c + i * c_row, c_row);
}

bool narrow_product(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, const float* bias, float* c,
                    int64_t c_row) {
  if (a.column == 1) {
    dots(m, n, k, a, b, bias, c, c_row);
    return true;
  }
  const util::BufferRef memory = util::Buffer::allocate(static_cast<size_t>(m * n) * sizeof(float));
  float* turned = reinterpret_cast<float*>(memory->data());
  product(n, m, k, b.transposed(), a.transposed(), nullptr, turned, m);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) c[i * c_row + j] = turned[j * m + i] + (bias ? bias[j] : 0);
  return true;
}
#endif

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels {
namespace simd {
HWY_EXPORT(product);
HWY_EXPORT(narrow_product);
}  // namespace simd

bool packed_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* bias, float* c, int64_t c_row) {
  return HWY_DYNAMIC_DISPATCH(simd::product)(m, n, k, a, b, bias, c, c_row);
}

bool narrow_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* bias, float* c, int64_t c_row) {
  return HWY_DYNAMIC_DISPATCH(simd::narrow_product)(m, n, k, a, b, bias, c, c_row);
}

}  // namespace sm::kernels
#endif
