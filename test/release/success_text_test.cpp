#include "release/success_text.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using liveswap::release::success_text;
using Json = nlohmann::json;

namespace {

const std::string words = "generation 2 serves in 2 slots";

Json receipt() {
  return Json::parse(
      R"({"from":{"path":"/srv/libapp.so","id":"3fa9c1d2e0b1ffff"},"to":{"path":"/srv/libapp_v2.so",
    "id":"ab12ef34cd56ffff"},"phases":[{"phase":"rolling","at_ms":14},{"phase":"leaving","at_ms":312}],
    "slots":[
    {"slot":0,"workers":[{"drain_ms":200,"gone_ms":900,"end":"clean","drained":7,"killed":0,"lost":0},
                         {"drain_ms":null,"gone_ms":null,"end":null,"drained":null,"killed":null,
                           "lost":null}]},
    {"slot":1,"workers":[{"drain_ms":300,"gone_ms":500,"end":"clean","drained":5,"killed":0,"lost":0}]}]})");
}

Json& old_worker(Json& receipt) { return receipt["slots"][1]["workers"][0]; }

}  // namespace

TEST_CASE("which release took the place of which, when, and what became of the connections") {
  CHECK(success_text(receipt(), words) ==
        "libapp.so (3fa9c1d2e0b1) → libapp_v2.so (ab12ef34cd56): generation 2 serves in 2 slots after 312 "
        "ms; 12 "
        "connections "
        "drained, none lost");
  CHECK(success_text(receipt(), words + "; the worker of generation 1 in slot 0 died") ==
        "libapp.so (3fa9c1d2e0b1) → libapp_v2.so (ab12ef34cd56): generation 2 serves in 2 slots after 312 "
        "ms; 12 "
        "connections "
        "drained, none lost; the worker of generation 1 in slot 0 died");
}

TEST_CASE("what was cut is said, and what is not known is not claimed") {
  const auto told = [](const Json& receipt) {
    const std::string text = success_text(receipt, words);
    return text.substr(text.find("; ") + 2);
  };
  Json one = receipt();
  old_worker(one).update({{"end", "forced"}, {"drained", 2}, {"killed", 3}});
  CHECK(told(one) == "9 connections drained, 3 connections killed by force");
  old_worker(one)["drained"] = 0;
  CHECK(told(one) == "7 connections drained, 3 connections killed by force");
  Json nothing_drained = one;
  nothing_drained["slots"].erase(0);
  CHECK(told(nothing_drained) == "3 connections killed by force");
  old_worker(one).update({{"end", "crashed"}, {"drained", 2}, {"killed", 0}, {"lost", 1}});
  CHECK(told(one) == "9 connections drained, 1 connection lost with a worker that died");
  old_worker(one).update({{"end", "crashed"}, {"drained", nullptr}, {"lost", nullptr}});
  CHECK(told(one) == "7 connections drained, those of a worker that did not leave by itself are not known");
  one = receipt();
  old_worker(one)["drained"] = nullptr;
  CHECK(told(one) == "at least 7 connections drained, none lost");
  one["slots"].erase(0);
  CHECK(told(one) == "no connection lost");
  old_worker(one = receipt())["drained"] = 0;
  one["slots"].erase(0);
  CHECK(told(one) == "no connections to drain, none lost");
}

TEST_CASE("times are for people, and a receipt without members is no trouble") {
  Json one = receipt();
  one["phases"][1]["at_ms"] = 3'140;
  CHECK(success_text(one, words).find("slots after 3.1 s;") != std::string::npos);
  one["phases"][1]["at_ms"] = 75'900;
  CHECK(success_text(one, words).find("slots after 75 s;") != std::string::npos);
  CHECK(success_text(Json::object(), words) == words);
  CHECK(success_text(Json::array(), words) == words);
  CHECK(success_text({{"from", nullptr}, {"to", {{"path", "/x.so"}, {"id", nullptr}}}}, words) ==
        "x.so: " + words);
}
