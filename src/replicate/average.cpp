#include "replicate/average.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fmt/core.h>
#include <cstring>

#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::replicate {
namespace {

template <class F>
auto with_element(DType dtype, F function) {
  return dtype == DType::f64 ? function(double{}) : function(float{});
}

}  // namespace

Layout::Layout(const Tensors& weights) {
  for (const auto& [name, weight] : weights) {
    if (!weight.defined() || !is_floating(weight.dtype())) continue;
    parts_.push_back({name, weight.shape(), weight.dtype(), weight.requires_grad(), elements_, weight.elements()});
    elements_ += weight.elements();
    if (weight.dtype() == DType::f64) dtype_ = DType::f64;
  }
  if (elements_ == 0)
    throw Error(ErrorCode::kInvalidArgument, "replicas: expected weights of a floating dtype, got none");
}

std::vector<Tensor> Layout::select(const Tensors& weights) const {
  std::vector<Tensor> out;
  for (const Part& part : parts_) out.push_back(weights[part.name]);
  return out;
}

std::string Layout::digest() const {
  std::string text;
  for (const Part& part : parts_)
    text += fmt::format("{} {} {} {}\n", part.name, name_of(part.dtype), part.shape.to_string(), part.trained);
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Tensor Layout::flatten(const std::vector<Tensor>& values) const {
  Tensor flat = empty(Shape{elements_}, dtype_);
  with_element(dtype_, [&]<class T>(T) {
    T* out = mutable_data<T>(flat);
    for (size_t i = 0; i < parts_.size(); ++i) {
      const Tensor same = values[i].detach().astype(dtype_);
      const Tensor row = same.is_contiguous() ? same : same.copy();
      std::memcpy(out + parts_[i].offset, row.data<T>(), static_cast<size_t>(parts_[i].elements) * sizeof(T));
    }
  });
  return flat;
}

Tensor Layout::weight(const Tensor& flat, size_t i) const {
  const Part& part = parts_[i];
  return make_view(flat, part.shape, contiguous_strides(part.shape), part.offset).astype(part.dtype);
}

Tensor difference(const Tensor& a, const Tensor& b) {
  Tensor out = empty(a.shape(), a.dtype());
  with_element(a.dtype(), [&]<class T>(T) {
    T* to = mutable_data<T>(out);
    const T *left = a.data<T>(), *right = b.data<T>();
    for (int64_t i = 0, n = a.elements(); i < n; ++i) to[i] = left[i] - right[i];
  });
  return out;
}

double squared_norm(const Tensor& flat) {
  return with_element(flat.dtype(), [&]<class T>(T) {
    const T* values = flat.data<T>();
    double sum = 0;
    for (int64_t i = 0, n = flat.elements(); i < n; ++i)
      sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    return sum;
  });
}

int64_t digest(const Tensor& flat) {
  return with_element(flat.dtype(),
                      [&]<class T>(T) { return static_cast<int64_t>(XXH3_64bits(flat.data<T>(), flat.nbytes())); });
}

Tensor zeros_like(const Tensor& flat) {
  Tensor out = empty(flat.shape(), flat.dtype());
  with_element(flat.dtype(), [&]<class T>(T) { std::fill_n(mutable_data<T>(out), out.elements(), T{0}); });
  return out;
}

Outer::Result Outer::step(const Layout& layout, const Tensor& base, const Tensor& before, const Tensor& sum,
                          int64_t replicas) const {
  Result out{empty(base.shape(), base.dtype()), empty(base.shape(), base.dtype())};
  with_element(base.dtype(), [&]<class T>(T) {
    const T share = T{1} / static_cast<T>(replicas);
    const T step = static_cast<T>(rate), kept = static_cast<T>(momentum);
    const T *from = base.data<T>(), *earlier = before.data<T>(), *total = sum.data<T>();
    T *to = mutable_data<T>(out.base), *velocity = mutable_data<T>(out.velocity);
    for (const Layout::Part& part : layout.parts_) {
      for (int64_t i = part.offset, end = part.offset + part.elements; i < end; ++i) {
        const T gradient = total[i] * share;
        velocity[i] = part.trained ? kept * earlier[i] + gradient : T{0};
        to[i] = from[i] - (part.trained ? step * (gradient + kept * velocity[i]) : gradient);
      }
    }
  });
  return out;
}

}  // namespace sm::replicate
