#pragma once

// Everything, for programs that use the library. Its own sources include what they use.

#include "shumai/autograd.hpp"
#include "shumai/content.hpp"
#include "shumai/dtype.hpp"
#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/index.hpp"
#include "shumai/io.hpp"
#include "shumai/json.hpp"
#include "shumai/loss.hpp"
#include "shumai/module.hpp"
#include "shumai/nn.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "shumai/random.hpp"
#include "shumai/schedule.hpp"
#include "shumai/shape.hpp"
#include "shumai/task.hpp"
#include "shumai/tensor.hpp"
#include "shumai/util.hpp"
