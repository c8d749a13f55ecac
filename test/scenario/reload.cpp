// `liveswap reload`, `liveswap config check`, and SIGHUP with a changed configuration file.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

bool has_variable(pid_t pid, const std::string& variable) {
  const auto variables = proc::environment(pid);
  return std::find(variables.begin(), variables.end(), variable) != variables.end();
}

// A master that was started with a configuration file, which the test changes.
class Configured {
 public:
  explicit Configured(Scenario& scenario, const std::string& more, const Words& options = {})
      : site_(scenario), file_(scenario.dir / "liveswap.yaml") {
    write(more);
    master_.emplace(site_.launch("start", Words{"-c", file_} + options));
    if (!eventually([&] { return site_.status().value("state", "") == "running"; }))
      FAIL("the master has not started: " << master_->err());
  }
  ~Configured() {
    site_.run("die");
    master_->wait();
  }

  void write(const std::string& more) const {
    write_file(file_, "target: " + own_fixture("report") + "\nlisten: \"" + site_.address() + "\"\n" + more);
  }
  Finished reload(const Words& options = {}) const { return site_.run("reload", options); }
  Json answer(const Words& options = {}) const {
    return Json::parse(site_.run("reload", options + Words{"--json"}).out, nullptr, false);
  }
  std::vector<pid_t> workers() const {
    std::vector<pid_t> pids;
    const auto status = site_.status();
    for (const auto& slot : status.at("slots"))
      for (const auto& worker : slot.at("workers"))
        if (worker.at("state") == "ready") pids.push_back(worker.at("pid"));
    return pids;
  }
  bool all_have(const std::string& variable) const {
    const auto pids = workers();
    return !pids.empty() &&
           std::all_of(pids.begin(), pids.end(), [&](pid_t pid) { return has_variable(pid, variable); });
  }
  const Site& site() const { return site_; }
  const std::string& file() const { return file_; }
  Process& master() { return *master_; }

 private:
  Site site_;
  std::string file_;
  std::optional<Process> master_;
};

TEST_CASE_FIXTURE(Scenario,
                  "workers get a new environment by a generation of the same release; nothing is lost") {
  Configured app(*this, "forks: 2\nenvironment: {MODE: one}\n");
  CHECK(app.all_have("MODE=one"));
  const auto release = app.site().status().at("release_id");
  Load load(*this, app.site().address());
  app.write("forks: 2\nenvironment: {MODE: two}\narguments: [x]\nlimits: {nofile: 321}\n");
  const auto planned = app.answer({"--dry-run"});
  CHECK(planned.at("changes").size() == 3);
  CHECK(app.all_have("MODE=one"));
  const auto reloaded = app.reload();
  CHECK(reloaded.status == Exit::ok);
  CHECK(contains(reloaded.out, "environment (MODE changed)"));
  CHECK(app.all_have("MODE=two"));
  CHECK(contains(http_get(app.site().address()), "generation=2 arguments=x"));
  load.stop().check_nothing_lost();
  const auto status = app.site().status();
  CHECK(status.at("release_id") == release);
  CHECK(status.at("generation") == 2);
  CHECK(contains(app.site().run("history").out, "reload"));
  CHECK(contains(app.reload().out, "nothing has changed"));
  // A respawn has the new settings, too.
  const auto pid = app.workers().front();
  ::kill(pid, SIGKILL);
  CHECK(eventually([&] {
    const auto pids = app.workers();
    return pids.size() == 2 && std::find(pids.begin(), pids.end(), pid) == pids.end();
  }));
  CHECK(app.all_have("MODE=two"));
}

TEST_CASE_FIXTURE(Scenario, "what the master alone needs is applied at once, without new workers") {
  Configured app(*this, "forks: 1\nlog-file: one.log\n");
  const auto before = app.workers();
  app.write("forks: 3\nlog-file: two.log\ndrain-limit: 3s\ncanary: 1\nprobation: none\nhealth: connect\n");
  const auto reloaded = app.reload();
  CHECK_MESSAGE(reloaded.status == Exit::ok, reloaded.err);
  CHECK(contains(reloaded.out, "forks (1 → 3)"));
  CHECK(app.workers().size() == 3);
  CHECK(app.workers().front() == before.front());
  CHECK(app.site().status().at("generation") == 1);
  CHECK(contains(app.site().run("history").out, "reload"));
  app.write("forks: 2\nlog-file: two.log\ndrain-limit: 3s\ncanary: 1\nprobation: none\nhealth: connect\n");
  CHECK(app.reload().status == Exit::ok);
  CHECK(eventually([&] { return app.workers().size() == 2; }));
  CHECK(contains(read_file(dir / "two.log"), "reload: forks (3 → 2)"));
  CHECK_FALSE(contains(read_file(dir / "one.log"), "reload: forks (3 → 2)"));
}

TEST_CASE_FIXTURE(Scenario, "what cannot be changed is named, and nothing is applied") {
  Configured app(*this, "forks: 1\nenvironment: {MODE: one}\n");
  const auto before = app.workers();
  app.write("forks: 2\nenvironment: {MODE: two}\nstate-dir: /elsewhere\naddress: \"::1\"\n");
  for (const Words& options : {Words{}, Words{"--dry-run"}}) {
    const auto refused = app.reload(options);
    CHECK(refused.status == Exit::refused);
    CHECK(contains(refused.err, "address (127.0.0.1 → ::1)"));
    CHECK(contains(refused.err, "/elsewhere"));
  }
  CHECK(app.workers() == before);
  app.write("forks: 2\nfork: 3\nbake: 10\n");
  const auto wrong = app.reload();
  CHECK(wrong.status == Exit::usage);
  CHECK(contains(wrong.err, "liveswap.yaml:4:1: unknown key \"fork\", did you mean \"forks\"?"));
  CHECK(contains(wrong.err, "liveswap.yaml:5:7: bake: found \"10\""));
  ::unlink(app.file().c_str());
  CHECK(app.reload().status == Exit::usage);
  CHECK(app.workers() == before);
  CHECK(app.all_have("MODE=one"));
}

