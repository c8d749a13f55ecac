// What a worker gets at its start: arguments, environment, directory, limits, user, and descriptors.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string limit_of(pid_t pid, const std::string& name) {
  for (const auto& line : lines_of(read_file("/proc/" + std::to_string(pid) + "/limits")))
    if (line.starts_with(name)) return line;
  return "";
}

TEST_CASE_FIXTURE(Scenario, "arguments after --") {
  Instance app(*this, own_fixture("report"), {}, {"one", "--two", "-p", "three 3"});
  CHECK(contains(http_get(app.address()), "arguments=one,--two,-p,three 3\n"));
  CHECK(app.upgrade(own_fixture("report")).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "arguments=one,--two,-p,three 3\n"));
}

TEST_CASE_FIXTURE(Scenario, "the environment is the master's, without what steers the loader") {
  const auto site = std::make_shared<Site>(*this);
  site->environment["LD_LIBRARY_PATH"] = "/nowhere";
  site->environment["LD_BIND_NOW"] = "1";
  site->environment["GLIBC_TUNABLES"] = "glibc.malloc.check=0";
  site->environment["KEPT"] = "as it is";
  Instance app(site, fixture("version_v1"));
  for (const pid_t worker : app.workers()) {
    const auto variables = proc::environment(worker);
    CHECK(has(variables, "KEPT=as it is"));
    for (const auto& variable : variables) {
      CHECK_FALSE(variable.starts_with("LD_"));
      CHECK_FALSE(variable.starts_with("GLIBC_TUNABLES="));
    }
  }
}

std::string configuration(const Site& site, const std::string& folder) {
  return "target: " + fixture("version_v1") +
         "\n"
         "forks: 3\n"
         "listen:\n"
         "  - name: web\n"
         "    address: \"" +
         site.address() +
         "\"\n"
         "listen-mode: shared\n"
         "environment:\n"
         "  COLOUR: blue green\n"
         "  LD_LIBRARY_PATH: /opt/app/lib\n"
         "working-directory: " +
         folder +
         "\n"
         "limits:\n"
         "  nofile: 321\n"
         "  core: 0\n";
}

TEST_CASE_FIXTURE(Scenario, "a configuration file: environment, directory, limits, listeners") {
  const Site site(*this);
  const auto folder = dir.directory("work");
  write_file(dir / "liveswap.yaml", configuration(site, folder));
  Process master = site.launch("start", {"-c", dir / "liveswap.yaml", "--forks", "1"});
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  const auto now = site.status();
  CHECK(now.at("forks") == 1);  // the command line wins
  CHECK(now.at("listen_mode") == "shared");
  CHECK(now.at("listeners")[0]["name"] == "web");
  const auto worker = now.at("slots")[0]["workers"][0]["pid"].get<pid_t>();
  CHECK(has(proc::environment(worker), "COLOUR=blue green"));
  CHECK(has(proc::environment(worker), "LD_LIBRARY_PATH=/opt/app/lib"));
  CHECK(proc::working_directory(worker) == folder);
  CHECK(contains(limit_of(worker, "Max open files"), " 321 "));
  CHECK(contains(limit_of(worker, "Max core file size"), " 0 "));
  CHECK(contains(http_get(site.address()), "v1"));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "mistakes in a configuration file are told with their place") {
  const Site site(*this);
  const std::string file = dir / "liveswap.yaml";
  write_file(file, "target: x.so\nfroks: 2\nport: many\n");
  const auto finished = site.run("start", {"-c", file});
  CHECK(finished.status == Exit::usage);
  CHECK(contains(finished.err, file + ":2:1:"));
  CHECK(contains(finished.err, "forks"));
  CHECK(contains(finished.err, file + ":3:"));
}

