#include "cli/timeline.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "cli/printable.hpp"
#include "sample_receipt.hpp"

using namespace liveswap::cli;
using Json = nlohmann::json;

namespace {

std::string without(std::string text, const std::string& part) {
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part)) text.erase(at, part.size());
  return text;
}

}  // namespace

TEST_CASE("a way back as a picture") {
  CHECK(timeline(reverted_receipt(), {80, false}) ==
        "                 |preparing|rolling  |reverting   |leaving\n"
        "                 |14 ms    |8 ms     |12 ms       |3.0 s\n"
        "slot 0  old  101 =============-----------]\n"
        "        new  201           ...#############------------------------------------x\n"
        "        back 301                      .....+++++++++++++++++++++++++++++++++++++\n"
        "slot 1  old  102 ===============================================================\n"
        "        new  202                ..###!\n"
        "\n"
        ". starting   = old code   # new code   + old code again   - draining   ] left\n"
        "x ended by force   ! failed or crashed\n");
}

TEST_CASE("no line is wider than the terminal, and narrow ones do without process numbers") {
  for (std::size_t width = 40; width < 200; ++width) {
    std::istringstream lines(timeline(reverted_receipt(), {width, false}));
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(columns(line) <= width);
    }
  }
  CHECK(timeline(reverted_receipt(), {60, false}).find("101") == std::string::npos);
  CHECK(timeline(reverted_receipt(), {0, false}).size() > 0);
}

TEST_CASE("colour changes nothing but colour") {
  auto picture = timeline(reverted_receipt(), {80, true});
  for (const char* code : {"\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"}) {
    CHECK(picture.find(code) != std::string::npos);
    picture = without(picture, code);
  }
  CHECK(picture == timeline(reverted_receipt(), {80, false}));
}

TEST_CASE("of very many slots those with trouble are seen") {
  Json receipt = reverted_receipt();
  const Json troubled = receipt["slots"][1];
  receipt["slots"] = Json::array();
  for (int slot = 0; slot < 1000; ++slot)
    receipt["slots"].push_back(
        {{"slot", slot}, {"workers", {{{"pid", slot}, {"role", "new"}, {"spawned_ms", 0}}}}});
  receipt["slots"][777] = troubled;
  receipt["slots"][777]["slot"] = 777;
  const auto picture = timeline(receipt, {80, false});
  CHECK(picture.find("slot 0 ") != std::string::npos);
  CHECK(picture.find("slot 777") != std::string::npos);
  CHECK(picture.find("slot 23 ") == std::string::npos);
  CHECK(picture.find("24 of 1000 slots; --json has all of them\n") != std::string::npos);
}

TEST_CASE("a receipt that is none is no reason to fail") {
  CHECK(timeline(Json(), {80, false}).empty());
  CHECK(timeline(Json::parse(R"({"slots":[]})"), {80, false}).empty());
  Json receipt = reverted_receipt();
  for (const Json& odd : {Json(), Json(-5), Json(INT64_MAX), Json("x"), Json::array({1}), Json(1.5)}) {
    for (const char* name : {"spawned_ms", "ready_ms", "drain_ms", "gone_ms", "role", "end", "pid"}) {
      receipt = reverted_receipt();
      receipt["slots"][0]["workers"][1][name] = odd;
      CHECK_FALSE(timeline(receipt, {80, false}).empty());
    }
    for (const char* name : {"phases", "length_ms"}) {
      receipt = reverted_receipt();
      receipt[name] = odd;
      CHECK_FALSE(timeline(receipt, {80, false}).empty());
    }
    receipt = reverted_receipt();
    receipt["phases"][1]["at_ms"] = odd;
    CHECK_FALSE(timeline(receipt, {80, false}).empty());
  }
}

TEST_CASE("one absurd label does not make every line of a picture as long as itself") {
  Json receipt = reverted_receipt();
  for (const char* name : {"role", "pid"})
    receipt["slots"][0]["workers"][0][name] = std::string(100'000, 'x');
  receipt["slots"][1]["slot"] = std::string(100'000, 'x');
  CHECK(timeline(receipt, {80, false}).size() < 10'000);
}