TEST_CASE_FIXTURE(Scenario,
                  "a new generation that fails leaves everything as it was, also for the next worker") {
  const std::string crash = dir / "crash";
  Configured app(*this, "forks: 2\nenvironment: {MODE: one}\nlog-file: one.log\n");
  write_file(crash, "");
  app.write("forks: 3\nenvironment: {MODE: two}\nlog-file: two.log\narguments: [crash-if=" + crash + "]\n");
  const auto failed = app.reload();
  CHECK(failed.status == Exit::reverted);
  CHECK(contains(failed.err, "everything is as it was"));
  CHECK(eventually([&] { return app.workers().size() == 2 && app.site().status().at("forks") == 2; }));
  CHECK(app.all_have("MODE=one"));
  CHECK(contains(read_file(dir / "one.log"), "every setting is as it was"));
  const auto pid = app.workers().front();
  ::kill(pid, SIGKILL);
  CHECK(eventually([&] {
    const auto pids = app.workers();
    return pids.size() == 2 && std::find(pids.begin(), pids.end(), pid) == pids.end();
  }));
  CHECK(app.all_have("MODE=one"));
  CHECK_FALSE(contains(http_get(app.site().address()), "crash-if"));
  CHECK(app.answer({"--dry-run"}).at("changes").size() == 4);
}

TEST_CASE_FIXTURE(Scenario,
                  "SIGHUP upgrades with the environment that the file has now, and nothing else of it") {
  Configured app(*this, "forks: 1\nenvironment: {MODE: one}\n");
  app.write("forks: 2\nenvironment: {MODE: two}\n");
  app.master().signal(SIGHUP);
  CHECK(eventually([&] { return app.site().status().at("generation") == 2 && app.all_have("MODE=two"); }));
  CHECK(app.site().status().at("forks") == 1);
  app.write("forks: 2\nenvironment: [MODE]\n");
  app.master().signal(SIGHUP);
  CHECK(app.master().says("nothing is upgraded"));
  CHECK(app.site().status().at("generation") == 2);
}

TEST_CASE_FIXTURE(Scenario, "the command line still wins; a master without a file has nothing to reload") {
  Configured app(*this, "forks: 1\nenvironment: {MODE: file}\n", {"--env", "MODE=line", "--forks", "2"});
  app.write("forks: 3\nenvironment: {MODE: other, MORE: x}\n");
  const auto reloaded = app.reload();
  CHECK(contains(reloaded.out, "environment (MORE added)"));
  CHECK(app.all_have("MODE=line"));
  CHECK(app.all_have("MORE=x"));
  CHECK(app.workers().size() == 2);
  Instance plain(*this, fixture("version_v1"));
  const auto refused = plain.run("reload");
  CHECK(refused.status == Exit::refused);
  CHECK(contains(refused.err, "without a configuration file"));
}

TEST_CASE_FIXTURE(Scenario,
                  "forks by command is shown beside the file's, and stays until the file's changes") {
  Configured app(*this, "forks: 1\n");
  CHECK_FALSE(app.site().status().contains("forks_configured"));
  CHECK(app.site().run("forks", {"2"}).status == Exit::ok);
  CHECK(app.site().status().at("forks_configured") == 1);
  CHECK(contains(app.site().run("status").out, "2 by `liveswap forks`; configured: 1"));
  app.write("forks: 1\nbake: 1s\n");
  CHECK(app.reload().status == Exit::ok);
  CHECK(app.workers().size() == 2);
  app.write("forks: 3\nbake: 1s\n");
  CHECK(app.reload().status == Exit::ok);
  CHECK(app.workers().size() == 3);
  CHECK_FALSE(app.site().status().contains("forks_configured"));
}

TEST_CASE_FIXTURE(Scenario, "config check: every mistake with its place, without a master") {
  const auto check = [&](const Words& words) {
    return run(dir, {Words{liveswap_program(), "config", "check"} + words});
  };
  const auto path = dir.write("a.yaml", "forks: 2\nuser: nobody\n");
  CHECK(check({path}).status == Exit::ok);
  CHECK(lines_of(check({path}).out).size() == 1);
  const auto wrong = dir.write("b.yaml", "forks: 0\nfork: 2\n");
  const auto found = check({wrong});
  CHECK(found.status == Exit::usage);
  CHECK(contains(found.err, wrong + ":1:8: forks: found \"0\""));
  CHECK(contains(found.err, wrong + ":2:1: unknown key"));
  const auto json = Json::parse(check({wrong, "--json"}).out);
  CHECK(json.at("result") == "failed");
  CHECK(json.at("errors").at(1).at("line") == 2);
  CHECK(json.at("errors").at(1).at("key") == "fork");
  CHECK(check({dir / "none.yaml"}).status == Exit::usage);
  CHECK(check({dir.path()}).status == Exit::usage);
  CHECK(run(dir, {{liveswap_program(), "config"}}).status == Exit::usage);
}

}  // namespace
}  // namespace scenario
