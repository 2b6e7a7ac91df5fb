#include "http/headers.hpp"

#include <gtest/gtest.h>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

TEST(Headers, FindIgnoresCase) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  EXPECT_EQ(headers.get("content-TYPE"), "text/plain");
  EXPECT_EQ(headers.find("Content-Typ"), std::nullopt);
  EXPECT_EQ(headers.get("Accept", "none"), "none");
  EXPECT_TRUE(iequals("Shumai-Session", "Shumai-SESSIOn"));
  EXPECT_FALSE(iequals("Shumai-Session", "Shumai-Sessioo"));
  EXPECT_FALSE(iequals("Shumai-Session", "Shumai-Sessio"));
  EXPECT_FALSE(iequals("a@c", "a`c"));
  EXPECT_TRUE(iequals("", ""));
}

TEST(Headers, AddKeepsDuplicatesInOrderAndSetReplacesAll) {
  Headers headers;
  headers.add("A", "1");
  headers.add("B", "2");
  headers.add("a", "3");
  EXPECT_EQ(headers.count("A"), 2u);
  EXPECT_EQ(headers.get("A"), "1");
  headers.set("A", "4");
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].name, "B");
  EXPECT_EQ(headers[1].value, "4");
  EXPECT_EQ(headers.erase("b"), 1u);
  EXPECT_EQ(headers.erase("b"), 0u);
}

TEST(Headers, ValueFromTheSameListSurvivesGrowth) {
  Headers headers;
  headers.add("First", std::string(300, 'x'));
  for (int i = 0; i < 20; ++i) headers.add("Copy", headers.get("First"));
  headers.set("First", headers.get("Copy"));
  for (const auto field : headers) EXPECT_EQ(field.value, std::string(300, 'x'));
}

TEST(Headers, RefusesWhatWouldSmuggleAnotherField) {
  Headers headers;
  for (const char* name : {"", "a b", "a:b", "a\r\nb", "\xc3\xa4"}) EXPECT_THROW(headers.add(name, "v"), Error) << name;
  for (const char* value : {"a\r\nEvil: 1", "a\nb", "\x7f", "\x01"}) EXPECT_THROW(headers.set("n", value), Error);
  EXPECT_THROW(headers.add("n", std::string_view("a\0b", 3)), Error);
  EXPECT_NO_THROW(headers.add("n", "tab\tand \xc3\xa4"));
}

TEST(Headers, ListsTokensOfAllFields) {
  Headers headers;
  headers.add("Connection", "keep-alive, Upgrade");
  headers.add("connection", " ,close,");
  EXPECT_TRUE(headers.lists("Connection", "upgrade"));
  EXPECT_TRUE(headers.lists("Connection", "CLOSE"));
  EXPECT_FALSE(headers.lists("Connection", "keep"));
}

}  // namespace
}  // namespace sm::http