TEST_CASE_FIXTURE(Scenario, "workers of another user") {
  if (::geteuid() != 0) {
    MESSAGE("needs root: left out");
    return;
  }
  const Site site(*this);
  write_file(dir / "liveswap.yaml", "user: nobody\n");
  // In a place that the user nobody can read, wherever the build is.
  ::chmod(dir.path().c_str(), 0711);
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Process master = site.launch(
      "start", {"-c", dir / "liveswap.yaml", "--listen", site.address(), "--forks", "1", library});
  if (!eventually([&] { return site.status().value("state", "") == "running" || !master.running(); }) ||
      !master.running()) {
    // The user nobody may be unable to reach the worker host.
    CHECK(contains(master.err(), "Permission denied"));
    return;
  }
  const auto worker = site.status()["slots"][0]["workers"][0]["pid"].get<pid_t>();
  CHECK(proc::status_number(worker, "Uid") == 65534);
  CHECK(proc::status_number(worker, "Gid") == 65534);
  CHECK(contains(http_get(site.address()), "v1"));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario,
                  "a directory that the workers' user cannot pass is named before anything begins") {
  if (::geteuid() != 0) {
    MESSAGE("needs root: left out");
    return;
  }
  const Site site(*this);
  const auto finished = site.run(
      "start", {"--user", "nobody", "--listen", site.address(), "--forks", "1", fixture("version_v1")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err,
                 "the workers' user nobody cannot pass through " + dir.path() + " to " + site.state_dir()));
  CHECK(contains(finished.err, "--state-dir"));
}

TEST_CASE_FIXTURE(
    Scenario, "a state directory that is mounted noexec is named, and so is the limit that cannot be set") {
  const Site site(*this);
  const std::string state = dir.directory("no exec");
  if (::mount("liveswap-test", state.c_str(), "tmpfs", MS_NOEXEC, "size=1m") == 0) {
    const auto finished = site.run(
        "start", {"--state-dir", state + "/3000", "--listen", site.address(), fixture("version_v1")});
    ::umount2(state.c_str(), MNT_DETACH);
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, "mounted at " + state + " with the option noexec"));
    CHECK(contains(finished.err, "--state-dir"));
  }
  const auto finished =
      site.run("start", {"--limit", "nofile=4000000000", "--listen", site.address(), fixture("version_v1")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, "cannot set the limit nofile to 4000000000"));
  CHECK(contains(finished.err, "the hard limit is "));
}

// Descriptors of master and worker with the same target. Standard ones do not count: the worker also has the
// master's output, for the time after the master's death. Anonymous kinds (eventfd, epoll) have no name of
// their own, and never pass exec here.
Words common_descriptors(pid_t master, pid_t worker) {
  Words of_master, common;
  for (const auto& [fd, what] : proc::descriptors(master))
    if (fd > 2) of_master.push_back(what);
  for (const auto& [fd, what] : proc::descriptors(worker))
    if (fd > 2 && !what.starts_with("anon_inode:") && has(of_master, what)) common.push_back(what);
  std::sort(common.begin(), common.end());
  return common;
}

void check_hygiene(const Instance& app) {
  const auto pid = app.status()["pid"].get<pid_t>();
  for (const pid_t worker : app.workers()) {
    const auto common = common_descriptors(pid, worker);
    // The listener only; the lock file that shows living workers is the worker's own.
    REQUIRE(common.size() == 1);
    CHECK(common[0].starts_with("socket:"));
  }
}

void check_descriptors(Scenario& scenario, const char* mode) {
  Instance app(scenario, fixture("version_v1"), {"--listen-mode", mode, "--settle", "0ms", "--forks", "3"});
  check_hygiene(app);
  const auto before = proc::descriptors(app.master().pid()).size();
  for (int i = 0; i < 50; ++i)
    REQUIRE(app.upgrade(fixture(i % 2 == 0 ? "version_v2" : "version_v1")).status == Exit::ok);
  CHECK(app.upgrade(fixture("no_entry")).status == Exit::reverted);
  check_hygiene(app);
  CHECK(eventually([&] { return proc::descriptors(app.master().pid()).size() == before; }));
  for (const pid_t worker : app.workers()) CHECK(proc::descriptors(worker).size() < 22);
}

TEST_CASE_FIXTURE(Scenario, "descriptors before and after 50 upgrades, reuseport") {
  check_descriptors(*this, "reuseport");
}
TEST_CASE_FIXTURE(Scenario, "descriptors before and after 50 upgrades, shared") {
  check_descriptors(*this, "shared");
}

TEST_CASE_FIXTURE(Scenario, "a worker gets no descriptor of the one who started the master") {
  const int leaked = ::dup2(STDERR_FILENO, 77);  // without close-on-exec
  REQUIRE(leaked == 77);
  Instance app(*this, fixture("version_v1"));
  for (const pid_t worker : app.workers()) CHECK_FALSE(proc::descriptors(worker).contains(77));
  ::close(leaked);
}

}  // namespace
}  // namespace scenario
