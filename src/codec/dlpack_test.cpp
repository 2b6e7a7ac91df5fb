#include "shumai/dlpack.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

using testing::HasSubstr;
using Floats = std::vector<float>;

// An array of another library, which counts how often it was given back.
template <class Struct>
struct Foreign {
  std::vector<float> data = {1, 2, 3, 4, 5, 6};
  std::vector<int64_t> shape = {2, 3};
  std::vector<int64_t> strides = {3, 1};
  int released = 0;
  Struct managed;

  Foreign() {
    managed.array.data = data.data();
    managed.array.ndim = 2;
    managed.array.shape = shape.data();
    managed.array.strides = strides.data();
    managed.context = this;
    managed.deleter = [](Struct* self) { ++static_cast<Foreign*>(self->context)->released; };
  }
};
using Versioned = Foreign<dlpack::ManagedVersioned>;
using Unversioned = Foreign<dlpack::Managed>;

template <class Struct>
std::string error_of(Foreign<Struct>& foreign) {
  try {
    from_dlpack(&foreign.managed);
  } catch (const Error& error) {
    EXPECT_EQ(foreign.released, 0) << "what is refused stays the caller's";
    return error.what();
  }
  return "no error";
}

TEST(Dlpack, EveryDTypeComesBackWithoutACopy) {
  for (int code = 0; code < kDTypeCount; ++code) {
    const Tensor x = astype(reshape(arange(0, 6), {2, 3}), static_cast<DType>(code));
    const Tensor back = from_dlpack(to_dlpack(x));
    EXPECT_EQ(back.dtype(), x.dtype());
    EXPECT_EQ(back.shape(), x.shape());
    EXPECT_EQ(back.impl()->bytes(), x.impl()->bytes());
    EXPECT_EQ(back.to_vector<double>(), x.to_vector<double>());
  }
}

TEST(Dlpack, ViewsKeepTheirStrides) {
  const Tensor x = reshape(arange(0, 6), {2, 3});
  for (const Tensor& view :
       {transpose(x), flip(x, {}), expand(slice(x, 1, 1, 2), {2, 3}), slice(x, 1, 1, 3), zeros({0, 3}), scalar(2.f)}) {
    const Tensor back = from_dlpack(to_dlpack(view));
    EXPECT_EQ(back.strides(), view.strides());
    EXPECT_EQ(back.to_vector<double>(), view.to_vector<double>());
  }
}

TEST(Dlpack, GivesAwayWhatTheSpecificationSays) {
  const Tensor x = reshape(arange(0, 6), {2, 3});
  dlpack::ManagedVersioned* given = to_dlpack(transpose(x));
  EXPECT_EQ(given->version.major, 1u);
  EXPECT_EQ(given->flags, dlpack::kReadOnly);
  EXPECT_EQ(given->array.device.type, 1);
  EXPECT_EQ(given->array.ndim, 2);
  EXPECT_EQ(given->array.shape[0], 3);
  EXPECT_EQ(given->array.strides[0], 1);
  EXPECT_EQ(given->array.strides[1], 3);
  EXPECT_EQ(given->array.byte_offset, 0u);
  given->deleter(given);
}

TEST(Dlpack, AnUpdateLeavesWhatWasGivenAway) {
  const Tensor weight = tensor({1.f, 2.f}).requires_grad(true);
  dlpack::ManagedVersioned* given = to_dlpack(weight);
  optim::sgd(sum(weight * 2.0).backward(), 1.f);
  EXPECT_EQ(weight.to_vector<float>(), (Floats{-1, 0}));
  EXPECT_EQ(static_cast<float*>(given->array.data)[1], 2);
  given->deleter(given);
}

TEST(Dlpack, ACopyMayBeWritten) {
  const Tensor x = tensor({1.f, 2.f});
  dlpack::ManagedVersioned* versioned = to_dlpack(x, true);
  EXPECT_EQ(versioned->flags, dlpack::kCopied);
  static_cast<float*>(versioned->array.data)[0] = 7;
  versioned->deleter(versioned);
  dlpack::Managed* unversioned = to_dlpack_unversioned(x);
  static_cast<float*>(unversioned->array.data)[0] = 7;
  unversioned->deleter(unversioned);
  EXPECT_EQ(x.to_vector<float>(), (Floats{1, 2}));
}

