// The new code binds another address on the same port.
#include <doctest/doctest.h>

#include <filesystem>

#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const Words as_a_program{"--entry", "main"};
const std::string v1 = BINDER_BUILD "/libbinder_v1.so", v2 = BINDER_BUILD "/libbinder_v2.so";

void plan(const std::string& directory, const std::string& version, const std::string& where) {
  write_file(directory + "/" + version + ".plan", "listen " + where + "\n");
}

std::string taken(const Instance& app) {
  std::string found;
  const Json status = app.status();
  for (const auto& one : status.value("listeners", Json::array()))
    if (one.value("application", false)) found += one.value("address", "") + " ";
  return found;
}

void check_upgrade(const Instance& app, const std::string& library, const Words& options = {}) {
  const auto finished = app.upgrade(library, options);
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "from one address to all and back, at one port, nothing is lost") {
  const std::string directory = dir.directory("plans");
  struct {
    std::string mode, narrow, wide, wide_name;
  } const changes[] = {{"reuseport", "", "0.0.0.0:", "0.0.0.0:"},
                       {"shared", "", "0.0.0.0:", "0.0.0.0:"},
                       {"reuseport", "", "[::]:", "[::]:"},
                       {"reuseport", "0.0.0.0:", "[::]:", "[::]:"}};
  for (const auto& change : changes) {
    CAPTURE(change.mode);
    CAPTURE(change.wide);
    const Port port;
    plan(directory, "v1", change.narrow + port.text());
    plan(directory, "v2", change.wide + port.text());
    Instance app(*this, v1, as_a_program + Words{"--listen-mode", change.mode}, {directory});
    const auto narrow = taken(app);
    Load load(*this, port.address(), {"--rate", "300"});
    Sessions sessions(port.address());
    REQUIRE(sessions.all_began());
    check_upgrade(app, v2);
    CHECK(eventually([&] { return taken(app) == change.wide_name + port.text() + " "; }));
    CHECK(contains(http_get(port.address()), "v2"));
    check_upgrade(app, v1, {"--probation", "1s"});
    CHECK(eventually([&] { return taken(app) == narrow; }));
    CHECK(contains(http_get(port.address()), "v1"));
    load.stop().check_nothing_lost();
    for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  }
}

TEST_CASE_FIXTURE(Scenario, "an upgrade to another address that is given up loses nothing") {
  const std::string directory = dir.directory("plans");
  for (const bool widen : {true, false}) {
    CAPTURE(widen);
    const Port port;
    plan(directory, widen ? "v1" : "v2", port.text());
    plan(directory, widen ? "v2" : "v1", "0.0.0.0:" + port.text());
    Instance app(*this, v1, as_a_program, {directory});
    const auto before = taken(app);
    Load load(*this, port.address(), {"--rate", "300"});
    REQUIRE(app.upgrade(v2, {"--probation", "10m", "--detach"}).status == Exit::ok);
    REQUIRE(app.serves(v2));
    for (int i = 0; i < 20; ++i) CHECK(contains(http_get(port.address()), "v2"));
    CHECK(app.run("abort").status == Exit::ok);
    CHECK(app.serves(v1));
    CHECK(eventually([&] { return taken(app) == before; }));
    CHECK(contains(http_get(port.address()), "v1"));
    load.stop().check_nothing_lost();
  }
}

}  // namespace scenario
