#include "cli/history_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/printable.hpp"

using namespace liveswap::cli;
using Json = nlohmann::json;

namespace {

const Json two = Json::parse(R"([
  {"number":9,"started":"2026-11-22T23:17:58.042Z","kind":"upgrade","outcome":"ok","reason":"",
      "length_ms":42510,
   "to":{"path":"/srv/v2.so","id":"ab12cd34ef5611111"}},
  {"number":10,"started":"2026-11-23T01:00:00.000Z","kind":"rollback","outcome":"reverted","length_ms":12,
   "reason":"slot 1 failed, and there is much to say about it that does not fit","to":{"path":"/srv/v1.so",
    "id":""}}])");

}  // namespace

TEST_CASE("a line a receipt") {
  CHECK(history_table(two, 0) ==
        " N  STARTED               KIND      OUTCOME     TOOK  RELEASE       WHAT\n"
        " 9  2026-11-22 23:17:58Z  upgrade   ok        42.5 s  ab12cd34ef56  /srv/v2.so\n"
        "10  2026-11-23 01:00:00Z  rollback  reverted   12 ms  -             /srv/v1.so: slot 1 failed, and "
        "there is "
        "much to say about it that does not fit\n");
}

TEST_CASE("what was refused stands apart, with what was asked for") {
  Json three = two;
  three.insert(three.begin(),
               Json::parse(R"({"number":8,"started":"2026-11-22T22:00:00.000Z","kind":"upgrade",
    "outcome":"refused","length_ms":3,"asked":{"value":"/srv/v3.so"},"to":null,
    "reason":"cannot open /srv/v3.so"})"));
  const std::string apart =
      "refused before anything was touched:\n"
      "N  STARTED               KIND     OUTCOME  TOOK  RELEASE  WHAT\n"
      "8  2026-11-22 22:00:00Z  upgrade  refused  3 ms  -        /srv/v3.so: cannot open /srv/v3.so\n";
  CHECK(history_table(three, 0) == history_table(two, 0) + "\n" + apart);
  three.erase(three.begin() + 1, three.end());
  CHECK(history_table(three, 0) == apart);
  three[0].erase("asked");
  three[0]["from"] = {{"path", "/srv/v1.so"}};
  CHECK(history_table(three, 0).find("-        /srv/v1.so: cannot open") != std::string::npos);
}

TEST_CASE("on a narrow terminal what it went to has a line of its own") {
  CHECK(history_table(two, 70) ==
        " N  STARTED               KIND      OUTCOME     TOOK  RELEASE\n"
        " 9  2026-11-22 23:17:58Z  upgrade   ok        42.5 s  ab12cd34ef56\n"
        "    v2.so\n"
        "10  2026-11-23 01:00:00Z  rollback  reverted   12 ms  -\n"
        "    v1.so: slot 1 failed, and there is much to say about it that does\n"
        "    not fit\n");
  for (std::size_t width = 1; width < 140; ++width) {
    std::istringstream lines(history_table(two, width));
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(columns(line) <= width);
    }
  }
}

TEST_CASE("paths get shorter first, then ids, and a reason is never cut") {
  Json one = two;
  one.erase(0);
  one[0]["to"] = {{"path", "/srv/app/releases/2026-11-23/libapp.so"}, {"id", "ab12cd34ef5611111"}};
  const std::string reason = one[0]["reason"];
  const auto line = [&](std::size_t width) { return history_table(one, width); };
  CHECK(line(200).find("ab12cd34ef56  /srv/app/releases/2026-11-23/libapp.so: slot 1 failed, and there") !=
        std::string::npos);
  CHECK(line(150).find("ab12cd34ef56  libapp.so: slot 1 failed, and there") != std::string::npos);
  CHECK(line(120).find("ab12cd34  libapp.so: slot 1 failed, and there is much to say about\n" +
                       std::string(63, ' ') + "it that does not fit\n") != std::string::npos);
  for (std::size_t width = 1; width < 220; ++width) {
    std::string words = line(width);
    CAPTURE(words);
    CHECK(words.find("...") == std::string::npos);
    if (width < 20) continue;  // below 20 columns words are broken
    std::replace(words.begin(), words.end(), '\n', ' ');
    words.erase(std::unique(words.begin(), words.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
                words.end());
    CHECK(words.find(reason) != std::string::npos);
  }
}

TEST_CASE("no history, and one that is none") {
  CHECK(history_table(Json::array(), 0) == "no upgrade has left a receipt yet\n");
  const auto table = history_table(Json::parse(R"([7,{"to":7,"reason":7,"started":"\u001b[2J"}])"), 0);
  CHECK(table.find('\x1b') == std::string::npos);
  CHECK(table.find("?") != std::string::npos);
}

TEST_CASE("a receipt that went to a release without a path is shown on a narrow terminal too") {
  const Json receipts = Json::parse(R"([{"number":1,"kind":"upgrade","outcome":"ok","to":{"path":""}}])");
  for (const std::size_t width : {0, 20, 60})
    CHECK(history_table(receipts, width).find("upgrade") != std::string::npos);
}

TEST_CASE("one absurd text does not make every line of a table as long as itself") {
  Json receipts = Json::array();
  for (int i = 0; i < 1000; ++i) receipts.push_back({{"number", i}, {"kind", "upgrade"}, {"outcome", "ok"}});
  receipts[7]["kind"] = std::string(1'000'000, 'x');
  for (const std::size_t width : {0, 80}) CHECK(history_table(receipts, width).size() < 2'500'000);
}
