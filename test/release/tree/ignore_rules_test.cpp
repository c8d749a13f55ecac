#include "release/tree/ignore_rules.hpp"

#include <doctest/doctest.h>

#include "../support.hpp"

using namespace liveswap::release;

namespace {

bool ignored(const std::string& rules, const std::string& path, bool is_directory = false) {
  return IgnoreRules::parse(rules, "rules").value().ignores(path, is_directory);
}

}  // namespace

TEST_CASE("ignore rules: a name matches at any depth, a path from the top") {
  CHECK(ignored("*.log", "a.log"));
  CHECK(ignored("*.log", "b/c/a.log"));
  CHECK(ignored("*.log", ".log"));
  CHECK_FALSE(ignored("*.log", "a.log.txt"));
  CHECK(ignored("/a", "a"));
  CHECK_FALSE(ignored("/a", "b/a"));
  CHECK(ignored("b/a", "b/a"));
  CHECK_FALSE(ignored("b/a", "c/b/a"));
  CHECK(ignored("b/*.c", "b/x.c"));
  CHECK_FALSE(ignored("b/*.c", "b/d/x.c"));
  CHECK(ignored("**/cache", "x/y/cache"));
  CHECK(ignored("?[0-9]", "a7"));
}

TEST_CASE("ignore rules: a slash at the end means directories, the last line decides") {
  CHECK(ignored("tmp/", "a/tmp", true));
  CHECK_FALSE(ignored("tmp/", "a/tmp", false));
  CHECK(ignored("*.c\n!keep.c", "x.c"));
  CHECK_FALSE(ignored("*.c\n!keep.c", "keep.c"));
  CHECK(ignored("!keep.c\n*.c", "keep.c"));
}

TEST_CASE("ignore rules: comments, empty lines, spaces at the end, line ends of Windows") {
  CHECK_FALSE(ignored("# a\n\n   \n", "# a"));
  CHECK(ignored("a  \r\n", "a"));
  CHECK(ignored("\\#a", "#a"));
  CHECK(ignored("a\\ ", "a "));
  CHECK_FALSE(ignored("/\n//\n!\n", "a"));
}

TEST_CASE("ignore rules: version control is left out unless a line takes it") {
  CHECK(IgnoreRules().ignores(".git", true));
  CHECK(IgnoreRules().ignores("sub/.git", false));
  CHECK(IgnoreRules().ignores(".hg", true));
  CHECK_FALSE(IgnoreRules().ignores(".github", true));
  CHECK_FALSE(IgnoreRules().ignores(".gitignore", false));
  CHECK_FALSE(ignored("!.git", ".git", true));
}

TEST_CASE("ignore rules: what is not understood is refused, with its line") {
  const auto text = [](const std::string& rules) {
    const auto parsed = IgnoreRules::parse(rules, "/srv/app/.liveswapignore");
    return parsed ? "" : parsed.error().text;
  };
  CHECK(contains(text("a\nb/**/c\n"), "/srv/app/.liveswapignore, line 2: \"b/**/c\": **"));
  CHECK(contains(text("**/a/b"), "line 1"));
  CHECK(contains(text(std::string("a\0b", 3)), "found a NUL byte"));
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "a\n";
  CHECK(contains(text(many), "found more than 1000 patterns"));
}
