// Where the master may make cgroups, it finds what a worker leaves behind, however that hides. The tests put
// the master into a cgroup of its own, as a service manager would with Delegate=.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

std::string forked(const std::string& version) { return FORKER_BUILD "/libforker_" + version + ".so"; }

// Where this process' cgroup of version 2 is mounted; "": nowhere.
std::string own_directory() {
  std::ifstream mounts("/proc/self/mountinfo"), memberships("/proc/self/cgroup");
  std::string mount, line;
  while (mount.empty() && std::getline(mounts, line)) {
    if (!contains(line, " - cgroup2 ")) continue;
    std::istringstream fields(line);
    for (int i = 0; i < 5; ++i) fields >> mount;
  }
  while (std::getline(memberships, line))
    if (line.starts_with("0::")) return mount.empty() ? "" : mount + line.substr(3);
  return "";
}

// A cgroup for one master, marked as systemd marks those that are delegated.
class Delegated {
 public:
  explicit Delegated(const Scenario& scenario)
      : path_(own_directory() + "/scenario-" +
              fs::path(std::string(scenario.dir / "")).parent_path().filename().string()) {
    is_there_ = own_directory() != "" && ::mkdir(path_.c_str(), 0755) == 0;
    if (is_there_ && ::access("/run/systemd/system", F_OK) == 0)
      is_there_ = ::setxattr(path_.c_str(), "user.delegate", "1", 1, 0) == 0;
    if (is_there_ && ::access((path_ + "/cgroup.kill").c_str(), W_OK) != 0) is_there_ = false;
    if (!is_there_) MESSAGE("left out: no writable cgroup of version 2 (Linux 5.14) here");
  }
  Delegated(const Delegated&) = delete;
  Delegated& operator=(const Delegated&) = delete;
  ~Delegated() {
    std::ofstream(path_ + "/cgroup.kill") << "1";
    // The kernel removes the processes a moment later.
    const auto is_gone = [this] {
      for (const auto& one : below()) ::rmdir(one.c_str());
      return ::rmdir(path_.c_str()) == 0 || errno == ENOENT;
    };
    if (is_there_) CHECK(eventually(is_gone));
  }

  explicit operator bool() const { return is_there_; }

  // A site whose master starts in the cgroup.
  std::shared_ptr<Site> site(Scenario& scenario) const {
    auto site = std::make_shared<Site>(scenario);
    site->start_prefix = {"sh", "-c", "echo $$ >" + path_ + "/cgroup.procs && exec \"$@\"", "sh"};
    return site;
  }

  std::vector<std::string> below() const {
    std::vector<std::string> found;
    std::error_code failed;
    for (fs::directory_iterator entry(path_, failed), end; !failed && entry != end; entry.increment(failed))
      if (entry->is_directory()) found.push_back(entry->path().string());
    return found;
  }
  // The processes of all cgroups of workers.
  std::vector<pid_t> members() const {
    std::vector<pid_t> found;
    for (const auto& one : below()) {
      std::ifstream file(one + "/cgroup.procs");
      for (pid_t pid = 0; file >> pid;) found.push_back(pid);
    }
    return found;
  }

 private:
  std::string path_;
  bool is_there_ = false;
};

Json left_by_old_worker(const Instance& app) {
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  for (const auto& slot : receipt["slots"])
    for (const auto& worker : slot["workers"])
      if (worker["role"] == "old") return worker.value("left", Json::array());
  return Json::array();
}

Words without(std::vector<pid_t> pids, const std::vector<pid_t>& others) {
  Words found;
  for (const pid_t pid : pids)
    if (std::find(others.begin(), others.end(), pid) == others.end()) found.push_back(std::to_string(pid));
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "each worker has a cgroup of its own, which is removed with it") {
  const Delegated delegated(*this);
  if (!delegated) return;
  {
    Instance app(delegated.site(*this), fixture("version_v1"));
    const auto before = delegated.below();
    CHECK(before.size() == 2);
    CHECK(without(delegated.members(), app.workers()).empty());
    CHECK(delegated.members().size() == 2);
    CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
    CHECK(delegated.below().size() == 2);
    for (const auto& one : before) CHECK_FALSE(fs::exists(one));
    CHECK(app.run("stop").status == Exit::ok);
    app.master().wait();
  }
  CHECK(delegated.below().empty());
}

