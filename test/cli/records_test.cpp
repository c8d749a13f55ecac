#include "cli/records.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "release/history.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::cli;
using liveswap::test::TempDir;
using Json = nlohmann::json;

namespace {

// An instance with a state directory, without a master.
struct Place {
  Place() {
    where.state_dir = directory.path();
    where.runtime_dir = directory / "none";
    where.port = 1;
  }

  TempDir directory;
  Client::Where where;
};

}  // namespace

TEST_CASE("without a master the receipts are read from the state directory") {
  const Place place;
  release::History history(place.where.state_dir);
  REQUIRE(history.add({{"kind", "start"}, {"outcome", "ok"}, {"slots", Json::array()}}).has_value());
  REQUIRE(history.add({{"kind", "upgrade"}, {"outcome", "reverted"}, {"slots", Json::array()}}).has_value());

  const auto all = history_of(place.where, 20).outcome;
  REQUIRE(all.status == ok);
  CHECK(Json::parse(all.text) == Json::parse(R"([{"number":1,"kind":"start","outcome":"ok"},
                                                {"number":2,"kind":"upgrade","outcome":"reverted"}])"));
  CHECK(Json::parse(history_of(place.where, 1).outcome.text).size() == 1);
  CHECK(Json::parse(receipt_of(place.where, 1).text).at("kind") == "start");
  CHECK(Json::parse(receipt_of(place.where, {}).text).at("slots").is_array());
  CHECK(receipt_of(place.where, 9).status == failed);
}

TEST_CASE("receipts that are missing in the list are told, with the reason") {
  const Place place;
  release::History history(place.where.state_dir);
  REQUIRE(history.add({{"kind", "start"}, {"outcome", "ok"}}).has_value());
  CHECK(history_of(place.where, 20).left_out.empty());
  std::ofstream(place.where.state_dir + "/history/2.json") << "{";
  const auto one = history_of(place.where, 20);
  CHECK(Json::parse(one.outcome.text).size() == 1);
  CHECK(one.left_out == "1 receipt is left out: 1 damaged");
  std::filesystem::remove(place.where.state_dir + "/history/1.json");
  std::ofstream(place.where.state_dir + "/history/3.json") << "{";
  const auto none = history_of(place.where, 20);
  CHECK(none.outcome.status == ok);
  CHECK(Json::parse(none.outcome.text).empty());
  CHECK(none.left_out == "2 receipts are left out: 2 damaged");
}

TEST_CASE("neither a master nor receipts") {
  const Place place;
  const auto outcome = history_of(place.where, 20).outcome;
  CHECK(outcome.status == no_master);
  CHECK(outcome.text.find("no master on port 1") == 0);
  CHECK(outcome.text.ends_with("; and there is no receipt in " + place.where.state_dir + "/history"));
}

TEST_CASE("the receipts of another machine are not looked for here") {
  Place place;
  release::History history(place.where.state_dir);
  REQUIRE(history.add({{"kind", "start"}}).has_value());
  place.where.address = "192.0.2.1";
  place.where.timeout = Milliseconds{50};
  CHECK(history_of(place.where, 20).outcome.status != ok);
}
