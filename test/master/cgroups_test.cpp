#include "master/workers/cgroups.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "master/workers/left_processes.hpp"
#include "spawn/spawner.hpp"

using namespace liveswap;
using master::cgroup_directory;
using master::Cgroups;

namespace {

const std::string unified =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "31 22 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

template <class Condition>
bool becomes_true(const Condition& condition) {
  using namespace std::chrono_literals;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// The real cgroups of this machine; without them the test says so.
Cgroups real_cgroups() {
  auto found = Cgroups::of_this_process();
  if (found.directory().empty()) MESSAGE("left out: this process may make no cgroups of version 2");
  return found;
}

spawn::Request request_of(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& cgroup) {
  spawn::Request request;
  request.program = program;
  request.arguments = arguments;
  request.environment = {"PATH=/usr/bin:/bin"};
  request.descriptors = {-1, -1, -1};
  request.cgroup = cgroup;
  return request;
}

// A shell that has started a process in a session of its own, and has ended.
pid_t start_daemon(const std::string& cgroup) {
  const auto child = spawn::spawn(request_of(
      "/bin/sh", {"sh", "-c", "setsid sh -c 'sleep 600 & wait' </dev/null >/dev/null 2>&1 &"}, cgroup));
  REQUIRE(child.has_value());
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child->pid), &info, WEXITED | WNOWAIT) == 0);
  return child->pid;
}

// Processes with a socket that fork as fast as they can, and go on in their children. Their parent is a
// process that reaps them at once: the system's init may be slower than they fork, and zombies count as
// processes.
class Hoppers {
 public:
  Hoppers(unsigned count, const std::string& cgroup) : parent_(::fork()) {
    REQUIRE(parent_ >= 0);
    if (parent_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGCHLD, SIG_IGN);
    const auto request = request_of(
        "/usr/bin/perl",
        {"perl", "-MSocket", "-e", "socket(my $one, AF_INET, SOCK_STREAM, 0); while (1) { exit if fork }"},
        cgroup);
    std::vector<Result<spawn::Child>> started;
    while (started.size() < count) started.push_back(spawn::spawn(request));
    for (;;) ::pause();
  }
  Hoppers(const Hoppers&) = delete;
  ~Hoppers() {
    ::kill(parent_, SIGKILL);
    ::waitpid(parent_, nullptr, 0);
  }

 private:
  pid_t parent_;
};

// Of a process that has ended.
pid_t pid_of_none() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  return pid;
}

}  // namespace

TEST_CASE("the cgroup's directory is found below the mount of version 2") {
  CHECK(cgroup_directory(unified, "0::/system.slice/app.service\n") ==
        "/sys/fs/cgroup/system.slice/app.service");
  CHECK(cgroup_directory(unified, "0::/\n") == "/sys/fs/cgroup");
  const std::string hybrid =
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  CHECK(cgroup_directory(hybrid, "9:name=systemd:/a\n1:cpu:/b\n0::/init.scope\n") ==
        "/sys/fs/cgroup/unified/init.scope");
}

TEST_CASE("the cgroup's directory where a part of the hierarchy is mounted") {
  const std::string part = "31 22 0:27 /docker/a\\040b /mnt/c\\134d rw - cgroup2 cgroup2 rw\n";
  CHECK(cgroup_directory(part, "0::/docker/a b\n") == "/mnt/c\\d");
  CHECK(cgroup_directory(part, "0::/docker/a b/inner\n") == "/mnt/c\\d/inner");
  CHECK_FALSE(cgroup_directory(part, "0::/docker/a bc\n"));
  CHECK(cgroup_directory(part + unified, "0::/docker/a bc\n") == "/sys/fs/cgroup/docker/a bc");
}

TEST_CASE("no cgroup of version 2 is found where there is none, or where it cannot be seen") {
  CHECK_FALSE(cgroup_directory(unified, "4:memory:/app\n"));
  CHECK_FALSE(cgroup_directory(unified, ""));
  CHECK_FALSE(cgroup_directory(unified, "0::/../other\n"));
  CHECK_FALSE(cgroup_directory("40 31 0:37 / /sys/fs/cgroup rw - cgroup cgroup rw\n", "0::/app\n"));
  CHECK_FALSE(cgroup_directory("31 22 0:27 / -", "0::/app\n"));
  CHECK_FALSE(cgroup_directory("- cgroup2\n\n \n", "0::/app\n"));
  CHECK_FALSE(cgroup_directory("", "0::/app\n"));
}

TEST_CASE("without cgroups nothing is made, found or killed") {
  Cgroups none;
  CHECK(none.make() == "");
  none.remove("");
  CHECK_FALSE(master::is_populated(""));
  CHECK(master::members_of("").empty());
  CHECK_FALSE(master::kill_all(""));
  CHECK_FALSE(master::is_in_cgroup_of_worker(::getpid()));
}

