#include "reference/recorder.hpp"

#include <fstream>
#include <random>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm::reference {
namespace {

constexpr size_t kAlignment = 16;

std::mt19937_64& values() {
  static std::mt19937_64 random;
  return random;
}

void write_file(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw Error(ErrorCode::kInternal, "reference: can't write " + path);
}

}  // namespace

Json Recorder::keep(const Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  const Tensor rows = tensor.copy();
  Json shape = Json::array();
  for (int64_t size : rows.shape()) shape.push_back(size);
  data_.resize((data_.size() + kAlignment - 1) / kAlignment * kAlignment);
  const size_t at = data_.size();
  data_.append(reinterpret_cast<const char*>(rows.impl()->bytes()), rows.nbytes());
  return Json::object({{"dtype", name_of(rows.dtype())}, {"shape", shape}, {"at", at}});
}

Json Recorder::keep(const std::vector<Tensor>& tensors) {
  Json list = Json::array();
  for (const Tensor& tensor : tensors) list.push_back(keep(tensor));
  return list;
}

Json Recorder::keep(const Tensors& tensors) {
  Json named = Json::object();
  for (const auto& [name, tensor] : tensors) named[name] = keep(tensor);
  return named;
}

Json Recorder::keep_run(const std::vector<Tensor>& inputs, const Tensors& weights,
                        const std::function<std::vector<Tensor>()>& function) {
  Json record = Json::object({{"inputs", keep(inputs)}, {"weights", keep(weights)}});
  for (const Tensor& input : inputs)
    if (input.defined() && is_floating(input.dtype())) input.requires_grad(true);
  try {
    const std::vector<Tensor> results = function();
    record["results"] = keep(results);
    record["along"] = Json::array();
    Tensor total = scalar(0.0);
    for (const Tensor& result : results) {
      const Tensor along = uniform(result.shape(), result.dtype());
      record["along"].push_back(keep(along));
      total = total + sum(result * along);
    }
    const Gradients found = total.requires_grad() ? total.backward() : Gradients();
    record["input_gradients"] = Json::array();
    for (const Tensor& input : inputs) record["input_gradients"].push_back(keep(found.of(input)));
    record["weight_gradients"] = Json::object();
    for (const auto& [name, weight] : weights) record["weight_gradients"][name] = keep(found.of(weight));
  } catch (const Error& error) {
    record["error"] = error.what();
  }
  return record;
}

void Recorder::add(std::string_view kind, std::string_view name, std::string case_text, Json record) {
  record["kind"] = kind;
  record["name"] = name;
  record["case"] = std::move(case_text);
  cases_.push_back(std::move(record));
}

void Recorder::expect(std::string_view kind, std::string_view name) {
  if (!expected_.contains(kind)) expected_[kind] = Json::array();
  expected_[kind].push_back(name);
}

void Recorder::write(const std::string& directory) const {
  const Json all = Json::object({{"seed", seed_}, {"expected", expected_}, {"cases", cases_}});
  write_file(directory + "/cases.json", all.dump());
  write_file(directory + "/data.bin", data_);
}

void seed_values(uint64_t seed) { values().seed(seed); }

Tensor uniform(const Shape& shape, DType dtype, double low, double high) {
  std::vector<double> drawn(static_cast<size_t>(elements_of(shape)));
  for (double& x : drawn) x = low + (high - low) * static_cast<double>(values()() >> 11) * 0x1p-53;
  return astype(tensor(drawn, shape), dtype);
}

Tensor whole(const Shape& shape, int64_t low, int64_t high, DType dtype) {
  std::vector<int64_t> drawn(static_cast<size_t>(elements_of(shape)));
  for (int64_t& x : drawn) x = low + static_cast<int64_t>(values()() % static_cast<uint64_t>(high - low));
  return astype(tensor(drawn, shape), dtype);
}

std::vector<Tensor> converted(const std::vector<Tensor>& inputs, DType dtype) {
  std::vector<Tensor> out = inputs;
  for (Tensor& x : out)
    if (x.defined()) x = is_floating(x.dtype()) ? astype(x, dtype).copy() : x.copy();
  return out;
}

bool in_pytorch(DType dtype) { return dtype != DType::u16 && dtype != DType::u32 && dtype != DType::u64; }

}  // namespace sm::reference
