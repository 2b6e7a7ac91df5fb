// Generated from the op table by tools/generate.cpp; change the row instead.
// clang-format off

#include "ops/op.hpp"
#include "shumai/ops.hpp"

namespace sm {

Tensor zeros(const Dims& shape, DType dtype) {
  static const ops::Op& op = ops::find("zeros");
  const ops::Attr attrs[] = {shape, dtype};
  return ops::run(op, {}, attrs);
}

Tensor ones(const Dims& shape, DType dtype) {
  static const ops::Op& op = ops::find("ones");
  const ops::Attr attrs[] = {shape, dtype};
  return ops::run(op, {}, attrs);
}

Tensor full(const Dims& shape, double value, DType dtype) {
  static const ops::Op& op = ops::find("full");
  const ops::Attr attrs[] = {shape, value, dtype};
  return ops::run(op, {}, attrs);
}

Tensor arange(double start, double stop, double step, DType dtype) {
  static const ops::Op& op = ops::find("arange");
  const ops::Attr attrs[] = {start, stop, step, dtype};
  return ops::run(op, {}, attrs);
}

Tensor linspace(double start, double stop, int64_t steps, DType dtype) {
  static const ops::Op& op = ops::find("linspace");
  const ops::Attr attrs[] = {start, stop, steps, dtype};
  return ops::run(op, {}, attrs);
}

Tensor identity(int64_t n, DType dtype) {
  static const ops::Op& op = ops::find("identity");
  const ops::Attr attrs[] = {n, dtype};
  return ops::run(op, {}, attrs);
}

Tensor iota(const Dims& shape, const Dims& tiles, DType dtype) {
  static const ops::Op& op = ops::find("iota");
  const ops::Attr attrs[] = {shape, tiles, dtype};
  return ops::run(op, {}, attrs);
}

Tensor rand(const Dims& shape, DType dtype) {
  static const ops::Op& op = ops::find("rand");
  const ops::Attr attrs[] = {shape, dtype};
  return ops::run(op, {}, attrs);
}

Tensor randn(const Dims& shape, DType dtype) {
  static const ops::Op& op = ops::find("randn");
  const ops::Attr attrs[] = {shape, dtype};
  return ops::run(op, {}, attrs);
}

Tensor uniform(const Dims& shape, double low, double high, DType dtype) {
  static const ops::Op& op = ops::find("uniform");
  const ops::Attr attrs[] = {shape, low, high, dtype};
  return ops::run(op, {}, attrs);
}

Tensor normal(const Dims& shape, double mean, double std, DType dtype) {
  static const ops::Op& op = ops::find("normal");
  const ops::Attr attrs[] = {shape, mean, std, dtype};
  return ops::run(op, {}, attrs);
}

Tensor bernoulli(const Dims& shape, double p, DType dtype) {
  static const ops::Op& op = ops::find("bernoulli");
  const ops::Attr attrs[] = {shape, p, dtype};
  return ops::run(op, {}, attrs);
}

Tensor randint(int64_t low, int64_t high, const Dims& shape, DType dtype) {
  static const ops::Op& op = ops::find("randint");
  const ops::Attr attrs[] = {low, high, shape, dtype};
  return ops::run(op, {}, attrs);
}

Tensor randperm(int64_t n, DType dtype) {
  static const ops::Op& op = ops::find("randperm");
  const ops::Attr attrs[] = {n, dtype};
  return ops::run(op, {}, attrs);
}

Tensor xavier_uniform(const Dims& shape, double fan_in, double fan_out, double gain, DType dtype) {
  static const ops::Op& op = ops::find("xavier_uniform");
  const ops::Attr attrs[] = {shape, fan_in, fan_out, gain, dtype};
  return ops::run(op, {}, attrs);
}

Tensor xavier_normal(const Dims& shape, double fan_in, double fan_out, double gain, DType dtype) {
  static const ops::Op& op = ops::find("xavier_normal");
  const ops::Attr attrs[] = {shape, fan_in, fan_out, gain, dtype};
  return ops::run(op, {}, attrs);
}

Tensor kaiming_uniform(const Dims& shape, double fan_in, double slope, DType dtype) {
  static const ops::Op& op = ops::find("kaiming_uniform");
  const ops::Attr attrs[] = {shape, fan_in, slope, dtype};
  return ops::run(op, {}, attrs);
}

Tensor kaiming_normal(const Dims& shape, double fan_in, double slope, DType dtype) {
  static const ops::Op& op = ops::find("kaiming_normal");
  const ops::Attr attrs[] = {shape, fan_in, slope, dtype};
  return ops::run(op, {}, attrs);
}

Tensor negative(const Tensor& tensor) {
  static const ops::Op& op = ops::find("negative");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::negative() const { return sm::negative(*this); }
Tensor Tensor::negate() const { return sm::negative(*this); }
Tensor Tensor::neg() const { return sm::negative(*this); }

Tensor absolute(const Tensor& tensor) {
  static const ops::Op& op = ops::find("absolute");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::absolute() const { return sm::absolute(*this); }
Tensor Tensor::abs() const { return sm::absolute(*this); }

Tensor sign(const Tensor& tensor) {
  static const ops::Op& op = ops::find("sign");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sign() const { return sm::sign(*this); }

Tensor exp(const Tensor& tensor) {
  static const ops::Op& op = ops::find("exp");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::exp() const { return sm::exp(*this); }

Tensor log(const Tensor& tensor) {
  static const ops::Op& op = ops::find("log");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::log() const { return sm::log(*this); }

Tensor log1p(const Tensor& tensor) {
  static const ops::Op& op = ops::find("log1p");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::log1p() const { return sm::log1p(*this); }

Tensor sqrt(const Tensor& tensor) {
  static const ops::Op& op = ops::find("sqrt");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sqrt() const { return sm::sqrt(*this); }

Tensor square(const Tensor& tensor) {
  static const ops::Op& op = ops::find("square");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::square() const { return sm::square(*this); }

Tensor reciprocal(const Tensor& tensor) {
  static const ops::Op& op = ops::find("reciprocal");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::reciprocal() const { return sm::reciprocal(*this); }

Tensor sin(const Tensor& tensor) {
  static const ops::Op& op = ops::find("sin");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sin() const { return sm::sin(*this); }

Tensor cos(const Tensor& tensor) {
  static const ops::Op& op = ops::find("cos");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::cos() const { return sm::cos(*this); }

Tensor tanh(const Tensor& tensor) {
  static const ops::Op& op = ops::find("tanh");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::tanh() const { return sm::tanh(*this); }

Tensor sigmoid(const Tensor& tensor) {
  static const ops::Op& op = ops::find("sigmoid");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sigmoid() const { return sm::sigmoid(*this); }

Tensor erf(const Tensor& tensor) {
  static const ops::Op& op = ops::find("erf");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::erf() const { return sm::erf(*this); }

Tensor expm1(const Tensor& tensor) {
  static const ops::Op& op = ops::find("expm1");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::expm1() const { return sm::expm1(*this); }

Tensor rsqrt(const Tensor& tensor) {
  static const ops::Op& op = ops::find("rsqrt");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::rsqrt() const { return sm::rsqrt(*this); }

Tensor log2(const Tensor& tensor) {
  static const ops::Op& op = ops::find("log2");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::log2() const { return sm::log2(*this); }

Tensor log10(const Tensor& tensor) {
  static const ops::Op& op = ops::find("log10");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::log10() const { return sm::log10(*this); }

Tensor tan(const Tensor& tensor) {
  static const ops::Op& op = ops::find("tan");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::tan() const { return sm::tan(*this); }

Tensor asin(const Tensor& tensor) {
  static const ops::Op& op = ops::find("asin");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::asin() const { return sm::asin(*this); }

Tensor acos(const Tensor& tensor) {
  static const ops::Op& op = ops::find("acos");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::acos() const { return sm::acos(*this); }

Tensor atan(const Tensor& tensor) {
  static const ops::Op& op = ops::find("atan");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::atan() const { return sm::atan(*this); }

Tensor sinh(const Tensor& tensor) {
  static const ops::Op& op = ops::find("sinh");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sinh() const { return sm::sinh(*this); }

Tensor cosh(const Tensor& tensor) {
  static const ops::Op& op = ops::find("cosh");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::cosh() const { return sm::cosh(*this); }

Tensor softplus(const Tensor& tensor) {
  static const ops::Op& op = ops::find("softplus");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::softplus() const { return sm::softplus(*this); }

Tensor relu(const Tensor& tensor) {
  static const ops::Op& op = ops::find("relu");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::relu() const { return sm::relu(*this); }

Tensor floor(const Tensor& tensor) {
  static const ops::Op& op = ops::find("floor");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::floor() const { return sm::floor(*this); }

Tensor ceil(const Tensor& tensor) {
  static const ops::Op& op = ops::find("ceil");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::ceil() const { return sm::ceil(*this); }

Tensor rint(const Tensor& tensor) {
  static const ops::Op& op = ops::find("rint");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::rint() const { return sm::rint(*this); }
Tensor Tensor::round() const { return sm::rint(*this); }

Tensor trunc(const Tensor& tensor) {
  static const ops::Op& op = ops::find("trunc");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::trunc() const { return sm::trunc(*this); }

Tensor clip(const Tensor& tensor, double low, double high) {
  static const ops::Op& op = ops::find("clip");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {low, high};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::clip(double low, double high) const { return sm::clip(*this, low, high); }
Tensor Tensor::clamp(double low, double high) const { return sm::clip(*this, low, high); }

Tensor isnan(const Tensor& tensor) {
  static const ops::Op& op = ops::find("isnan");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::isnan() const { return sm::isnan(*this); }

Tensor isinf(const Tensor& tensor) {
  static const ops::Op& op = ops::find("isinf");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::isinf() const { return sm::isinf(*this); }

Tensor isfinite(const Tensor& tensor) {
  static const ops::Op& op = ops::find("isfinite");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::isfinite() const { return sm::isfinite(*this); }

Tensor logical_not(const Tensor& tensor) {
  static const ops::Op& op = ops::find("logical_not");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::logical_not() const { return sm::logical_not(*this); }

Tensor bitwise_not(const Tensor& tensor) {
  static const ops::Op& op = ops::find("bitwise_not");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::bitwise_not() const { return sm::bitwise_not(*this); }

Tensor relu6(const Tensor& tensor) {
  static const ops::Op& op = ops::find("relu6");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::relu6() const { return sm::relu6(*this); }

Tensor hard_tanh(const Tensor& tensor, double low, double high) {
  static const ops::Op& op = ops::find("hard_tanh");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {low, high};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::hard_tanh(double low, double high) const { return sm::hard_tanh(*this, low, high); }

Tensor hard_sigmoid(const Tensor& tensor) {
  static const ops::Op& op = ops::find("hard_sigmoid");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::hard_sigmoid() const { return sm::hard_sigmoid(*this); }

Tensor threshold_relu(const Tensor& tensor, double threshold) {
  static const ops::Op& op = ops::find("threshold_relu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {threshold};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::threshold_relu(double threshold) const { return sm::threshold_relu(*this, threshold); }

Tensor leaky_relu(const Tensor& tensor, double slope) {
  static const ops::Op& op = ops::find("leaky_relu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {slope};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::leaky_relu(double slope) const { return sm::leaky_relu(*this, slope); }

Tensor elu(const Tensor& tensor, double alpha) {
  static const ops::Op& op = ops::find("elu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {alpha};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::elu(double alpha) const { return sm::elu(*this, alpha); }

Tensor gelu(const Tensor& tensor, const std::string& approximate) {
  static const ops::Op& op = ops::find("gelu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {approximate};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::gelu(const std::string& approximate) const { return sm::gelu(*this, approximate); }

Tensor silu(const Tensor& tensor, double beta) {
  static const ops::Op& op = ops::find("silu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {beta};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::silu(double beta) const { return sm::silu(*this, beta); }
Tensor Tensor::swish(double beta) const { return sm::silu(*this, beta); }

Tensor softsign(const Tensor& tensor) {
  static const ops::Op& op = ops::find("softsign");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::softsign() const { return sm::softsign(*this); }

Tensor log_sigmoid(const Tensor& tensor) {
  static const ops::Op& op = ops::find("log_sigmoid");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::log_sigmoid() const { return sm::log_sigmoid(*this); }

Tensor add(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("add");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::add(const Tensor& other) const { return sm::add(*this, other); }

Tensor sub(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("sub");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::sub(const Tensor& other) const { return sm::sub(*this, other); }

Tensor mul(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("mul");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::mul(const Tensor& other) const { return sm::mul(*this, other); }

Tensor div(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("div");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::div(const Tensor& other) const { return sm::div(*this, other); }

Tensor mod(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("mod");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::mod(const Tensor& other) const { return sm::mod(*this, other); }

Tensor floor_divide(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("floor_divide");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::floor_divide(const Tensor& other) const { return sm::floor_divide(*this, other); }

Tensor atan2(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("atan2");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::atan2(const Tensor& other) const { return sm::atan2(*this, other); }

Tensor logaddexp(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("logaddexp");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::logaddexp(const Tensor& other) const { return sm::logaddexp(*this, other); }

Tensor power(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("power");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::power(const Tensor& other) const { return sm::power(*this, other); }
Tensor Tensor::pow(const Tensor& other) const { return sm::power(*this, other); }

Tensor maximum(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("maximum");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::maximum(const Tensor& other) const { return sm::maximum(*this, other); }

Tensor minimum(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("minimum");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::minimum(const Tensor& other) const { return sm::minimum(*this, other); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  static const ops::Op& op = ops::find("where");
  const Tensor* const inputs[] = {&condition, &a, &b};
  return ops::run(op, inputs, {});
}
Tensor Tensor::where(const Tensor& a, const Tensor& b) const { return sm::where(*this, a, b); }

Tensor bitwise_and(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("bitwise_and");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::bitwise_and(const Tensor& other) const { return sm::bitwise_and(*this, other); }

Tensor bitwise_or(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("bitwise_or");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::bitwise_or(const Tensor& other) const { return sm::bitwise_or(*this, other); }

Tensor bitwise_xor(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("bitwise_xor");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::bitwise_xor(const Tensor& other) const { return sm::bitwise_xor(*this, other); }

Tensor l_shift(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("l_shift");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::l_shift(const Tensor& other) const { return sm::l_shift(*this, other); }

Tensor r_shift(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("r_shift");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::r_shift(const Tensor& other) const { return sm::r_shift(*this, other); }

Tensor eq(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("eq");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::eq(const Tensor& other) const { return sm::eq(*this, other); }

Tensor neq(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("neq");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::neq(const Tensor& other) const { return sm::neq(*this, other); }

Tensor lt(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("lt");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::lt(const Tensor& other) const { return sm::lt(*this, other); }
Tensor Tensor::less_than(const Tensor& other) const { return sm::lt(*this, other); }

Tensor lte(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("lte");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::lte(const Tensor& other) const { return sm::lte(*this, other); }
Tensor Tensor::less_than_equal(const Tensor& other) const { return sm::lte(*this, other); }

Tensor gt(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("gt");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::gt(const Tensor& other) const { return sm::gt(*this, other); }
Tensor Tensor::greater_than(const Tensor& other) const { return sm::gt(*this, other); }

Tensor gte(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("gte");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::gte(const Tensor& other) const { return sm::gte(*this, other); }
Tensor Tensor::greater_than_equal(const Tensor& other) const { return sm::gte(*this, other); }

Tensor logical_and(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("logical_and");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::logical_and(const Tensor& other) const { return sm::logical_and(*this, other); }

Tensor logical_or(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("logical_or");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::logical_or(const Tensor& other) const { return sm::logical_or(*this, other); }

Tensor logical_xor(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("logical_xor");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::logical_xor(const Tensor& other) const { return sm::logical_xor(*this, other); }

Tensor sum(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("sum");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::sum(const Dims& axes, bool keep_dims) const { return sm::sum(*this, axes, keep_dims); }

Tensor mean(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("mean");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::mean(const Dims& axes, bool keep_dims) const { return sm::mean(*this, axes, keep_dims); }

Tensor amax(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("amax");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::amax(const Dims& axes, bool keep_dims) const { return sm::amax(*this, axes, keep_dims); }
Tensor Tensor::max(const Dims& axes, bool keep_dims) const { return sm::amax(*this, axes, keep_dims); }

Tensor amin(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("amin");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::amin(const Dims& axes, bool keep_dims) const { return sm::amin(*this, axes, keep_dims); }
Tensor Tensor::min(const Dims& axes, bool keep_dims) const { return sm::amin(*this, axes, keep_dims); }

Tensor argmax(const Tensor& tensor, const Dims& axis, bool keep_dims) {
  static const ops::Op& op = ops::find("argmax");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::argmax(const Dims& axis, bool keep_dims) const { return sm::argmax(*this, axis, keep_dims); }

Tensor argmin(const Tensor& tensor, const Dims& axis, bool keep_dims) {
  static const ops::Op& op = ops::find("argmin");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::argmin(const Dims& axis, bool keep_dims) const { return sm::argmin(*this, axis, keep_dims); }

Tensor all(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("all");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::all(const Dims& axes, bool keep_dims) const { return sm::all(*this, axes, keep_dims); }

Tensor any(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("any");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::any(const Dims& axes, bool keep_dims) const { return sm::any(*this, axes, keep_dims); }

Tensor variance(const Tensor& tensor, const Dims& axes, bool keep_dims, double correction) {
  static const ops::Op& op = ops::find("variance");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims, correction};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::variance(const Dims& axes, bool keep_dims, double correction) const { return sm::variance(*this, axes, keep_dims, correction); }
Tensor Tensor::var(const Dims& axes, bool keep_dims, double correction) const { return sm::variance(*this, axes, keep_dims, correction); }

Tensor std(const Tensor& tensor, const Dims& axes, bool keep_dims, double correction) {
  static const ops::Op& op = ops::find("std");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims, correction};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::std(const Dims& axes, bool keep_dims, double correction) const { return sm::std(*this, axes, keep_dims, correction); }

Tensor logsumexp(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("logsumexp");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::logsumexp(const Dims& axes, bool keep_dims) const { return sm::logsumexp(*this, axes, keep_dims); }

Tensor sum_to(const Tensor& tensor, const Dims& shape) {
  static const ops::Op& op = ops::find("sum_to");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shape};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::sum_to(const Dims& shape) const { return sm::sum_to(*this, shape); }

Tensor softmax(const Tensor& tensor, int64_t axis) {
  static const ops::Op& op = ops::find("softmax");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::softmax(int64_t axis) const { return sm::softmax(*this, axis); }

Tensor log_softmax(const Tensor& tensor, int64_t axis) {
  static const ops::Op& op = ops::find("log_softmax");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::log_softmax(int64_t axis) const { return sm::log_softmax(*this, axis); }

Tensor reshape(const Tensor& tensor, const Dims& shape) {
  static const ops::Op& op = ops::find("reshape");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shape};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::reshape(const Dims& shape) const { return sm::reshape(*this, shape); }

Tensor transpose(const Tensor& tensor, const Dims& axes) {
  static const ops::Op& op = ops::find("transpose");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::transpose(const Dims& axes) const { return sm::transpose(*this, axes); }

Tensor expand(const Tensor& tensor, const Dims& shape) {
  static const ops::Op& op = ops::find("expand");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shape};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::expand(const Dims& shape) const { return sm::expand(*this, shape); }

Tensor squeeze(const Tensor& tensor, const Dims& axes) {
  static const ops::Op& op = ops::find("squeeze");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::squeeze(const Dims& axes) const { return sm::squeeze(*this, axes); }

Tensor unsqueeze(const Tensor& tensor, int64_t axis) {
  static const ops::Op& op = ops::find("unsqueeze");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::unsqueeze(int64_t axis) const { return sm::unsqueeze(*this, axis); }

Tensor slice(const Tensor& tensor, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  static const ops::Op& op = ops::find("slice");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, start, stop, step};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::slice(int64_t axis, int64_t start, int64_t stop, int64_t step) const { return sm::slice(*this, axis, start, stop, step); }

Tensor unslice(const Tensor& tensor, const Dims& shape, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  static const ops::Op& op = ops::find("unslice");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shape, axis, start, stop, step};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::unslice(const Dims& shape, int64_t axis, int64_t start, int64_t stop, int64_t step) const { return sm::unslice(*this, shape, axis, start, stop, step); }

Tensor concatenate(const std::vector<Tensor>& tensors, int64_t axis) {
  static const ops::Op& op = ops::find("concatenate");
  std::vector<const Tensor*> inputs;
  inputs.reserve(tensors.size());
  for (const Tensor& item : tensors) inputs.push_back(&item);
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}

Tensor stack(const std::vector<Tensor>& tensors, int64_t axis) {
  static const ops::Op& op = ops::find("stack");
  std::vector<const Tensor*> inputs;
  inputs.reserve(tensors.size());
  for (const Tensor& item : tensors) inputs.push_back(&item);
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}

Tensor pad_constant(const Tensor& tensor, const Dims& before, const Dims& after, double value) {
  static const ops::Op& op = ops::find("pad_constant");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {before, after, value};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::pad_constant(const Dims& before, const Dims& after, double value) const { return sm::pad_constant(*this, before, after, value); }

Tensor contiguous(const Tensor& tensor) {
  static const ops::Op& op = ops::find("contiguous");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::contiguous() const { return sm::contiguous(*this); }

Tensor astype(const Tensor& tensor, DType dtype) {
  static const ops::Op& op = ops::find("astype");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {dtype};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::astype(DType dtype) const { return sm::astype(*this, dtype); }

Tensor matmul(const Tensor& tensor, const Tensor& other) {
  static const ops::Op& op = ops::find("matmul");
  const Tensor* const inputs[] = {&tensor, &other};
  return ops::run(op, inputs, {});
}
Tensor Tensor::matmul(const Tensor& other) const { return sm::matmul(*this, other); }
Tensor Tensor::mm(const Tensor& other) const { return sm::matmul(*this, other); }

Tensor norm(const Tensor& tensor, double p, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("norm");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {p, axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::norm(double p, const Dims& axes, bool keep_dims) const { return sm::norm(*this, p, axes, keep_dims); }

Tensor normalize(const Tensor& tensor, double p, int64_t axis, double epsilon) {
  static const ops::Op& op = ops::find("normalize");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {p, axis, epsilon};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::normalize(double p, int64_t axis, double epsilon) const { return sm::normalize(*this, p, axis, epsilon); }

Tensor einsum(const std::string& equation, const std::vector<Tensor>& tensors) {
  static const ops::Op& op = ops::find("einsum");
  std::vector<const Tensor*> inputs;
  inputs.reserve(tensors.size());
  for (const Tensor& item : tensors) inputs.push_back(&item);
  const ops::Attr attrs[] = {equation};
  return ops::run(op, inputs, attrs);
}

Tensor conv2d(const Tensor& tensor, const Tensor& filter, const Tensor& bias, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
  static const ops::Op& op = ops::find("conv2d");
  const Tensor* const inputs[] = {&tensor, &filter, &bias};
  const ops::Attr attrs[] = {stride, padding, dilation, groups};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::conv2d(const Tensor& filter, const Tensor& bias, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) const { return sm::conv2d(*this, filter, bias, stride, padding, dilation, groups); }

Tensor conv2d_input_gradient(const Tensor& gradient, const Tensor& filter, const Dims& shape, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
  static const ops::Op& op = ops::find("conv2d_input_gradient");
  const Tensor* const inputs[] = {&gradient, &filter};
  const ops::Attr attrs[] = {shape, stride, padding, dilation, groups};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::conv2d_input_gradient(const Tensor& filter, const Dims& shape, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) const { return sm::conv2d_input_gradient(*this, filter, shape, stride, padding, dilation, groups); }

Tensor conv2d_filter_gradient(const Tensor& gradient, const Tensor& tensor, const Dims& shape, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
  static const ops::Op& op = ops::find("conv2d_filter_gradient");
  const Tensor* const inputs[] = {&gradient, &tensor};
  const ops::Attr attrs[] = {shape, stride, padding, dilation, groups};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::conv2d_filter_gradient(const Tensor& tensor, const Dims& shape, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) const { return sm::conv2d_filter_gradient(*this, tensor, shape, stride, padding, dilation, groups); }

Tensor avg_pool2d(const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) {
  static const ops::Op& op = ops::find("avg_pool2d");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::avg_pool2d(const Dims& kernel, const Dims& stride, const Dims& padding) const { return sm::avg_pool2d(*this, kernel, stride, padding); }

Tensor avg_pool2d_gradient(const Tensor& gradient, const Dims& shape, const Dims& kernel, const Dims& stride, const Dims& padding) {
  static const ops::Op& op = ops::find("avg_pool2d_gradient");
  const Tensor* const inputs[] = {&gradient};
  const ops::Attr attrs[] = {shape, kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::avg_pool2d_gradient(const Dims& shape, const Dims& kernel, const Dims& stride, const Dims& padding) const { return sm::avg_pool2d_gradient(*this, shape, kernel, stride, padding); }

Tensor max_pool2d(const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) {
  static const ops::Op& op = ops::find("max_pool2d");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::max_pool2d(const Dims& kernel, const Dims& stride, const Dims& padding) const { return sm::max_pool2d(*this, kernel, stride, padding); }

Tensor max_pool2d_gradient(const Tensor& gradient, const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) {
  static const ops::Op& op = ops::find("max_pool2d_gradient");
  const Tensor* const inputs[] = {&gradient, &tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::max_pool2d_gradient(const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) const { return sm::max_pool2d_gradient(*this, tensor, kernel, stride, padding); }

Tensor max_pool2d_gather(const Tensor& values, const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) {
  static const ops::Op& op = ops::find("max_pool2d_gather");
  const Tensor* const inputs[] = {&values, &tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::max_pool2d_gather(const Tensor& tensor, const Dims& kernel, const Dims& stride, const Dims& padding) const { return sm::max_pool2d_gather(*this, tensor, kernel, stride, padding); }

Tensor conv1d(const Tensor& tensor, const Tensor& filter, const Tensor& bias, int64_t stride, int64_t padding, int64_t dilation, int64_t groups) {
  static const ops::Op& op = ops::find("conv1d");
  const Tensor* const inputs[] = {&tensor, &filter, &bias};
  const ops::Attr attrs[] = {stride, padding, dilation, groups};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::conv1d(const Tensor& filter, const Tensor& bias, int64_t stride, int64_t padding, int64_t dilation, int64_t groups) const { return sm::conv1d(*this, filter, bias, stride, padding, dilation, groups); }

Tensor avg_pool1d(const Tensor& tensor, int64_t kernel, int64_t stride, int64_t padding) {
  static const ops::Op& op = ops::find("avg_pool1d");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::avg_pool1d(int64_t kernel, int64_t stride, int64_t padding) const { return sm::avg_pool1d(*this, kernel, stride, padding); }

Tensor max_pool1d(const Tensor& tensor, int64_t kernel, int64_t stride, int64_t padding) {
  static const ops::Op& op = ops::find("max_pool1d");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {kernel, stride, padding};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::max_pool1d(int64_t kernel, int64_t stride, int64_t padding) const { return sm::max_pool1d(*this, kernel, stride, padding); }

Tensor one_hot(const Tensor& labels, int64_t classes) {
  static const ops::Op& op = ops::find("one_hot");
  const Tensor* const inputs[] = {&labels};
  const ops::Attr attrs[] = {classes};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::one_hot(int64_t classes) const { return sm::one_hot(*this, classes); }

Tensor take(const Tensor& tensor, const Tensor& indices, int64_t axis) {
  static const ops::Op& op = ops::find("take");
  const Tensor* const inputs[] = {&tensor, &indices};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::take(const Tensor& indices, int64_t axis) const { return sm::take(*this, indices, axis); }

Tensor take_gradient(const Tensor& gradient, const Tensor& indices, const Dims& shape, int64_t axis) {
  static const ops::Op& op = ops::find("take_gradient");
  const Tensor* const inputs[] = {&gradient, &indices};
  const ops::Attr attrs[] = {shape, axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::take_gradient(const Tensor& indices, const Dims& shape, int64_t axis) const { return sm::take_gradient(*this, indices, shape, axis); }

Tensor embedding(const Tensor& weight, const Tensor& indices) {
  static const ops::Op& op = ops::find("embedding");
  const Tensor* const inputs[] = {&weight, &indices};
  return ops::run(op, inputs, {});
}
Tensor Tensor::embedding(const Tensor& indices) const { return sm::embedding(*this, indices); }

Tensor window(const Tensor& tensor, const Dims& starts, const Dims& counts, const Dims& steps) {
  static const ops::Op& op = ops::find("window");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {starts, counts, steps};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::window(const Dims& starts, const Dims& counts, const Dims& steps) const { return sm::window(*this, starts, counts, steps); }

Tensor assign_window(const Tensor& tensor, const Tensor& value, const Dims& starts, const Dims& counts, const Dims& steps) {
  static const ops::Op& op = ops::find("assign_window");
  const Tensor* const inputs[] = {&tensor, &value};
  const ops::Attr attrs[] = {starts, counts, steps};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::assign_window(const Tensor& value, const Dims& starts, const Dims& counts, const Dims& steps) const { return sm::assign_window(*this, value, starts, counts, steps); }

Tensor gather(const Tensor& tensor, const Tensor& indices, int64_t axis) {
  static const ops::Op& op = ops::find("gather");
  const Tensor* const inputs[] = {&tensor, &indices};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::gather(const Tensor& indices, int64_t axis) const { return sm::gather(*this, indices, axis); }

Tensor scatter(const Tensor& tensor, const Tensor& indices, const Tensor& values, int64_t axis) {
  static const ops::Op& op = ops::find("scatter");
  const Tensor* const inputs[] = {&tensor, &indices, &values};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::scatter(const Tensor& indices, const Tensor& values, int64_t axis) const { return sm::scatter(*this, indices, values, axis); }

Tensor scatter_add(const Tensor& tensor, const Tensor& indices, const Tensor& values, int64_t axis) {
  static const ops::Op& op = ops::find("scatter_add");
  const Tensor* const inputs[] = {&tensor, &indices, &values};
  const ops::Attr attrs[] = {axis};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::scatter_add(const Tensor& indices, const Tensor& values, int64_t axis) const { return sm::scatter_add(*this, indices, values, axis); }

Tensor masked_select(const Tensor& tensor, const Tensor& mask) {
  static const ops::Op& op = ops::find("masked_select");
  const Tensor* const inputs[] = {&tensor, &mask};
  return ops::run(op, inputs, {});
}
Tensor Tensor::masked_select(const Tensor& mask) const { return sm::masked_select(*this, mask); }

Tensor masked_fill(const Tensor& tensor, const Tensor& mask, const Tensor& value) {
  static const ops::Op& op = ops::find("masked_fill");
  const Tensor* const inputs[] = {&tensor, &mask, &value};
  return ops::run(op, inputs, {});
}
Tensor Tensor::masked_fill(const Tensor& mask, const Tensor& value) const { return sm::masked_fill(*this, mask, value); }

Tensor nonzero(const Tensor& tensor) {
  static const ops::Op& op = ops::find("nonzero");
  const Tensor* const inputs[] = {&tensor};
  return ops::run(op, inputs, {});
}
Tensor Tensor::nonzero() const { return sm::nonzero(*this); }

Tensor sort(const Tensor& tensor, int64_t axis, bool descending) {
  static const ops::Op& op = ops::find("sort");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, descending};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::sort(int64_t axis, bool descending) const { return sm::sort(*this, axis, descending); }

Tensor argsort(const Tensor& tensor, int64_t axis, bool descending) {
  static const ops::Op& op = ops::find("argsort");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, descending};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::argsort(int64_t axis, bool descending) const { return sm::argsort(*this, axis, descending); }

std::vector<Tensor> topk(const Tensor& tensor, int64_t k, int64_t axis, bool largest) {
  static const ops::Op& op = ops::find("topk");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {k, axis, largest};
  return ops::run_many(op, inputs, attrs);
}
std::vector<Tensor> Tensor::topk(int64_t k, int64_t axis, bool largest) const { return sm::topk(*this, k, axis, largest); }

Tensor median(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("median");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::median(const Dims& axes, bool keep_dims) const { return sm::median(*this, axes, keep_dims); }

Tensor cumsum(const Tensor& tensor, int64_t axis, bool reverse) {
  static const ops::Op& op = ops::find("cumsum");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axis, reverse};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::cumsum(int64_t axis, bool reverse) const { return sm::cumsum(*this, axis, reverse); }

Tensor prod(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("prod");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::prod(const Dims& axes, bool keep_dims) const { return sm::prod(*this, axes, keep_dims); }

Tensor count_nonzero(const Tensor& tensor, const Dims& axes, bool keep_dims) {
  static const ops::Op& op = ops::find("count_nonzero");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes, keep_dims};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::count_nonzero(const Dims& axes, bool keep_dims) const { return sm::count_nonzero(*this, axes, keep_dims); }

Tensor tile(const Tensor& tensor, const Dims& repeats) {
  static const ops::Op& op = ops::find("tile");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {repeats};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::tile(const Dims& repeats) const { return sm::tile(*this, repeats); }

Tensor flip(const Tensor& tensor, const Dims& axes) {
  static const ops::Op& op = ops::find("flip");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {axes};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::flip(const Dims& axes) const { return sm::flip(*this, axes); }

Tensor roll(const Tensor& tensor, const Dims& shifts, const Dims& axes) {
  static const ops::Op& op = ops::find("roll");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shifts, axes};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::roll(const Dims& shifts, const Dims& axes) const { return sm::roll(*this, shifts, axes); }

std::vector<Tensor> split(const Tensor& tensor, const Dims& sizes, int64_t axis) {
  static const ops::Op& op = ops::find("split");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {sizes, axis};
  return ops::run_many(op, inputs, attrs);
}
std::vector<Tensor> Tensor::split(const Dims& sizes, int64_t axis) const { return sm::split(*this, sizes, axis); }

Tensor pad(const Tensor& tensor, const Dims& before, const Dims& after, double value, const std::string& mode) {
  static const ops::Op& op = ops::find("pad");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {before, after, value, mode};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::pad(const Dims& before, const Dims& after, double value, const std::string& mode) const { return sm::pad(*this, before, after, value, mode); }

Tensor triu(const Tensor& tensor, int64_t diagonal) {
  static const ops::Op& op = ops::find("triu");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {diagonal};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::triu(int64_t diagonal) const { return sm::triu(*this, diagonal); }

Tensor tril(const Tensor& tensor, int64_t diagonal) {
  static const ops::Op& op = ops::find("tril");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {diagonal};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::tril(int64_t diagonal) const { return sm::tril(*this, diagonal); }

Tensor diagonal(const Tensor& tensor, int64_t offset, int64_t axis1, int64_t axis2) {
  static const ops::Op& op = ops::find("diagonal");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {offset, axis1, axis2};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::diagonal(int64_t offset, int64_t axis1, int64_t axis2) const { return sm::diagonal(*this, offset, axis1, axis2); }

Tensor undiagonal(const Tensor& tensor, const Dims& shape, int64_t offset, int64_t axis1, int64_t axis2) {
  static const ops::Op& op = ops::find("undiagonal");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {shape, offset, axis1, axis2};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::undiagonal(const Dims& shape, int64_t offset, int64_t axis1, int64_t axis2) const { return sm::undiagonal(*this, shape, offset, axis1, axis2); }

Tensor diag(const Tensor& tensor, int64_t offset) {
  static const ops::Op& op = ops::find("diag");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {offset};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::diag(int64_t offset) const { return sm::diag(*this, offset); }

Tensor linear(const Tensor& tensor, const Tensor& weight, const Tensor& bias) {
  static const ops::Op& op = ops::find("linear");
  const Tensor* const inputs[] = {&tensor, &weight, &bias};
  return ops::run(op, inputs, {});
}
Tensor Tensor::linear(const Tensor& weight, const Tensor& bias) const { return sm::linear(*this, weight, bias); }

Tensor dropout(const Tensor& tensor, double p, bool training) {
  static const ops::Op& op = ops::find("dropout");
  const Tensor* const inputs[] = {&tensor};
  const ops::Attr attrs[] = {p, training};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::dropout(double p, bool training) const { return sm::dropout(*this, p, training); }

Tensor layer_norm(const Tensor& tensor, const Tensor& weight, const Tensor& bias, int64_t axes, double epsilon) {
  static const ops::Op& op = ops::find("layer_norm");
  const Tensor* const inputs[] = {&tensor, &weight, &bias};
  const ops::Attr attrs[] = {axes, epsilon};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::layer_norm(const Tensor& weight, const Tensor& bias, int64_t axes, double epsilon) const { return sm::layer_norm(*this, weight, bias, axes, epsilon); }

Tensor rms_norm(const Tensor& tensor, const Tensor& weight, int64_t axes, double epsilon) {
  static const ops::Op& op = ops::find("rms_norm");
  const Tensor* const inputs[] = {&tensor, &weight};
  const ops::Attr attrs[] = {axes, epsilon};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::rms_norm(const Tensor& weight, int64_t axes, double epsilon) const { return sm::rms_norm(*this, weight, axes, epsilon); }

Tensor group_norm(const Tensor& tensor, int64_t groups, const Tensor& weight, const Tensor& bias, double epsilon) {
  static const ops::Op& op = ops::find("group_norm");
  const Tensor* const inputs[] = {&tensor, &weight, &bias};
  const ops::Attr attrs[] = {groups, epsilon};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::group_norm(int64_t groups, const Tensor& weight, const Tensor& bias, double epsilon) const { return sm::group_norm(*this, groups, weight, bias, epsilon); }

Tensor batch_norm(const Tensor& tensor, const Tensor& mean, const Tensor& variance, const Tensor& weight, const Tensor& bias, double epsilon) {
  static const ops::Op& op = ops::find("batch_norm");
  const Tensor* const inputs[] = {&tensor, &mean, &variance, &weight, &bias};
  const ops::Attr attrs[] = {epsilon};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::batch_norm(const Tensor& mean, const Tensor& variance, const Tensor& weight, const Tensor& bias, double epsilon) const { return sm::batch_norm(*this, mean, variance, weight, bias, epsilon); }

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask, bool causal, double scale) {
  static const ops::Op& op = ops::find("attention");
  const Tensor* const inputs[] = {&query, &key, &value, &mask};
  const ops::Attr attrs[] = {causal, scale};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::attention(const Tensor& key, const Tensor& value, const Tensor& mask, bool causal, double scale) const { return sm::attention(*this, key, value, mask, causal, scale); }

Tensor attention_weights(const Tensor& query, const Tensor& key, const Tensor& mask, bool causal, double scale) {
  static const ops::Op& op = ops::find("attention_weights");
  const Tensor* const inputs[] = {&query, &key, &mask};
  const ops::Attr attrs[] = {causal, scale};
  return ops::run(op, inputs, attrs);
}
Tensor Tensor::attention_weights(const Tensor& key, const Tensor& mask, bool causal, double scale) const { return sm::attention_weights(*this, key, mask, causal, scale); }

}  // namespace sm
