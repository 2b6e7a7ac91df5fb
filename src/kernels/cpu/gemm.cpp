#include "kernels/cpu/gemm.hpp"

#include <algorithm>
#include <cstring>

#include "util/buffer.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

// Vectors of a size that only the CPU knows can't be kept in arrays.
#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE
bool product(int64_t, int64_t, int64_t, const Matrix&, const Matrix&, const float*, float*, int64_t) { return false; }
#else

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

// A tile of c is kRows by up to kVectors vectors: 24 sums where there are 32 registers, 12 where there are 16.
constexpr int kRows = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3 ? 4 : 8;
constexpr int kVectors = 3;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(Tag()));

constexpr int64_t kDepth = 320;   // of a panel of b, which is up to 60 KB then: a quick block, and half of the cache
constexpr int64_t kFewRows = 64;  // up to here reading b as it is costs less than packing it

// Lines that follow each other in memory with a step: out[p * width + j] is element p of line j.
struct Lines {
  const float* data;
  int64_t line, step;
};

// Reads four lines: out[i] has in its block b step 4 b + i of each.
template <class D>
HWY_INLINE void turn_blocks(D d, const float* from, int64_t line, hn::Vec<D> (&out)[4]) {
  const hn::Repartition<double, D> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + line);
  const auto e = hn::LoadU(d, from + 2 * line), f = hn::LoadU(d, from + 3 * line);
  const auto ab = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ef = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
  out[0] = hn::BitCast(d, hn::InterleaveLower(pairs, ab, ef));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ef));
  const auto cd = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto gh = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
  out[2] = hn::BitCast(d, hn::InterleaveLower(pairs, cd, gh));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, cd, gh));
}

// As many lines as a vector has lanes, and as many steps.
template <int groups>
HWY_INLINE void turn_square(const float* from, int64_t line, float* to, int64_t width) {
  const Tag d;
  Vector turned[groups][4];
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) turn_blocks(d, from + 4 * g * line, line, turned[g]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto step = [&](int block) { return to + (4 * block + i) * width; };
    if constexpr (groups == 1) {
      hn::StoreU(turned[0][i], d, step(0));
    } else if constexpr (groups == 2) {
      hn::StoreU(hn::ConcatLowerLower(d, turned[1][i], turned[0][i]), d, step(0));
      hn::StoreU(hn::ConcatUpperUpper(d, turned[1][i], turned[0][i]), d, step(1));
    } else {
      const Vector even = hn::ConcatLowerLower(d, turned[2][i], turned[0][i]);
      const Vector odd = hn::ConcatLowerLower(d, turned[3][i], turned[1][i]);
      hn::StoreU(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(odd), even), d, step(0));
      hn::StoreU(hn::OddEvenBlocks(odd, hn::SwapAdjacentBlocks(even)), d, step(1));
      const Vector high_even = hn::ConcatUpperUpper(d, turned[2][i], turned[0][i]);
      const Vector high_odd = hn::ConcatUpperUpper(d, turned[3][i], turned[1][i]);
      hn::StoreU(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(high_odd), high_even), d, step(2));
      hn::StoreU(hn::OddEvenBlocks(high_odd, hn::SwapAdjacentBlocks(high_even)), d, step(3));
    }
  }
}

// For lines whose elements lie together: what one cache line holds of them is read at once.
void pack_turned(const Lines& from, int64_t lines, int64_t depth, int64_t width, float* out) {
  for (int64_t begin = 0; begin < depth; begin += kLanes) {
    const int64_t end = std::min(depth, begin + kLanes);
    int64_t j = 0;
    if (end - begin == kLanes)
      for (; j + kLanes <= lines; j += kLanes)
        turn_square<kLanes / 4>(from.data + j * from.line + begin, from.line, out + begin * width + j, width);
    for (; j < lines; ++j)
      for (int64_t p = begin; p < end; ++p) out[p * width + j] = from.data[j * from.line + p];
  }
}

// `lines` of them, and zeros up to `width`.
void pack(const Lines& from, int64_t lines, int64_t depth, int64_t width, float* out) {
  if (from.step == 1) {
    pack_turned(from, lines, depth, width, out);
  } else if (from.line == 1) {
    const Tag d;
    for (int64_t p = 0; p < depth; ++p)
      each_vector(d, lines, [&](int64_t j, auto part) {
        store(d, load(d, from.data + p * from.step + j, part), out + p * width + j, part);
      });
  } else {
    for (int64_t p = 0; p < depth; ++p)
      for (int64_t j = 0; j < lines; ++j) out[p * width + j] = from.data[j * from.line + p * from.step];
  }
  for (int64_t p = 0; lines < width && p < depth; ++p) std::fill(out + p * width + lines, out + (p + 1) * width, 0.0F);
}

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
#endif

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels {
namespace simd {
HWY_EXPORT(product);
}

bool packed_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* bias, float* c, int64_t c_row) {
  return HWY_DYNAMIC_DISPATCH(simd::product)(m, n, k, a, b, bias, c, c_row);
}

}  // namespace sm::kernels
#endif