TEST(Dlpack, MemoryIsGivenBackOnceWithTheLastTensor) {
  Versioned foreign;
  Tensor view;
  {
    const Tensor x = from_dlpack(&foreign.managed);
    EXPECT_EQ(static_cast<void*>(x.impl()->bytes()), foreign.data.data());
    view = transpose(x);
  }
  EXPECT_EQ(foreign.released, 0);
  EXPECT_EQ(view.to_vector<float>(), (Floats{1, 4, 2, 5, 3, 6}));
  view = {};
  EXPECT_EQ(foreign.released, 1);
}

TEST(Dlpack, AGivenTensorOutlivesItsHandle) {
  dlpack::ManagedVersioned* given = to_dlpack(tensor({1.f, 2.f}));
  EXPECT_EQ(from_dlpack(given).to_vector<float>(), (Floats{1, 2}));
}

TEST(Dlpack, OptimizersWriteWhereTheyMay) {
  Versioned open, closed;
  closed.managed.flags = dlpack::kReadOnly;
  const Tensor a = from_dlpack(&open.managed).requires_grad(true);
  const Tensor b = from_dlpack(&closed.managed).requires_grad(true);
  optim::sgd(sum(a + b).backward(), 1.f);
  EXPECT_EQ(a.to_vector<float>(), (Floats{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(b.to_vector<float>(), (Floats{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(open.data[0], 0);
  EXPECT_EQ(closed.data[0], 1);
  EXPECT_EQ(closed.released, 1) << "the tensor has moved to memory of its own";
}

TEST(Dlpack, TheOlderStructIsRead) {
  Unversioned foreign;
  foreign.managed.array.strides = nullptr;
  foreign.managed.array.byte_offset = 8;
  foreign.shape = {2, 2};
  EXPECT_EQ(from_dlpack(&foreign.managed).to_vector<float>(), (Floats{3, 4, 5, 6}));
  EXPECT_EQ(foreign.released, 1);
}

TEST(Dlpack, NegativeStridesAreRead) {
  Versioned foreign;
  foreign.strides = {-3, -1};
  foreign.managed.array.byte_offset = 5 * sizeof(float);
  EXPECT_EQ(from_dlpack(&foreign.managed).to_vector<float>(), (Floats{6, 5, 4, 3, 2, 1}));
}

TEST(Dlpack, WhatATensorCannotBeIsRefused) {
  Versioned foreign;
  foreign.managed.version.major = 2;
  EXPECT_THAT(error_of(foreign), HasSubstr("version 2.0, expected 1"));
  foreign.managed.version.major = 1;
  foreign.managed.array.device.type = 2;
  EXPECT_THAT(error_of(foreign), HasSubstr("a device of type 2, expected the CPU (1)"));
  foreign.managed.array.device.type = 1;
  foreign.managed.array.dtype.lanes = 4;
  EXPECT_THAT(error_of(foreign), HasSubstr("code 2, 32 bits, 4 lanes"));
  foreign.managed.array.dtype = {5, 64, 1};
  EXPECT_THAT(error_of(foreign), HasSubstr("code 5, 64 bits, 1 lanes"));
  foreign.managed.array.dtype = {};
  foreign.managed.array.byte_offset = 2;
  EXPECT_THAT(error_of(foreign), HasSubstr("aren't aligned"));
  foreign.managed.array.byte_offset = 0;
  foreign.shape = {-1, 3};
  EXPECT_THAT(error_of(foreign), HasSubstr("negative size in [-1, 3]"));
  foreign.shape = {2, 3};
  foreign.strides = {INT64_MAX, 1};
  EXPECT_THAT(error_of(foreign), HasSubstr("reach too far"));
  foreign.managed.array.ndim = 65;
  EXPECT_THAT(error_of(foreign), HasSubstr("65 dimensions"));
  EXPECT_THROW(from_dlpack(static_cast<dlpack::Managed*>(nullptr)), Error);
  EXPECT_THROW(to_dlpack({}), Error);
}

}  // namespace
}  // namespace sm
