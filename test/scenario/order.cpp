// The order of an upgrade's steps, and how many workers it uses.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/control.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

// The events of an upgrade on the control socket, up to its answer.
std::vector<Json> events_of_upgrade(const Instance& app, const std::string& library) {
  Connection connection(local_door(app.site()));
  connection.send(Json{{"cmd", "upgrade"}, {"value", library}}.dump() + "\n");
  std::vector<Json> events;
  for (;;) {
    events.push_back(Json::parse(connection.read_line()));
    if (events.back().contains("cmd")) return events;
  }
}

std::size_t place_of(const std::vector<Json>& events, const std::string& event, int slot) {
  const auto found = std::find_if(events.begin(), events.end(), [&](const Json& each) {
    return each.value("event", "") == event && each.value("slot", -1) == slot;
  });
  CHECK_MESSAGE(found != events.end(), "no event ", event, " of slot ", slot);
  return static_cast<std::size_t>(found - events.begin());
}

// The largest number of workers that start or serve at the same time, from the events. With `last` "gone": of
// all workers.
int most_workers(const std::vector<Json>& events, int before, const std::string& last = "draining") {
  int now = before;
  int most = before;
  for (const auto& each : events) {
    now += each.value("event", "") == "spawned" ? 1 : each.value("event", "") == last ? -1 : 0;
    most = std::max(most, now);
  }
  CHECK(now == before);
  return most;
}

TEST_CASE_FIXTURE(Scenario, "new before old, one slot after the other") {
  Instance app(*this, fixture("version_v1"), {"--forks", "3"});
  const auto events = events_of_upgrade(app, fixture("version_v2"));
  CHECK(events.back()["value"] == "OK");
  for (int slot = 0; slot < 3; ++slot) {
    CHECK(place_of(events, "spawned", slot) < place_of(events, "ready", slot));
    CHECK(place_of(events, "ready", slot) < place_of(events, "draining", slot));
    CHECK(place_of(events, "draining", slot) < place_of(events, "gone", slot));
    if (slot > 0) CHECK(place_of(events, "ready", slot - 1) < place_of(events, "spawned", slot));
  }
}

TEST_CASE_FIXTURE(Scenario, "a batch of two") {
  Instance app(*this, fixture("version_v1"), {"--forks", "4", "--batch", "2"});
  const auto events = events_of_upgrade(app, fixture("version_v2"));
  CHECK(place_of(events, "spawned", 1) < place_of(events, "ready", 0));
  CHECK(place_of(events, "ready", 0) < place_of(events, "spawned", 3));
}

TEST_CASE_FIXTURE(Scenario,
                  "a surge of one: never more than one worker beyond the forks that starts or serves") {
  Instance app(*this, fixture("version_v1"), {"--forks", "3", "--surge", "1"});
  const auto events = events_of_upgrade(app, fixture("version_v2"));
  CHECK(events.back()["value"] == "OK");
  CHECK(most_workers(events, 3) == 4);
}

// With so many the state for the next master takes long, so it is written with pauses, for which drains wait.
TEST_CASE_FIXTURE(Scenario, "old workers of many slots leave while the others are still replaced") {
  constexpr int slots = 128;
  Instance app(*this, own_fixture("report"), {"--forks", std::to_string(slots), "--settle", "0ms"});
  const auto events = events_of_upgrade(app, own_fixture("report"));
  CHECK(events.back()["value"] == "OK");
  CHECK(most_workers(events, slots, "gone") < 2 * slots);
}

TEST_CASE_FIXTURE(Scenario, "a surge of none: old before new, and nothing lost all the same") {
  Instance app(*this, fixture("version_v1"), {"--surge", "0"});
  Load load(*this, app.address());
  const auto events = events_of_upgrade(app, fixture("version_v2"));
  CHECK(events.back()["value"] == "OK");
  CHECK(most_workers(events, 2, "gone") == 2);
  for (int slot = 0; slot < 2; ++slot)
    CHECK(place_of(events, "draining", slot) < place_of(events, "spawned", slot));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "the first slot that fails ends the upgrade there") {
  Instance app(*this, fixture("version_v1"), {"--forks", "4"});
  const auto before = app.workers();
  const auto events = events_of_upgrade(app, fixture("crash_start"));
  CHECK(events.back()["status"] == "reverted");
  CHECK(most_workers(events, 4, "gone") == 5);
  CHECK(app.workers() == before);
}

}  // namespace
}  // namespace scenario