TEST_CASE("a child that cannot start in the cgroup of its request starts in its parent's") {
  CHECK(start_daemon("/no/such/directory") > 0);
}

TEST_CASE("a cgroup finds the processes that a worker leaves, ends them at once, and is removed then") {
  auto cgroups = real_cgroups();
  if (cgroups.directory().empty()) return;
  const auto cgroup = cgroups.make(), other = cgroups.make();
  REQUIRE(cgroup != "");
  CHECK(other != cgroup);
  const pid_t worker = start_daemon(cgroup);
  CHECK(becomes_true([&] { return master::members_of(cgroup).size() == 2; }));
  for (const pid_t pid : master::members_of(cgroup)) {
    CHECK(master::is_in_cgroup_of_worker(pid));
    CHECK(cgroups.of(pid, "") == cgroup);
  }
  CHECK(cgroups.of(worker, "") == cgroup);
  CHECK(cgroups.of(::getpid(), "") == "");
  // As after a re-execution.
  CHECK(Cgroups::of_this_process().make() > cgroup);
  // Nothing else tells where these processes come from, as this process is no subreaper.
  master::Traces traces;
  CHECK(master::left_by({{worker, traces}}).value().at(worker).processes.empty());
  traces.cgroup = cgroup;
  CHECK(master::left_by({{worker, traces}}).value().at(worker).processes.size() == 2);
  cgroups.remove(other);
  CHECK_FALSE(std::filesystem::exists(other));
  cgroups.remove(cgroup);
  CHECK(std::filesystem::exists(cgroup));
  CHECK(master::kill_all(cgroup));
  CHECK(becomes_true([&] { return !master::is_populated(cgroup); }));
  cgroups.remove("");
  CHECK_FALSE(std::filesystem::exists(cgroup));
  ::waitpid(worker, nullptr, 0);
}

TEST_CASE("processes that fork all the time are found at each look, and run on after it") {
  auto cgroups = real_cgroups();
  const auto cgroup = cgroups.make();
  if (cgroups.directory().empty()) return;
  constexpr unsigned hoppers = 10, looks = 10;
  const Hoppers forking(hoppers, cgroup);
  REQUIRE(becomes_true([&] { return master::members_of(cgroup).size() >= hoppers; }));
  const pid_t worker = pid_of_none();
  std::vector<std::set<pid_t>> pids;
  unsigned complete = 0;
  for (unsigned i = 0; i < looks; ++i) {
    const auto left = master::left_by({{worker, {{}, {}, cgroup}}});
    if (!left) continue;
    unsigned with_socket = 0;
    pids.emplace_back();
    for (const auto& process : left->at(worker).processes) {
      with_socket += process.sockets.size() == 1;
      pids.back().insert(process.pid);
    }
    complete += with_socket >= hoppers;
  }
  CHECK(master::kill_all(cgroup));
  CHECK(becomes_true([&] { return !master::is_populated(cgroup); }));
  // On a busy machine some may still run after 20 ms. Without the freezer no look is complete.
  CHECK(complete >= looks / 2);
  REQUIRE(pids.size() > 1);
  CHECK(pids.front() != pids.back());
}

TEST_CASE("cgroups that a worker has made in its own are seen, and removed with it") {
  auto cgroups = real_cgroups();
  if (cgroups.directory().empty()) return;
  const auto cgroup = cgroups.make(), inner = cgroup + "/a/b";
  REQUIRE(std::filesystem::create_directories(inner));
  const pid_t worker = start_daemon(inner);
  CHECK(becomes_true([&] { return master::members_of(cgroup).size() == 2; }));
  CHECK(master::kill_all(cgroup));
  CHECK(becomes_true([&] { return !master::is_populated(cgroup); }));
  cgroups.remove(cgroup);
  CHECK_FALSE(std::filesystem::exists(cgroup));
  ::waitpid(worker, nullptr, 0);
}

TEST_CASE("the empty cgroups of dead masters are removed, those of living ones stay") {
  const auto first = real_cgroups();
  if (first.directory().empty()) return;
  const pid_t dead = pid_of_none();
  const auto of = [&](pid_t pid) { return first.directory() + "/liveswap-" + std::to_string(pid) + "-1"; };
  const std::string mine = first.directory() + "/liveswap-of-mine";
  for (const auto& path : {of(dead), of(::getppid()), mine}) REQUIRE(std::filesystem::create_directory(path));
  const auto second = Cgroups::of_this_process();
  CHECK_FALSE(std::filesystem::exists(of(dead)));
  CHECK(std::filesystem::remove(of(::getppid())));
  CHECK(std::filesystem::remove(mine));
}
