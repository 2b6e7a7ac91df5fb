#include "ops/equation.hpp"

#include <algorithm>
#include <cctype>

#include "shumai/error.hpp"

namespace sm::ops {
namespace {

constexpr int kLetters = Dims::kMaxRank;  // the label of '\0'; ellipsis axes are below

bool is_letter(char letter) { return std::isalpha(static_cast<unsigned char>(letter)); }
int label_of(char letter) { return kLetters + letter; }

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (char letter : text) {
    if (letter == at)
      parts.emplace_back();
    else
      parts.back() += letter;
  }
  return parts;
}

std::string without_spaces(const std::string& text) {
  std::string out;
  for (char letter : text)
    if (!std::isspace(static_cast<unsigned char>(letter))) out += letter;
  return out;
}

}  // namespace

void Equation::fail(const std::string& what) const {
  throw Error(ErrorCode::kInvalidArgument, "einsum: \"" + text_ + "\" " + what);
}

Equation::Equation(const std::string& text, const std::vector<Shape>& shapes)
    : sizes(static_cast<size_t>(kLetters) + 128, 1), text_(text) {
  const std::string compact = without_spaces(text);
  const size_t arrow = compact.find("->");
  const std::vector<std::string> parts = split(compact.substr(0, arrow), ',');
  if (parts.size() != shapes.size())
    fail("has " + std::to_string(parts.size()) + " operands, got " + std::to_string(shapes.size()));
  read_operands(parts, shapes);
  if (arrow == std::string::npos)
    imply_result();
  else
    read_result(compact.substr(arrow + 2));
}

void Equation::take_size(int label, int64_t size, const Shape& shape) {
  int64_t& known = sizes[static_cast<size_t>(label)];
  if (known == 1) known = size;
  if (size != known && size != 1)
    throw Error(ErrorCode::kShapeMismatch,
                "einsum: \"" + text_ + "\" gives " +
                    (label < kLetters ? "an axis of the ellipsis" : std::string("axis ") + char(label - kLetters)) +
                    " the sizes " + std::to_string(known) + " and " + std::to_string(size) + ", the latter in " +
                    shape.to_string());
}

void Equation::read_operands(const std::vector<std::string>& parts, const std::vector<Shape>& shapes) {
  std::vector<int> covered;  // axes under each ellipsis, -1 without one
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t dots = parts[i].find("...");
    const int letters = static_cast<int>(parts[i].size()) - (dots == std::string::npos ? 0 : 3);
    const int rest = shapes[i].size() - letters;
    if (rest < 0 || (dots == std::string::npos && rest > 0))
      throw Error(ErrorCode::kShapeMismatch, "einsum: \"" + parts[i] + "\" of \"" + text_ + "\" needs " +
                                                 (dots == std::string::npos ? "" : "at least ") +
                                                 std::to_string(letters) + " axes, got " + shapes[i].to_string());
    covered.push_back(dots == std::string::npos ? -1 : rest);
    ellipsis_ = std::max(ellipsis_, covered.back());
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    Labels labels;
    for (size_t at = 0; at < parts[i].size(); ++at) {
      if (covered[i] >= 0 && at == parts[i].find("...")) {
        for (int k = ellipsis_ - covered[i]; k < ellipsis_; ++k) labels.push_back(k);
        at += 2;
      } else if (is_letter(parts[i][at])) {
        labels.push_back(label_of(parts[i][at]));
      } else {
        fail(std::string("must be made of letters, commas, \"...\" and \"->\", got '") + parts[i][at] + "'");
      }
    }
    for (size_t axis = 0; axis < labels.size(); ++axis) {
      const int64_t size = shapes[i][static_cast<int>(axis)];
      take_size(labels[axis], size, shapes[i]);
      const auto twin = std::find(labels.begin(), labels.begin() + static_cast<long>(axis), labels[axis]);
      if (shapes[i][static_cast<int>(twin - labels.begin())] != size)
        throw Error(ErrorCode::kShapeMismatch, "einsum: a diagonal needs axes of one size, got " +
                                                   shapes[i].to_string() + " for \"" + parts[i] + "\"");
    }
    operands.push_back(std::move(labels));
  }
}

void Equation::imply_result() {
  for (int k = 0; k < ellipsis_; ++k) result.push_back(k);
  std::vector<int> seen(sizes.size());
  for (const Labels& labels : operands)
    for (int label : labels) ++seen[static_cast<size_t>(label)];
  for (size_t label = kLetters; label < seen.size(); ++label)
    if (seen[label] == 1) result.push_back(static_cast<int>(label));
}

void Equation::read_result(const std::string& part) {
  const size_t dots = part.find("...");
  for (size_t at = 0; at < part.size(); ++at) {
    if (at == dots) {
      for (int k = 0; k < ellipsis_; ++k) result.push_back(k);
      at += 2;
      continue;
    }
    if (!is_letter(part[at])) fail(std::string("must have letters or \"...\" after \"->\", got '") + part[at] + "'");
    const int label = label_of(part[at]);
    const bool known = std::any_of(operands.begin(), operands.end(), [&](const Labels& labels) {
      return std::find(labels.begin(), labels.end(), label) != labels.end();
    });
    if (!known) fail(std::string("has '") + part[at] + "' in the result but in no operand");
    if (std::find(result.begin(), result.end(), label) != result.end())
      fail(std::string("has '") + part[at] + "' twice in the result");
    result.push_back(label);
  }
}

}  // namespace sm::ops
