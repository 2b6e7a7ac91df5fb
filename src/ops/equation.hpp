#pragma once

#include <string>
#include <vector>

#include "ops/op.hpp"

namespace sm::ops {

// The axes of an operand, or of the result, as numbers: those of an ellipsis from 0, letters above.
using Labels = std::vector<int>;

// An equation of einsum, "ij,jk->ik", applied to shapes.
//
// As in NumPy: spaces mean nothing; a letter that stands twice in one operand is
// its diagonal; "..." stands for any number of axes, which broadcast; without an
// arrow the result has the ellipsis and then the letters that occur once, in
// alphabetical order. Letters that aren't in the result are summed over.
struct Equation {
  std::vector<Labels> operands;
  Labels result;
  std::vector<int64_t> sizes;  // by label

  // Throws Error (kInvalidArgument) for what isn't an equation of so many
  // operands, (kShapeMismatch) where it doesn't fit the shapes.
  Equation(const std::string& text, const std::vector<Shape>& shapes);

 private:
  void read_operands(const std::vector<std::string>& parts, const std::vector<Shape>& shapes);
  void read_result(const std::string& part);
  void imply_result();
  void take_size(int label, int64_t size, const Shape& shape);
  [[noreturn]] void fail(const std::string& what) const;

  std::string text_;
  int ellipsis_ = 0;  // axes that it stands for in the operand with the most
};

}  // namespace sm::ops
