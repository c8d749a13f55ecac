#include "master/workers/memory.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <vector>

using namespace liveswap::master;

TEST_CASE("the memory of a process grows by what it touches") {
  const auto before = pss_of(::getpid());
  REQUIRE(before.has_value());
  CHECK(*before > 100'000);
  std::vector<char> touched(64 << 20, 1);
  const auto after = pss_of(::getpid());
  REQUIRE(after.has_value());
  CHECK(*after - *before >= 60u << 20);
  CHECK(*after - *before < 80u << 20);
  CHECK(touched[12345] == 1);
}

TEST_CASE("what of a process is in RAM") {
  const auto before = rss_of(::getpid());
  REQUIRE(before.has_value());
  std::vector<char> touched(64 << 20, 1);
  const auto after = rss_of(::getpid());
  REQUIRE(after.has_value());
  CHECK(*after - *before >= 60u << 20);
  CHECK(touched[12345] == 1);
  CHECK_FALSE(rss_of(1 << 30).has_value());
  CHECK(parse_rss_pages("5 1234 7 1 0 9 0\n") == 1234);
  for (const char* text : {"", "5", "5 ", "5 x 7", "5 12", "5 99999999999999999999 7"})
    CHECK_FALSE(parse_rss_pages(text));
}

TEST_CASE("of a process that is not there nothing is known") {
  CHECK_FALSE(pss_of(1 << 30).has_value());
  CHECK(parse_pss("5-7 ---p 00 [rollup]\nRss:    9 kB\nPss:             1234 kB\nPss_Dirty: 5 kB\n") ==
        1234 * 1024);
  for (const char* text : {"", "Pss: 1 kB", "\nPss:", "\nPss: \n", "\nPss: kB\n", "\nPss: 1 MB\n",
                           "\nPss: 1x kB\n", "\nPss: 99999999999999999999 kB\n", "\nPss_Anon: 1 kB\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_pss(text).has_value());
  }
}
