#pragma once

#include <map>
#include <string>

namespace sm::sweep {

// The rows that have no reference because their values are random, each with
// the test of its distribution.
const std::map<std::string, void (*)()>& random_rows();

}  // namespace sm::sweep
