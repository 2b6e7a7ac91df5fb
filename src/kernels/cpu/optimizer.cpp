#include "kernels/optimizer.hpp"

#include <cmath>
#include <limits>

#include "kernels/copy.hpp"
#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

// Each element stands alone, though reading and writing may be in one place,
// which keeps the compiler from vectorising until it is told.
#ifdef __clang__
#define SHUMAI_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define SHUMAI_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace sm::kernels {
namespace {

constexpr int64_t kGrain = 32 * 1024;

template <class T>
T* elements(const Tensor& tensor) {
  return tensor.defined() ? tensor.impl()->as<T>() : nullptr;
}

// Calls loop(Type<T>{}, weight, gradient, next, begin, end) on ranges of the weight.
template <class Loop>
void each_range(const Descent& descent, const Loop& loop) {
  with_float(descent.next.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* weight = elements<T>(descent.weight);
    const T* gradient = elements<T>(descent.gradient);
    T* next = elements<T>(descent.next);
    parallel_for(descent.next.elements(), kGrain,
                 [&](int64_t begin, int64_t end) { loop(type, weight, gradient, next, begin, end); });
  });
}

// f(std::true_type) or f(std::false_type), so that a loop is compiled for either.
template <class F>
void with_bool(bool value, F&& f) {
  if (value)
    f(std::true_type());
  else
    f(std::false_type());
}

}  // namespace

void sgd_step(const Descent& descent, const SgdStep& step, const Tensor& velocity) {
  each_range(descent, [&]<class T>(Type<T>, const T* weight, const T* gradient, T* next, int64_t begin, int64_t end) {
    using C = Compute<T>;
    const C rate = C(step.learning_rate), shrink = C(step.weight_decay), decay = C(step.decay), gain = C(step.gain);
    const C ahead = C(step.momentum);
    C* moving = elements<C>(velocity);
    if (!moving) {
      SHUMAI_INDEPENDENT
      for (int64_t i = begin; i < end; ++i) {
        const C w = convert<C>(weight[i]);
        next[i] = convert<T>(w - rate * (convert<C>(gradient[i]) + shrink * w));
      }
      return;
    }
    with_bool(step.nesterov, [&](auto nesterov) {
      SHUMAI_INDEPENDENT
      for (int64_t i = begin; i < end; ++i) {
        const C w = convert<C>(weight[i]), g = convert<C>(gradient[i]) + shrink * w;
        const C v = decay * moving[i] + gain * g;
        moving[i] = v;
        next[i] = convert<T>(w - rate * (nesterov ? g + ahead * v : v));
      }
    });
  });
}

void adam_step(const Descent& descent, const AdamStep& step, const Tensor& exp_avg, const Tensor& exp_avg_sq,
               const Tensor& max_exp_avg_sq) {
  each_range(descent, [&]<class T>(Type<T>, const T* weight, const T* gradient, T* next, int64_t begin, int64_t end) {
    using C = Compute<T>;
    const C shrink = C(step.shrink), decay = C(step.weight_decay), rate = C(step.rate), eps = C(step.eps);
    const C keep1 = C(step.beta1), take1 = C(1 - step.beta1), keep2 = C(step.beta2), take2 = C(1 - step.beta2);
    const C scale = C(step.scale);
    C *mean = elements<C>(exp_avg), *square = elements<C>(exp_avg_sq), *most = elements<C>(max_exp_avg_sq);
    with_bool(most != nullptr, [&](auto amsgrad) {
      SHUMAI_INDEPENDENT
      for (int64_t i = begin; i < end; ++i) {
        const C w = convert<C>(weight[i]) * shrink, g = convert<C>(gradient[i]) + decay * w;
        const C m = keep1 * mean[i] + take1 * g;
        const C v = keep2 * square[i] + take2 * g * g;
        mean[i] = m;
        square[i] = v;
        C largest = v;
        if constexpr (decltype(amsgrad)::value) {
          // Keeps NaN, as maximum does.
          largest = most[i] > v ? most[i] : v;
          most[i] = largest;
        }
        next[i] = convert<T>(w - rate * (m / (std::sqrt(largest) / scale + eps)));
      }
    });
  });
}

void rmsprop_step(const Descent& descent, const RmspropStep& step, const Tensor& square_avg, const Tensor& grad_avg,
                  const Tensor& velocity) {
  each_range(descent, [&]<class T>(Type<T>, const T* weight, const T* gradient, T* next, int64_t begin, int64_t end) {
    using C = Compute<T>;
    const C rate = C(step.learning_rate), decay = C(step.weight_decay), eps = C(step.eps);
    const C keep = C(step.alpha), take = C(1 - step.alpha), momentum = C(step.momentum);
    C *square = elements<C>(square_avg), *mean = elements<C>(grad_avg), *moving = elements<C>(velocity);
    with_bool(mean != nullptr, [&](auto centered) {
      with_bool(moving != nullptr, [&](auto remembers) {
        SHUMAI_INDEPENDENT
        for (int64_t i = begin; i < end; ++i) {
          const C w = convert<C>(weight[i]), g = convert<C>(gradient[i]) + decay * w;
          const C v = keep * square[i] + take * g * g;
          square[i] = v;
          C spread = v;
          if constexpr (decltype(centered)::value) {
            const C m = keep * mean[i] + take * g;
            mean[i] = m;
            // Rounding can take a variance of zero below it.
            spread = v < m * m ? C(0) : v - m * m;
          }
          C move = g / (std::sqrt(spread) + eps);
          if constexpr (decltype(remembers)::value) {
            move = momentum * moving[i] + move;
            moving[i] = move;
          }
          next[i] = convert<T>(w - rate * move);
        }
      });
    });
  });
}

double sum_of_powers(const Tensor& x, double p) {
  const Tensor flat = contiguous(x);
  // Eight sums side by side: one would wait for itself at every element.
  constexpr int kLanes = 8;
  return with_float(flat.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* values = elements<T>(flat);
    const int64_t n = flat.elements();
    const auto total = [&](auto power, auto join) {
      double lanes[kLanes] = {};
      int64_t i = 0;
      for (; i + kLanes <= n; i += kLanes)
        for (int k = 0; k < kLanes; ++k)
          lanes[k] = join(lanes[k], power(std::abs(static_cast<double>(convert<Compute<T>>(values[i + k])))));
      for (; i < n; ++i)
        lanes[0] = join(lanes[0], power(std::abs(static_cast<double>(convert<Compute<T>>(values[i])))));
      for (int k = 1; k < kLanes; ++k) lanes[0] = join(lanes[0], lanes[k]);
      return lanes[0];
    };
    const auto sum = [](double a, double b) { return a + b; };
    if (std::isinf(p))
      return total([](double v) { return v; }, [](double a, double b) { return b > a || b != b ? b : a; });
    if (p == 1) return total([](double v) { return v; }, sum);
    if (p == 2) return total([](double v) { return v * v; }, sum);
    return total([p](double v) { return std::pow(v, p); }, sum);
  });
}

}  // namespace sm::kernels
