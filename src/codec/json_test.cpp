#include "shumai/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"

namespace sm {
namespace {

std::string error_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

std::string parse_error(std::string_view text, const JsonLimits& limits = {}) {
  return error_of([&] { Json::parse(text, limits); });
}

TEST(Json, ObjectFromBracesKeepsItsOrder) {
  const Json value = Json::object({{"loss", 0.5}, {"a", Json::array({1, true, nullptr, "x"})}});
  EXPECT_EQ(value.dump(), R"({"loss":0.5,"a":[1,true,null,"x"]})");
}

TEST(Json, ObjectOfOnePairOfStringsIsAnObject) {
  EXPECT_EQ(Json::object({{"a", "b"}}).dump(), R"({"a":"b"})");
  EXPECT_EQ(Json::object({{"a", "b"}, {"c", "d"}}).dump(), R"({"a":"b","c":"d"})");
  EXPECT_EQ(Json::array({Json::array({1})}).dump(), "[[1]]");
}

TEST(Json, PointersAreNotBooleans) {
  const char* text = "yes";
  EXPECT_TRUE(Json(text).is_string());
  EXPECT_FALSE((std::is_constructible_v<Json, int*>));
}

TEST(Json, UnsignedBeyondInt64BecomesDouble) {
  EXPECT_EQ(Json(uint64_t{1} << 63).type(), Json::Type::number);
  EXPECT_EQ(Json(std::numeric_limits<int64_t>::max()).as_int64(), std::numeric_limits<int64_t>::max());
}

TEST(Json, CopiesAreIndependent) {
  Json a = Json::object({{"list", Json::array({1, 2})}});
  const Json b = a;
  a["list"].push_back(3);
  EXPECT_EQ(a["list"].size(), 3u);
  EXPECT_EQ(b["list"].size(), 2u);
}

TEST(Json, IndexingANullMakesAnObject) {
  Json value;
  value["outer"]["inner"] = 1;
  EXPECT_EQ(value.dump(), R"({"outer":{"inner":1}})");
  Json list;
  list.push_back("x");
  EXPECT_EQ(list.dump(), R"(["x"])");
  EXPECT_EQ(list[0].as_string(), "x");
}

TEST(Json, FindAndErase) {
  Json value = Json::object({{"a", 1}, {"b", 2}});
  ASSERT_NE(value.find("b"), nullptr);
  EXPECT_EQ(value.find("b")->as_int64(), 2);
  EXPECT_EQ(value.find("c"), nullptr);
  EXPECT_EQ(Json(1).find("c"), nullptr);
  EXPECT_TRUE(value.erase("a"));
  EXPECT_FALSE(value.erase("a"));
  EXPECT_EQ(value.dump(), R"({"b":2})");
}

TEST(Json, AccessorsNameBothTypes) {
  const Json value = Json::object({{"a", 1}, {"b", 2.5}});
  EXPECT_EQ(error_of([&] { value.as_string(); }), "invalid_argument: json: expected a string, got an object");
  EXPECT_EQ(error_of([&] { value["a"].as_array(); }), "invalid_argument: json: expected an array, got an integer");
  EXPECT_EQ(error_of([&] { value["b"].as_int64(); }), "invalid_argument: json: expected an integer, got 2.5");
  EXPECT_EQ(error_of([&] { value["c"]; }), R"(not_found: json: no key "c" among {"a", "b"})");
  EXPECT_EQ(error_of([&] { Json::array({1})[1]; }), "out_of_range: json: index 1 is out of range for an array of 1");
  EXPECT_EQ(error_of([&] { Json("x").as_bool(); }), "invalid_argument: json: expected a boolean, got a string");
  EXPECT_EQ(error_of([&] { Json("x").as_double(); }), "invalid_argument: json: expected a number, got a string");
}

TEST(Json, WholeDoublesAreIntegersToo) {
  EXPECT_EQ(Json(3.0).as_int64(), 3);
  EXPECT_EQ(Json(3).as_double(), 3.0);
  EXPECT_EQ(error_of([] { Json(1e30).as_int64(); }), "invalid_argument: json: expected an integer, got 1e+30");
}

TEST(Json, EqualityIgnoresOrderAndNumberKind) {
  EXPECT_EQ(Json::parse(R"({"a":1,"b":[2]})"), Json::parse(R"({"b":[2.0],"a":1})"));
  EXPECT_FALSE(Json::parse(R"({"a":1})") == Json::parse(R"({"a":2})"));
  EXPECT_FALSE(Json::parse(R"({"a":1})") == Json::parse(R"({"b":1})"));
  EXPECT_FALSE(Json(true) == Json(1));
}

TEST(Json, ParseThenDumpIsTheSameText) {
  for (const char* text : {"null", "true", "false", "0", "-1", "1.5", "\"\"", "[]", "{}", "[[],{}]",
                           R"({"":{"a":[1,"b"]}})", R"("a\"\\\n\r\t\u0001é漢😀")", "9223372036854775807",
                           "-9223372036854775808", "-0", "1e+300", "0.1", "5e-324", "1.7976931348623157e+308"})
    EXPECT_EQ(Json::parse(text).dump(), text);
}

TEST(Json, DoublesRoundTrip) {
  for (double value : {0.1, 1.0 / 3, 1e-308, 4.9e-324, 2.2250738585072014e-308, 123456789012345680.0, -0.0})
    EXPECT_EQ(std::bit_cast<uint64_t>(Json::parse(Json(value).dump()).as_double()), std::bit_cast<uint64_t>(value));
}

TEST(Json, IndentedDump) {
  EXPECT_EQ(Json::parse(R"({"a":[1,2],"b":{},"c":[]})").dump(2),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}");
}

TEST(Json, NonFiniteDumpsAsNull) { EXPECT_EQ(Json::array({NAN, INFINITY, -INFINITY}).dump(), "[null,null,null]"); }

TEST(Json, BytesThatAreNotUtf8DumpAsReplacement) {
  EXPECT_EQ(Json("a\xff").dump(), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(Json("\xed\xa0\x80").dump(), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(Json("\xf4\x90\x80\x80").dump().size(), 2 + 4 * 3u);
  EXPECT_EQ(Json("\xc3").dump(), "\"\xef\xbf\xbd\"");
}

TEST(Json, EscapesAreRead) {
  EXPECT_EQ(Json::parse(R"("\u0041\ud83d\ude00\/")").as_string(), "A😀/");
  EXPECT_EQ(Json::parse(R"({"k\u0041":1})")["kA"].as_int64(), 1);
}

TEST(Json, BigIntegersBecomeDoubles) {
  EXPECT_EQ(Json::parse("9223372036854775808").as_double(), 0x1p63);
  EXPECT_EQ(Json::parse("18446744073709551616").as_double(), 0x1p64);
  EXPECT_EQ(Json::parse(std::string(300, '9')).as_double(), 1e300);
}

TEST(Json, TinyNumbersBecomeZero) {
  EXPECT_EQ(Json::parse("1e-400").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(Json::parse("-1e-400").as_double()));
  EXPECT_EQ(Json::parse("0." + std::string(400, '0') + "1").as_double(), 0.0);
  EXPECT_EQ(Json::parse("0e999").as_double(), 0.0);
}

TEST(Json, NumbersBeyondFloat64AreRefused) {
  EXPECT_EQ(parse_error("1e400"), R"(protocol: json: number "1e400" doesn't fit float64)");
  EXPECT_EQ(parse_error("-1e400"), R"(protocol: json: number "-1e400" doesn't fit float64)");
  EXPECT_NE(parse_error(std::string(400, '9')), "no error");
  EXPECT_NE(parse_error("0.001e400"), "no error");
  EXPECT_NE(parse_error("1e99999999999999999999"), "no error");
}

TEST(Json, MalformedTextIsRefused) {
  for (const char* text :
       {"",        " ",     "nul",  "[1,]", "{\"a\":1,}", "[1 2]", "01",     "+1",       ".5",
        "5.",      "1e",    "-",    "NaN",  "Infinity",   "'a'",   "\"\n\"", "\"\xff\"", "\"\\ud800\"",
        "\"\\x\"", "{1:2}", "[1]]", "1 1",  "//c\n1",     "[",     "{\"a\""})
    EXPECT_TRUE(parse_error(text).starts_with("protocol: json: ")) << text << " gave " << parse_error(text);
}

TEST(Json, SyntaxErrorsSayWhere) {
  EXPECT_EQ(parse_error("[1, x]"), R"(protocol: json: syntax error at byte 4, before "x]")");
  EXPECT_EQ(parse_error("[1"), "protocol: json: the text ends too early, at byte 2");
  EXPECT_EQ(parse_error("1 x"), R"(protocol: json: extra data at byte 2, before "x")");
}

TEST(Json, DuplicateKeysAreRefused) {
  EXPECT_EQ(parse_error(R"({"a":1,"b":2,"a":3})"), R"(protocol: json: key "a" comes twice in one object)");
  EXPECT_EQ(parse_error(R"({"a":{"a":1}})"), "no error");
  EXPECT_NE(error_of([] { Json::object({{"a", 1}, {"a", 2}}); }), "no error");
}

TEST(Json, DeepNestingIsRefusedEarly) {
  EXPECT_EQ(parse_error(std::string(100'000, '[')), "too_large: json: nested deeper than 32 levels at byte 32");
  EXPECT_EQ(parse_error(std::string(32, '[') + std::string(32, ']')), "no error");
  EXPECT_NE(parse_error(std::string(33, '[') + std::string(33, ']')), "no error");
}

TEST(Json, SizeAndCountAreLimited) {
  EXPECT_EQ(parse_error("[1,2,3]", {.max_bytes = 6}), "too_large: json: 7 bytes, at most 6 are accepted");
  EXPECT_EQ(parse_error("[1,2,3]", {.max_values = 3}), "too_large: json: more than 3 values");
  EXPECT_EQ(parse_error("[1,2,3]", {.max_bytes = 7, .max_values = 4}), "no error");
}

}  // namespace
}  // namespace sm
