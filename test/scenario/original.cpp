// The page of the original liveswap, typed as it stands there: its two servers, its options, its pre-upgrade
// module in JavaScript. The ports alone are the test's.
#include <doctest/doctest.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/load.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 20;

bool has_node() {
  for (const std::string place : {"/usr/local/bin/node", "/usr/bin/node", "/usr/bin/nodejs"})
    if (std::filesystem::exists(place)) return true;
  return false;
}

// A hello-world server of Node. Its answers come in chunks.
std::string server(int status, const std::string& says, const Port& port) {
  return "var http = require('http')\n"
         "http.createServer(function (req, res) {\n"
         "  res.writeHead(" +
         std::to_string(status) + ", {'Content-Type': 'text/plain'})\n  res.end('" + says +
         "\\n')\n}).listen(" + port.text() + ", '127.0.0.1')\nconsole.log('Server running at http://" +
         port.address() + "/')\n";
}

// A directory with index1.js and index2.js, and command lines that are typed there.
class Page {
 public:
  explicit Page(Scenario& scenario)
      : scenario_(scenario), site_(scenario), place_(scenario.dir.directory("page")) {
    write_file(place_ + "/index1.js", server(200, "Hello World", port));
    write_file(place_ + "/index2.js", server(404, "Not Found", port));
  }

  // The master. Returns when it serves.
  Process start(const Words& words) const {
    Process master(scenario_.dir, line(words));
    const bool ready =
        eventually([&] { return !master.running() || site_.status().value("state", "") == "running"; });
    REQUIRE_MESSAGE(ready, master.err());
    REQUIRE_MESSAGE(master.running(), master.err());
    return master;
  }
  Finished run(const Words& words) const { return scenario::run(scenario_.dir, line(words), 2 * patience); }
  Json status() const { return site_.status(); }
  std::string operator/(const std::string& name) const { return place_ + "/" + name; }

  Port port;

 private:
  Process::Setup line(const Words& words) const {
    return {Words{liveswap_program()} + words + Words{"-p", site_.control_port()}, site_.environment, place_};
  }

  Scenario& scenario_;
  Site site_;
  std::string place_;
};

TEST_CASE_FIXTURE(Scenario,
                  "the original's example, upgraded 20 times under load" * doctest::skip(!has_node())) {
  const Page page(*this);
  Process master = page.start({"-s", "index1.js"});
  CHECK(page.status()["forks"] == 2);
  CHECK(master.says("Server running at http://" + page.port.address()));
  Load load(*this, page.port.address(), {"--rate", "200"});
  Load kept(*this, page.port.address(), {"--rate", "200", "--keep-alive", "--connections", "8"});
  Sessions sessions(
      {page.port.address()},
      {.clients = 8, .requests = 0, .pause = milliseconds(25), .v1 = "Hello", .v2 = "Not Found"});
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= upgrades; ++i) {
    const auto finished = page.run({"-u", i % 2 ? "./index2.js" : "./index1.js"});
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
  }
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  const auto report = load.stop(), report_kept = kept.stop();
  report.check_nothing_lost();
  report_kept.check_nothing_lost();
  CHECK(report.answers_of("200 Hello World") > 0);
  CHECK(report.answers_of("404 Not Found") > 0);
  MESSAGE(upgrades, " upgrades, ", report.attempts(), " new connections, ", report_kept.attempts(),
          " requests on reused ones, ", sessions.answers(),
          " on connections that were never closed, 0 failed");
  CHECK(page.run({"-d"}).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "the original's options" * doctest::skip(!has_node())) {
  const Page page(*this);
  Process master = page.start({"-a", "127.0.0.1", "-f", "3", "-H", "HEAD", "-s", "index1.js"});
  CHECK(page.status()["forks"] == 3);
  CHECK(read_file(page / "HEAD") == page / "index1.js\n");
  CHECK(page.run({"-u", "./index2.js"}).status == Exit::ok);
  CHECK(read_file(page / "HEAD") == page / "index2.js\n");
  CHECK(page.run({"-u"}).status == Exit::ok);
  CHECK(page.run({"-m", "a message"}).status == Exit::ok);
  CHECK(page.run({"-k"}).status == Exit::ok);
  CHECK(contains(http_get(page.port.address()), "404 Not Found"));
  CHECK(contains(page.run({"--help"}).out, "--upgrade"));
  CHECK(page.run({"-d"}).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "the original's -z" * doctest::skip(!has_node())) {
  const Page page(*this);
  Process master = page.start({"-z", "-s", "index1.js"});
  CHECK(page.status()["zero_downtime"] == false);
  CHECK(page.run({"-u", "./index2.js"}).status == Exit::ok);
  CHECK(contains(http_get(page.port.address()), "404 Not Found"));
  CHECK(page.run({"-d"}).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

// It writes to the log, may refuse by a text, and may name another path; `data.value` is what was asked for.
TEST_CASE_FIXTURE(Scenario, "the original's pre-upgrade module" * doctest::skip(!has_node())) {
  const Page page(*this);
  write_file(page / "pull.js",
             "function preupgrade(data, callback) {\n"
             "  console.log('executing pre-upgrade of ' + data.cmd)\n"
             "  var err, value = data.value\n"
             "  if (/missing/.test(value)) err = 'no such branch'\n"
             "  if (/newest/.test(value)) value = './index2.js'\n"
             "  callback(err, value)\n"
             "}\n"
             "module.exports = preupgrade\n");
  Process master = page.start({"--pre-upgrade", "./pull.js", "--start", "./index1.js"});
  const auto refused = page.run({"-u", "missing"});
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, "no such branch"), refused.err);
  CHECK(master.says("executing pre-upgrade of upgrade"));
  CHECK(page.run({"-u"}).status == Exit::ok);
  CHECK(contains(http_get(page.port.address()), "200 OK"));
  const auto newest = page.run({"-u", "newest"});
  CHECK_MESSAGE(newest.status == Exit::ok, newest.err);
  CHECK(contains(http_get(page.port.address()), "404 Not Found"));
  CHECK(page.run({"-d"}).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

}  // namespace
}  // namespace scenario
