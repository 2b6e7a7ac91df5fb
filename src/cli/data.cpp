#include "cli/data.hpp"

#include <cmath>
#include <fstream>
#include <iostream>

#include "cli/usage.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/readable.hpp"
#include "shumai/util.hpp"

namespace sm::cli {
namespace {

bool has_tensors(const std::string& file) { return file.ends_with(".npy") || file.ends_with(".safetensors"); }

Tensor only_tensor(const std::string& file) {
  const Tensors all = load(file);
  if (all.size() != 1)
    throw Error(ErrorCode::kInvalidArgument,
                "\"" + file + "\" holds " + std::to_string(all.size()) + " tensors where one is expected");
  return all.at(0).second;
}

Data from_both(const std::string& file, const std::string& names) {
  const size_t comma = names.find(',');
  if (comma == names.npos) throw UsageError("--names must be two names as in x,y, got \"" + names + "\"");
  const Tensors all = load(file);
  return {all[names.substr(0, comma)], all[names.substr(comma + 1)]};
}

void add_line(const std::string& line, std::vector<Tensor>& xs, std::vector<Tensor>& ys) {
  const size_t bar = line.find('|');
  if (bar == line.npos) throw Error(ErrorCode::kProtocol, "expected \"x | y\", got no \"|\"");
  const Tensor x = io::decode_readable(std::string_view(line).substr(0, bar));
  const Tensor y = io::decode_readable(std::string_view(line).substr(bar + 1));
  if (!xs.empty() && (x.shape() != xs[0].shape() || y.shape() != ys[0].shape()))
    throw Error(ErrorCode::kShapeMismatch, "expected shapes " + xs[0].shape().to_string() + " | " +
                                               ys[0].shape().to_string() + " as before, got " + x.shape().to_string() +
                                               " | " + y.shape().to_string());
  xs.push_back(x);
  ys.push_back(y);
}

Data from_lines(std::istream& in, const std::string& name) {
  std::vector<Tensor> xs, ys;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    try {
      add_line(line, xs, ys);
    } catch (const Error& error) {
      throw Error(error.code(), name + ", line " + std::to_string(number) + ": " + error.what());
    }
  }
  if (xs.empty()) throw Error(ErrorCode::kInvalidArgument, name + " has no examples");
  return {stack(xs), stack(ys)};
}

Data read(const std::vector<std::string>& files, const std::string& names) {
  if (files.size() == 2 && has_tensors(files[0]) && has_tensors(files[1]))
    return {only_tensor(files[0]), only_tensor(files[1])};
  if (files.size() == 2) throw UsageError("--data: two files must be .npy or .safetensors");
  if (files[0] == "-") return from_lines(std::cin, "standard input");
  if (files[0].ends_with(".safetensors")) return from_both(files[0], names);
  if (files[0].ends_with(".npy")) throw UsageError("--data: a .npy file has x alone; give a second one for y");
  std::ifstream in(files[0]);
  if (!in) throw Error(ErrorCode::kNotFound, "\"" + files[0] + "\" can't be read");
  return from_lines(in, "\"" + files[0] + "\"");
}

}  // namespace

Data read_data(const std::vector<std::string>& files, const std::string& names) {
  Data data = read(files, names);
  if (data.x.ndim() == 0 || data.y.ndim() == 0 || data.x.size(0) != data.y.size(0))
    throw Error(ErrorCode::kShapeMismatch, "data: x and y must have as many rows, got " + data.x.shape().to_string() +
                                               " and " + data.y.shape().to_string());
  if (data.size() == 0) throw Error(ErrorCode::kInvalidArgument, "data: there are no examples");
  return data;
}

Split split(int64_t size, double held_out, uint64_t seed) {
  const std::vector<int64_t> order = util::shuffle(util::range(size), seed);
  const auto judges = static_cast<int64_t>(std::floor(static_cast<double>(size) * held_out));
  return {{order.begin(), order.end() - judges}, {order.end() - judges, order.end()}};
}

Data rows(const Data& data, const std::vector<int64_t>& indices) {
  const Tensor at = tensor(indices);
  return {take(data.x, at, 0), take(data.y, at, 0)};
}

}  // namespace sm::cli
