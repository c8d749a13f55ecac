#include "base/tail.hpp"

#include <doctest/doctest.h>

using namespace liveswap;

namespace {

std::string tail_of(std::string_view bytes) {
  Tail tail;
  tail.append(bytes);
  return tail.text();
}

}  // namespace

TEST_CASE("tail: the last lines, as they were written, without blank ones") {
  CHECK(tail_of("") == "");
  CHECK(tail_of("\n\n \t\r\n") == "");
  CHECK(tail_of("one") == "one");
  CHECK(tail_of("one\r\n\n  two\n") == "one\n  two");
}

TEST_CASE("tail: a line may come in pieces, and beside one that comes another way") {
  Tail tail;
  tail.append("on");
  tail.append("e\ntw");
  tail.append_line("logged");
  tail.append("three\n");
  CHECK(tail.text() == "one\ntw\nlogged\nthree");
}

TEST_CASE("tail: control characters are seen, what is no UTF-8 is replaced") {
  CHECK(tail_of("\x1b[31mred\x07\x7f") == "\\x1b[31mred\\x07\\x7f");
  CHECK(tail_of("\xc2\x9b") == "\\x9b");
  CHECK(tail_of("\tat f()") == "    at f()");
  CHECK(tail_of("gr\xc3\xb6\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82") ==
        "gr\xc3\xb6\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82");
  for (const char* bad : {"\xff", "\xc0", "\x80", "\xc3"}) CHECK(tail_of(bad) == "\xef\xbf\xbd");
  CHECK(tail_of("\xed\xa0\x80").find("\xed") == std::string::npos);  // a surrogate
  CHECK(tail_of("\xe0\x80\xaf").find("\xe0") == std::string::npos);  // overlong
  CHECK(tail_of(std::string("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("tail: no more than so many lines and bytes, however much is written") {
  Tail tail;
  for (int i = 0; i < 10'000; ++i) tail.append("line " + std::to_string(i) + "\n");
  const auto text = tail.text();
  CHECK(text.find("line 9980\n") == 0);
  CHECK(text.rfind("line 9999") == text.size() - 9);

  const auto longest = tail_of(std::string(100'000, 'x') + "end\n");
  CHECK(longest.size() <= Tail::size_limit + 3);
  CHECK(longest.starts_with("...x"));
  CHECK(longest.ends_with("xend"));

  // Cut between characters.
  std::string euros;
  for (int i = 0; i < 3'000; ++i) euros += "\xe2\x82\xac";
  for (int shift = 0; shift < 3; ++shift) {
    const auto shown = tail_of(euros + std::string(static_cast<std::size_t>(shift), 'x'));
    CHECK(shown.find("\xef\xbf\xbd") == std::string::npos);
    CHECK(shown.size() <= Tail::size_limit + 3);
  }
  const auto mixed = tail_of(std::string(1'500, 'a') + "\n" + std::string(1'500, 'b') + "\n");
  CHECK(mixed == std::string(1'500, 'b'));
}

TEST_CASE("tail: below a reason, without what that says already") {
  CHECK(with_output("it failed", "") == "it failed");
  CHECK(with_output("it failed", "one\ntwo") == "it failed\nit wrote last:\n    one\n    two");
  CHECK(with_output("it failed:\none", "one\ntwo") == "it failed:\none\nit wrote last:\n    two");
  CHECK(with_output("it failed: one", "one") == "it failed: one");
  CHECK(first_line("it failed\nit wrote last:\n    one") == "it failed");
}
