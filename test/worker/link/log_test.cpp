// liveswap_log (link/log.c): lines of the application in the master's log.
#include "../host_headers.hpp"
#include "../master_end.hpp"

#include <doctest/doctest.h>

#include <string>

#include "liveswap_plugin.h"

using namespace liveswap::test;

namespace {

// The text of the one line that has been logged.
std::string logged(const MasterEnd& master, const std::string& text) {
  liveswap_log(LIVESWAP_INFO, text.c_str());
  const auto line = master.receive();
  REQUIRE(line.has_value());
  CHECK(line->kind == LIVESWAP_LOG);
  CHECK(!master.receive().has_value());
  return line->text;
}

int level(const MasterEnd& master, int given) {
  liveswap_log(given, "x");
  return master.receive()->value;
}

const std::string kMark = " [cut]";

}  // namespace

TEST_CASE("log: a line and its level") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(logged(master, "a line") == "a line");
  CHECK(logged(master, "") == "");
  CHECK(logged(master, "two\nlines, %s and \xff") == "two\nlines, %s and \xff");
  for (const int each : {LIVESWAP_DEBUG, LIVESWAP_INFO, LIVESWAP_WARNING, LIVESWAP_ERROR})
    CHECK(level(master, each) == each);
}

TEST_CASE("log: a level out of range is the next that there is") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(level(master, LIVESWAP_DEBUG - 1) == LIVESWAP_DEBUG);
  CHECK(level(master, INT32_MIN) == LIVESWAP_DEBUG);
  CHECK(level(master, LIVESWAP_ERROR + 1) == LIVESWAP_ERROR);
  CHECK(level(master, INT32_MAX) == LIVESWAP_ERROR);
}

TEST_CASE("log: no text is no line") {
  MasterEnd master;
  REQUIRE(master.adopt());
  liveswap_log(LIVESWAP_INFO, nullptr);
  CHECK(!master.receive().has_value());
}

TEST_CASE("log: the longest line is whole, a longer one is cut and says so") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const std::string longest(LIVESWAP_LOG_MAX, 'l');
  CHECK(logged(master, longest) == longest);
  const std::string cut = longest.substr(0, LIVESWAP_LOG_MAX - kMark.size()) + kMark;
  for (const std::size_t more : {1UL, 2UL, 100UL, 1UL << 20})
    CHECK(logged(master, longest + std::string(more, 'l')) == cut);
}

TEST_CASE("log: no character is torn by the cut") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const std::size_t room = LIVESWAP_LOG_MAX - kMark.size();
  for (const std::string character : {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (std::size_t before = 0; before <= character.size(); ++before) {
      CAPTURE(before);
      const std::string line =
          logged(master, std::string(room - before, '.') + character + std::string(100, '.'));
      // It is in the line as a whole, or not at all.
      const bool fits = before >= character.size();
      CHECK(line == std::string(room - before, '.') +
                        (fits ? character + std::string(before - character.size(), '.') : "") + kMark);
    }
  }
  // Bytes that are no text have no place to be cut at.
  CHECK(logged(master, std::string(5000, '\x80')) == kMark);
}

TEST_CASE("log: lines that the master has no room for are counted, and the next line tells") {
  MasterEnd master;
  REQUIRE(master.adopt());
  int kept = 0;
  while (channel_try_send({.kind = LIVESWAP_LOG}, std::string(1000, 'f').data(), 1000)) ++kept;
  for (int i = 0; i < 3; ++i) liveswap_log(LIVESWAP_ERROR, std::string(2000, 'd').c_str());
  for (int i = 0; i < kept; ++i) REQUIRE(master.receive()->text[0] == 'f');
  // What it tells of the drop could not be sent either, and the count stays.
  liveswap_log(LIVESWAP_INFO, "after");
  const auto dropped = master.receive();
  REQUIRE(dropped.has_value());
  CHECK(dropped->value == LIVESWAP_WARNING);
  CHECK(dropped->text == "3 lines of log were dropped");
  CHECK(master.receive()->text == "after");
  liveswap_log(LIVESWAP_INFO, "later");
  CHECK(master.receive()->text == "later");
  CHECK(!master.receive().has_value());
}

TEST_CASE("log: without a master nothing happens") {
  MasterEnd master;
  REQUIRE(master.adopt());
  master.die();
  for (int i = 0; i < 2; ++i) liveswap_log(LIVESWAP_ERROR, "nobody hears it");
  MasterEnd next;
  REQUIRE(next.adopt());
  liveswap_log(LIVESWAP_INFO, "somebody does");
  CHECK(next.receive()->text == "2 lines of log were dropped");
  CHECK(next.receive()->text == "somebody does");
}
