// Socket options that a release sets on the shared listeners.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/instance.hpp"

namespace scenario {
namespace {

std::string setter(const std::string& version) { return own_fixture("setter_" + version); }

// Makes enough connections for each slot; a client waits for the greeting without sending anything.
int greeted(const Instance& app, const std::string& version) {
  int count = 0;
  for (int i = 0; i < 16; ++i) {
    Connection client(app.address());
    if (contains(client.read_line(milliseconds(500)), "200") &&
        contains(client.read_all(milliseconds(500)), version))
      ++count;
  }
  return count;
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "what a release has set on a listener does not hold for the next one") {
  for (const std::string mode : {"reuseport", "shared"})
    for (const std::string what : {"md5", "filter", "locked", "device", "defer"}) {
      CAPTURE(mode);
      CAPTURE(what);
      Instance app(*this, setter("v1"), {"--forks", "2", "--listen-mode", mode});
      CHECK(greeted(app, "v1") == 16);
      CHECK(contains(http_get(app.address(), "/" + what), "v1"));
      const auto finished = app.upgrade(setter("v2"));
      CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
      CHECK(greeted(app, "v2") == 16);
      CHECK(contains(app.master().err(), what == "locked" ? "another socket is in its place"
                                                          : "set by generation 1, is as it was before"));
    }
}

TEST_CASE_FIXTURE(Scenario, "what a release that is reverted has set does not hold for the old one") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    Instance app(*this, setter("v1"), {"--forks", "2", "--listen-mode", mode});
    const auto finished = app.upgrade(setter("bad"));
    CHECK_MESSAGE(finished.status == Exit::reverted, finished.err);
    CHECK(greeted(app, "v1") == 16);
    CHECK(contains(app.master().err(), "TCP_DEFER_ACCEPT, set by generation 2, is as it was before"));
  }
}

TEST_CASE_FIXTURE(Scenario, "what the release that serves has set holds, also when another one is reverted") {
  Instance app(*this, setter("v1"), {"--forks", "1"});
  CHECK(contains(http_get(app.address(), "/defer"), "v1"));
  CHECK(app.upgrade(setter("bad")).status == Exit::reverted);
  auto client = Connection(app.address());
  CHECK(client.read_line(milliseconds(300)) == "");
}

}  // namespace scenario
