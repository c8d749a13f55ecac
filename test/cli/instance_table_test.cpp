#include "cli/instance_table.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace liveswap;
using namespace liveswap::cli;
using Json = nlohmann::json;

TEST_CASE("the instances of a machine") {
  client::Instances instances;
  instances.seen.push_back(
      {{"/run/liveswap", 3000},
       0,
       77,
       R"({"state":"running","head":"/srv/libapp.so","release_id":"3fa9c1d2e0b1ffff","uptime_ms":61000})"});
  instances.seen.push_back({{"/tmp/liveswap-4000000001", 3001}, 4'000'000'001, 8, ""});
  instances.hidden = 2;
  const auto all = instances_json(instances);
  CHECK(all[0]["port"] == 3000);
  CHECK(all[0]["pid"] == 77);
  CHECK(all[0]["user"] == "root");
  CHECK(all[0]["state"] == "running");
  CHECK(all[0]["release_id"] == "3fa9c1d2e0b1ffff");
  CHECK(all[0]["runtime_dir"] == "/run/liveswap");
  CHECK(all[1]["state"].is_null());
  CHECK(instance_table(all, instances.hidden) ==
        "PORT  PID  USER             STATE         UPTIME  RELEASE             RUNTIME DIRECTORY\n"
        "3000   77  root             running    1 min 1 s  3fa9c1d2 libapp.so  /run/liveswap\n"
        "3001    8  user 4000000001  no answer          -  -                   /tmp/liveswap-4000000001\n"
        "2 instances of other users: sudo liveswap list\n");
  CHECK(instance_table(Json::array(), 0) == "no instance runs that you may control\n");
}
