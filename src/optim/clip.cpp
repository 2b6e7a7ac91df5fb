#include <fmt/core.h>

#include <cmath>

#include "kernels/optimizer.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"

namespace sm::optim {
namespace {

void check_limit(const char* what, double limit) {
  if (!(limit >= 0))
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + " must be 0 or more, got " + std::to_string(limit));
}

template <class F>
Gradients changed(const Gradients& gradients, const F& change) {
  const NoGrad guard;
  std::vector<Gradients::Entry> out;
  out.reserve(gradients.size());
  for (const auto& [tensor, gradient] : gradients) out.push_back({tensor, change(gradient)});
  return Gradients(std::move(out));
}

double norm_of(const Gradients& gradients, double p) {
  double total = 0;
  for (const auto& [tensor, gradient] : gradients) {
    if (!gradient.defined() || !is_floating(gradient.dtype()))
      throw Error(ErrorCode::kDTypeMismatch,
                  "clip_grad_norm: expects floating-point gradients, got " +
                      (gradient.defined() ? std::string(name_of(gradient.dtype())) : std::string("an undefined one")));
    const double part = kernels::sum_of_powers(gradient, p);
    total = std::isinf(p) ? (part > total || part != part ? part : total) : total + part;
  }
  return std::isinf(p) ? total : std::pow(total, 1 / p);
}

}  // namespace

ClippedGradients clip_grad_norm(const Gradients& gradients, double max_norm, double norm_type,
                                bool error_if_nonfinite) {
  check_limit("clip_grad_norm: max_norm", max_norm);
  if (!(norm_type > 0))
    throw Error(ErrorCode::kInvalidArgument,
                "clip_grad_norm: norm_type must be above 0, got " + fmt::format("{}", norm_type));
  const double total = norm_of(gradients, norm_type);
  if (error_if_nonfinite && !std::isfinite(total))
    throw Error(ErrorCode::kUnprocessable,
                "clip_grad_norm: the gradients' norm must be finite, got " + std::to_string(total));
  const double factor = max_norm / (total + 1e-6);
  if (factor >= 1) return {gradients, total};
  return {changed(gradients, [&](const Tensor& gradient) { return gradient * factor; }), total};
}

Gradients clip_grad_value(const Gradients& gradients, double clip_value) {
  check_limit("clip_grad_value: clip_value", clip_value);
  return changed(gradients, [&](const Tensor& gradient) { return clip(gradient, -clip_value, clip_value); });
}

}  // namespace sm::optim
