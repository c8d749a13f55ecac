#include <doctest/doctest.h>

#include <limits>

#include "json/fields.hpp"
#include "json/parse.hpp"

using namespace liveswap::json;

namespace {

std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

}  // namespace

TEST_CASE("JSON that is nested too deeply is refused, whether it is valid or not") {
  CHECK(parse(nested(64)).has_value());
  CHECK(parse(nested(65)).error().text == "nested 65 levels deep, expected at most 64");
  CHECK(parse(nested(3), {2, 10}).error().text == "nested 3 levels deep, expected at most 2");
  for (const char* begin : {"[", "{\"a\":", "[{\"\\\"[\":"}) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += begin;
    CHECK(parse(text).error().text == "not valid JSON, expected an object");
  }
  CHECK(parse_or_null(nested(65)).is_null());
}

TEST_CASE("brackets in strings are no levels, and those beside one another are one") {
  const std::string many(100, '[');
  CHECK(parse("[\"" + many + "\",\"\\\"" + many + "\",\"\\\\\"]").has_value());
  CHECK(parse("[" + std::string(1, '{') + "}" + std::string(",[]") + ",{\"a\":[]}]", {3, 9}).has_value());
}

TEST_CASE("JSON of too many values is refused") {
  CHECK(parse("[1,2,3]", {9, 4}).has_value());
  CHECK(parse("[1,2,3,4]", {9, 4}).error().text == "made of 5 values, expected at most 4");
  CHECK(parse("[{},{},{}]", {9, 4}).error().text == "made of 7 values, expected at most 4");
}

TEST_CASE("what is no JSON is an error") {
  for (const char* text : {"", "{", "[1,]", "nul", "{} x", "\"\xff\"", "]", "[1e999]", "\"open", "\"\\"})
    CHECK(parse(text).error().text == "not valid JSON, expected an object");
}

TEST_CASE("a member of another type is treated as one that is missing") {
  const Json object =
      parse(R"({"text":"t","number":7,"list":[1],"true":true,"object":{},"null":null,"real":1.5})").value();
  CHECK(text(object, "text") == "t");
  CHECK(number(object, "number") == 7);
  CHECK(list(object, "list").size() == 1);
  CHECK(is_true(object, "true"));
  for (const char* other : {"object", "null", "real", "true", "list", "missing"}) {
    CHECK_FALSE(text(object, other).has_value());
    CHECK(text_or_empty(object, other).empty());
    CHECK_FALSE(number(object, other).has_value());
  }
  for (const Json& none : {Json(), Json("text"), Json::array({1}), Json(7)}) {
    CHECK(member(none, "text").is_null());
    CHECK(list(none, "list").empty());
    CHECK_FALSE(number(none, "number").has_value());
    CHECK_FALSE(is_true(none, "true"));
  }
}

TEST_CASE("numbers out of range are none, and sums stay in range") {
  const auto of = [](const char* digits) {
    return number(parse(std::string("{\"n\":") + digits + "}").value(), "n");
  };
  CHECK(of("9007199254740992") == 9007199254740992);
  CHECK(of("-9007199254740992") == -9007199254740992);
  for (const char* digits : {"9007199254740993", "-9007199254740993", "9223372036854775808",
                             "18446744073709551615", "-9223372036854775808", "1e5", "99999999999999999999"})
    CHECK_FALSE(of(digits).has_value());
  const Json object{{"n", 5}};
  CHECK(number(object, "n", 5, 5) == 5);
  CHECK_FALSE(number(object, "n", 6, 9).has_value());
  CHECK_FALSE(number(object, "n", 0, 4).has_value());

  constexpr auto most = std::numeric_limits<std::int64_t>::max(),
                 least = std::numeric_limits<std::int64_t>::min();
  CHECK(add(2, 3) == 5);
  CHECK(add(most, 1) == most);
  CHECK(add(least, -1) == least);
}
