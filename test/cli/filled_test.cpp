#include "cli/filled.hpp"

#include <doctest/doctest.h>

using namespace liveswap::cli;

TEST_CASE("lines end between words") {
  CHECK(filled("one two  three", {}) == "one two three");
  CHECK(filled("one two three", {7}) == "one two\nthree");
  CHECK(filled("one two three", {9, 2}) == "one two\n  three");
  CHECK(filled("", {9, 2}).empty());
}

TEST_CASE("a word that is longer than a line") {
  CHECK(filled("a abcdefgh b", {5}) == "a\nabcdefgh\nb");
  CHECK(filled("a abcdefgh b", {5, 0, true}) == "a\nabcde\nfgh b");
  CHECK(filled("abc", {1, 4, true}) == "a\n    b\n    c");
}

TEST_CASE("columns are characters, not bytes") {
  CHECK(filled("ää ää", {5}) == "ää ää");
  CHECK(filled("äääää", {2, 0, true}) == "ää\nää\nä");
}
