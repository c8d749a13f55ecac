#include "cli/printable.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cli/duration_text.hpp"

using namespace liveswap::cli;
using namespace std::chrono_literals;

TEST_CASE("nothing that drives a terminal is left") {
  CHECK(printable("plain, ä€😀") == "plain, ä€😀");
  CHECK(printable("\x1b[2J\a\x7f\n") == "\\x1b[2J\\x07\\x7f\\x0a");
  CHECK(printable("a\nb\r", true) == "a\nb\\x0d");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\x9b2J");
  CHECK(printable("\x9b"
                  "2J\xff\xc3") == "\\x9b2J\\xff\\xc3");
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
}

TEST_CASE("JSON stays the same JSON") {
  const std::string line = "{\"a\":\"\xc2\x9b\x7f ä\"}";
  const std::string safe = printable_json(line);
  CHECK(safe == "{\"a\":\"\\u009b\\u007f ä\"}");
  CHECK(nlohmann::json::parse(safe) == nlohmann::json::parse(line));
}

TEST_CASE("columns") {
  CHECK(columns("") == 0);
  CHECK(columns("aä€") == 3);
}

TEST_CASE("durations for people") {
  CHECK(duration_text(-1ms) == "0 ms");
  CHECK(duration_text(999ms) == "999 ms");
  CHECK(duration_text(1290ms) == "1.2 s");
  CHECK(duration_text(185s) == "3 min 5 s");
  CHECK(duration_text(123min) == "2 h 3 min");
  CHECK(duration_text(50h) == "2 d 2 h");
}

TEST_CASE("what is cut says so") {
  CHECK(cut("abcdef", 6) == "abcdef");
  CHECK(cut("abcdef", 5) == "ab...");
  CHECK(cut("abcdef", 2) == "..");
  CHECK(cut("abcdef", 0) == "abcdef");
  CHECK(cut("ääääää", 5) == "ää...");
}
