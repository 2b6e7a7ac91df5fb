#pragma once

// Modules of every kind.

#include "shumai/layers.hpp"
#include "shumai/module.hpp"
#include "shumai/recurrent.hpp"
#include "shumai/transformer.hpp"