TEST_CASE_FIXTURE(Scenario, "a daemon that has closed everything and accepts is ended with its worker") {
  for (const std::string kind : {"daemon", "own", "hopper"}) {
    CAPTURE(kind);
    const Delegated delegated(*this);
    if (!delegated) return;
    Instance app(delegated.site(*this), forked("v1"),
                 {"--forks", "1", "--settle", "20ms", "--term-grace", "500ms"}, {"return", kind});
    REQUIRE(eventually([&] { return delegated.members().size() == 2; }));
    const auto old = delegated.members();
    const auto finished = app.upgrade(forked("v2"));
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    for (int i = 0; i < 40; ++i) CHECK(contains(http_get(app.address()), "v2"));
    for (const pid_t pid : old) CHECK_FALSE(proc::runs(pid));
    const Json left = left_by_old_worker(app);
    CHECK_MESSAGE(!left.empty(), left.dump());
    for (const Json& one : left) {
      CHECK(one["ended"] == true);
      CHECK(contains(one["listeners"].dump(), kind == "own" ? "port " : "0"));
    }
    CHECK_FALSE(app.status().contains("left"));
  }
}

TEST_CASE_FIXTURE(Scenario, "a worker that dies takes such a daemon with it") {
  for (const std::string kind : {"daemon", "own", "hopper"}) {
    CAPTURE(kind);
    const Delegated delegated(*this);
    if (!delegated) return;
    Instance app(delegated.site(*this), forked("v1"), {"--forks", "1", "--term-grace", "500ms"},
                 {"return", kind});
    REQUIRE(eventually([&] { return delegated.members().size() == 2; }));
    const auto before = delegated.below();
    REQUIRE(::kill(app.workers().at(0), SIGKILL) == 0);
    CHECK(eventually([&] { return !fs::exists(before.at(0)); }));
    // The successor has a daemon, too.
    CHECK(eventually([&] { return delegated.below().size() == 1 && delegated.members().size() == 2; }));
    CHECK(app.serves(forked("v1")));
  }
}

TEST_CASE_FIXTURE(Scenario, "a stop leaves no such daemon at the address") {
  for (const std::string kind : {"daemon", "own"}) {
    CAPTURE(kind);
    const Delegated delegated(*this);
    if (!delegated) return;
    Instance app(delegated.site(*this), forked("v1"), {"--forks", "1", "--term-grace", "200ms"},
                 {"return", kind});
    REQUIRE(eventually([&] { return delegated.members().size() == 2; }));
    CHECK(app.run("stop").status == Exit::ok);
    app.master().wait();
    CHECK(eventually([&] { return delegated.members().empty(); }));
    CHECK_FALSE(Connection::attempt(app.address()));
  }
}

TEST_CASE_FIXTURE(Scenario, "the connection of a daemonised child is waited for") {
  const Delegated delegated(*this);
  if (!delegated) return;
  const std::string gate = dir / "gate";
  Instance app(delegated.site(*this), forked("v1"), {"--forks", "1"}, {"return", "apart", gate});
  Connection client(app.address());
  client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return delegated.members().size() == 2; }));
  Process upgrade = app.site().launch("upgrade", {forked("v2")});
  REQUIRE(upgrade.says("has 1 connection left"));
  write_file(gate, "");
  const auto finished = upgrade.wait();
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(client.read_all(milliseconds(1)), "v1\n"));
  CHECK(eventually([&] { return without(delegated.members(), app.workers()).empty(); }));
}

// Without cgroups both could have left it.
TEST_CASE_FIXTURE(Scenario,
                  "a program that the serving worker has started is not taken for one that is left") {
  const Delegated delegated(*this);
  if (!delegated) return;
  Instance app(delegated.site(*this), forked("v1"), {"--forks", "1"}, {"return", "program"});
  REQUIRE(eventually([&] { return delegated.members().size() == 2; }));
  const auto old = delegated.members();
  CHECK(app.upgrade(forked("v2")).status == Exit::ok);
  REQUIRE(eventually([&] { return delegated.members().size() == 3; }));
  const Json left = app.status()["left"];
  REQUIRE_MESSAGE(left.size() == 1, left.dump());
  CHECK(left[0]["program"] == "sleep");
  const pid_t pid = left[0]["pid"];
  CHECK(std::find(old.begin(), old.end(), pid) != old.end());
  CHECK(proc::runs(pid));
}

TEST_CASE_FIXTURE(Scenario, "a start removes the empty cgroups of a killed master") {
  const Delegated delegated(*this);
  if (!delegated) return;
  const auto site = delegated.site(*this);
  {
    Instance app(site, fixture("version_v1"), {"--orphan-wait", "none"});
    app.master().signal(SIGKILL);
    app.master().wait();
  }
  CHECK(delegated.below().size() == 2);
  CHECK(eventually([&] { return delegated.members().empty(); }));
  Instance app(site, fixture("version_v1"));
  CHECK(delegated.below().size() == 2);
  CHECK(delegated.members().size() == 2);
}

}  // namespace scenario
