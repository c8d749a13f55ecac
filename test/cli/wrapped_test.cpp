#include "cli/wrapped.hpp"

#include <doctest/doctest.h>

using namespace liveswap::cli;

TEST_CASE("lines end between words") {
  CHECK(wrapped("one two  three", {}) == "one two three");
  CHECK(wrapped("one two three", {7}) == "one two\nthree");
  CHECK(wrapped("one two three", {9, 2}) == "one two\n  three");
  CHECK(wrapped("", {9, 2}).empty());
}

TEST_CASE("a word that is longer than a line") {
  CHECK(wrapped("a abcdefgh b", {5}) == "a\nabcdefgh\nb");
  CHECK(wrapped("a abcdefgh b", {5, 0, true}) == "a\nabcde\nfgh b");
  CHECK(wrapped("abc", {1, 4, true}) == "a\n    b\n    c");
}

TEST_CASE("columns are characters, not bytes") {
  CHECK(wrapped("ää ää", {5}) == "ää ää");
  CHECK(wrapped("äääää", {2, 0, true}) == "ää\nää\nä");
}
