// A failed worker's last output stands wherever the failure is reported; and a worker's output still goes to
// the log after the master's end.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

std::string talker(const std::string& kind) { return own_fixture("talker_" + kind); }

Json receipt_of(const Instance& app) {
  return Json::parse(app.run("receipt", {"--json"}).out, nullptr, false);
}

TEST_CASE_FIXTURE(Scenario, "the error, the receipt and the status say what a failed worker wrote last") {
  Instance app(*this, fixture("version_v1"), {"--ready-limit", "2s", "--forks", "1"});
  for (const std::string kind :
       {"return", "return_0", "abort", "exit", "log", "exec", "child", "late", "flood"}) {
    CAPTURE(kind);
    const auto finished = app.upgrade(talker(kind));
    CAPTURE(finished.err);
    CHECK(finished.status == Exit::reverted);
    CHECK(contains(finished.err, "\nit wrote last:\n    "));
    const std::string said =
        kind == "return" ? "FATAL: \\x1b[31mschema 7\\x1b[0m expected\n" : "schema 7 expected\n";
    if (kind == "return") CHECK(contains(finished.err, "\n    without a newline\n"));
    CHECK(contains(finished.err, said));
    CHECK(contains(finished.out, said));  // the event
    CHECK(lines_of(finished.err).size() < 26);
    const auto receipt = receipt_of(app);
    CHECK(contains(receipt.at("reason").get<std::string>() + "\n", said));
    const auto picture = app.run("receipt").out;
    CHECK(contains(picture, said));
    CHECK(contains(picture, "! failed or crashed"));
    const auto failure = app.status().at("slots")[0].at("last_failure");
    REQUIRE(failure.is_object());
    CHECK(contains(failure.at("text").get<std::string>() + "\n", said));
    CHECK(contains(app.run("status").out, said));
    CHECK(contains(app.run("history").out, "stage"));
  }
}

TEST_CASE_FIXTURE(Scenario, "so does the error of a self-test that fails") {
  Instance app(*this, fixture("version_v1"));
  const auto logged = app.upgrade(talker("selftest"));
  CHECK(logged.status == Exit::reverted);
  CHECK(contains(logged.err, "returned 7; expected 0\nit wrote last:\n    the licence has expired\n"));
  const auto printed = app.upgrade(talker("selftest_prints"));
  CHECK(printed.status == Exit::reverted);
  CHECK(contains(printed.err, "SIGABRT\nit wrote last:\n    the licence is of another product\n"));
  CHECK(contains(receipt_of(app).at("reason").get<std::string>(), "the licence is of another product"));
}

TEST_CASE_FIXTURE(Scenario, "so does the error of a start") {
  const Site site(*this);
  for (const std::string kind : {"return", "abort", "exec"}) {
    const auto finished = site.run("start", {"--listen", site.address(), talker(kind)});
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, "    FATAL: "));
  }
}

TEST_CASE_FIXTURE(Scenario, "a worker that crashes while it serves leaves its reason in the status") {
  Instance app(*this, talker("serve"), {"--forks", "1"});
  CHECK(http_get(app.address(), "/crash") == "");
  CHECK(eventually([&] { return app.status().at("slots")[0].at("last_failure").is_object(); }));
  const auto text = app.status().at("slots")[0].at("last_failure").at("text").get<std::string>();
  CHECK_MESSAGE(contains(text, "FATAL: schema 7 expected"), text);
  CHECK(eventually([&] { return contains(http_get(app.address()), "v1"); }));
}

TEST_CASE_FIXTURE(Scenario, "what workers write arrives where the master writes, each output for itself") {
  Instance app(*this, talker("serve"), {"--forks", "1"});
  for (int i = 0; i < 4; ++i) REQUIRE(contains(http_get(app.address()), "v1"));
  const auto lines = [](const std::string& text) {
    const auto all = lines_of(text);
    return std::count(all.begin(), all.end(), std::string(1023, 'x'));
  };
  CHECK(eventually(
      [&] { return lines(app.master().out()) == 4 * 128 && lines(app.master().err()) == 4 * 128; }));
}

// Nothing reads the log's pipe.
TEST_CASE_FIXTURE(Scenario, "a log that nobody reads holds up the workers that write, not the master") {
  const std::string fifo = dir / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const auto reader = liveswap::UniqueFd::adopt(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const auto site = std::make_shared<Site>(*this);
  Instance app(site, talker("serve"),
               {"--forks", "1", "--log-file", fifo, "--drain-limit", "1s", "--term-grace", "100ms"});
  Connection client(app.address());
  client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  CHECK_FALSE(client.ends(milliseconds(300)));
  CHECK(app.status()["state"] == "running");
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "workers of a killed master go on, and their output goes to where it went") {
  Instance app(*this, talker("serve"), {"--forks", "1", "--orphan-wait", "none"});
  const auto worker = app.workers().at(0);
  Connection client(app.address());
  client.send("GET / HT");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  const auto before = app.master().err().size();
  app.master().signal(SIGKILL);
  app.master().wait();
  client.send("TP/1.1\r\n\r\n");
  CHECK(contains(client.read_all(), "v1"));
  CHECK(eventually([&] { return !proc::runs(worker); }));
  CHECK(app.master().err().size() >= before + 100 * 1024);
  CHECK(app.master().out().size() >= 100 * 1024);
}

}  // namespace
}  // namespace scenario
