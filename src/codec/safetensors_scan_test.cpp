#include "codec/safetensors_scan.hpp"

#include <gtest/gtest.h>

namespace sm::codec {
namespace {

const std::string kPlain = R"({"0":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}     )";

bool scans(std::string_view text, size_t data_size = 24) {
  std::vector<SafetensorsInfo> infos;
  return scan_safetensors_header(text, data_size, infos);
}

std::string with(const std::string& part, const std::string& instead) {
  std::string text = kPlain;
  return text.replace(text.find(part), part.size(), instead);
}

TEST(SafetensorsScan, ReadsMembersInAnyOrderWithBlanks) {
  std::vector<SafetensorsInfo> infos;
  ASSERT_TRUE(scan_safetensors_header(
      R"( { "w" : { "shape" : [ 2 , 3 ] , "data_offsets":[1,25], "dtype" : "F32" } ,"e":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}} )",
      25, infos));
  ASSERT_EQ(infos.size(), 2u);
  EXPECT_EQ(infos[0].name, "w");
  EXPECT_EQ(infos[0].dtype, DType::f32);
  EXPECT_EQ(infos[0].shape, Shape({2, 3}));
  EXPECT_EQ(infos[0].begin, 1u);
  EXPECT_EQ(infos[0].end, 25u);
  EXPECT_EQ(infos[1].dtype, DType::boolean);
  EXPECT_TRUE(infos[1].shape.empty());
}

// The parser of JSON reads these, or says what is wrong.
TEST(SafetensorsScan, LeavesWhatIsUnusual) {
  ASSERT_TRUE(scans(kPlain));
  for (const auto& [part, instead] : std::vector<std::pair<std::string, std::string>>{
           {"\"0\"", R"("\u0030")"},
           {"\"0\"", "\"\xc3\xa4\""},
           {"\"0\"", R"("__metadata__")"},
           {"\"dtype\"", R"("more":1,"dtype")"},
           {"\"dtype\"", R"("dtype":"F32","dtype")"},
           {"\"F32\"", "\"F31\""},
           {"\"F32\"", "\"F64\""},
           {"[2,3]", "[2,03]"},
           {"[2,3]", "[2,-3]"},
           {"[2,3]", "[2,3.0]"},
           {"[2,3]", "[2,3,]"},
           {"[2,3]", "[3037000500,3037000500]"},
           {"[2,3]", "[1000000000000000000,1]"},
           {"[0,24]", "[24,0]"},
           {"[0,24]", "[1,25]"},
           {"[0,24]", "[0]"},
           {"[0,24]", "[0,24,24]"},
           {"}}", "}"},
           {"}}", "}}x"},
           {"}}", "},}"},
           {"}}", R"(},"0":{"dtype":"F32","shape":[0],"data_offsets":[24,24]}})"}})
    EXPECT_FALSE(scans(with(part, instead))) << instead;
}

}  // namespace
}  // namespace sm::codec
