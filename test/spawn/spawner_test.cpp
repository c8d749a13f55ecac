#include "spawn/spawner.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

using namespace liveswap;

namespace {

struct Finished {
  int status = -1;
  std::string output;
};

// Runs a shell script with its output in a pipe, and waits for its end.
Finished run_script(spawn::Request request, const std::string& script) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const auto reader = UniqueFd::adopt(ends[0]);
  auto writer = UniqueFd::adopt(ends[1]);
  request.program = "/bin/sh";
  request.arguments = {"sh", "-c", script};
  request.descriptors.resize(std::max<std::size_t>(request.descriptors.size(), 3), -1);
  request.descriptors[1] = writer.get();
  const auto child = spawn::spawn(request);
  REQUIRE_MESSAGE(child.has_value(), (child ? "" : child.error().text));
  writer.reset();
  Finished finished;
  char buffer[512];
  for (ssize_t n; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;)
    finished.output.append(buffer, static_cast<std::size_t>(n));
  siginfo_t info{};
  REQUIRE(::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child->pidfd.get()), &info, WEXITED) ==
          0);
  finished.status = info.si_status;
  return finished;
}

}  // namespace

TEST_CASE("a child has the descriptors it was given, in their places, and no other") {
  const auto extra =
      UniqueFd::adopt(::open("/dev/null", O_RDONLY));  // without CLOEXEC; the child still must not get it
  const auto file = UniqueFd::adopt(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  spawn::Request request;
  request.descriptors = {-1, -1, -1, -1, file.get()};
  // The shell would open /proc/self/fd for a glob, and list that descriptor, too.
  const auto finished = run_script(
      request,
      "fd=0; while [ $fd -lt 64 ]; do [ -e /proc/$$/fd/$fd ] && echo $fd $(readlink /proc/$$/fd/$fd); "
      "fd=$((fd+1)); done");
  CHECK(finished.output.find("0 /dev/null\n1 pipe") == 0);
  CHECK(finished.output.find("\n2 /dev/null\n4 /proc/") != std::string::npos);
  CHECK(std::count(finished.output.begin(), finished.output.end(), '\n') == 4);
}

TEST_CASE("descriptors may be given crosswise") {
  const auto a = UniqueFd::adopt(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
  const auto b = UniqueFd::adopt(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  spawn::Request request;
  const int highest = std::max(a.get(), b.get());
  request.descriptors.resize(static_cast<std::size_t>(highest) + 1, -1);
  request.descriptors[static_cast<std::size_t>(a.get())] = b.get();
  request.descriptors[static_cast<std::size_t>(b.get())] = a.get();
  const auto script =
      "readlink /proc/$$/fd/" + std::to_string(a.get()) + " /proc/$$/fd/" + std::to_string(b.get());
  const auto output = run_script(request, script).output;
  CHECK(output.find("/maps") < output.find("/stat"));
}

TEST_CASE("a child begins with default dispositions and an empty mask") {
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGUSR1, &ignore, &before) == 0);
  sigset_t block, mask;
  ::sigemptyset(&block);
  ::sigaddset(&block, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &block, &mask);
  // Uses built-ins only: to start a program, the shell itself blocks signals.
  const auto finished = run_script({},
                                   "while read -r name mask; do case $name in SigBlk:|SigIgn:) echo $name "
                                   "$mask;; esac; done </proc/$$/status");
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(SIGUSR1, &before, nullptr);
  CHECK(finished.output == "SigBlk: 0000000000000000\nSigIgn: 0000000000000000\n");
}

TEST_CASE("a child has its own process group, directory, environment and limits") {
  spawn::Request request;
  request.environment = {"ONLY=this"};
  request.working_directory = "/proc";
  request.limits = {{RLIMIT_NOFILE, {77, 77}}};
  const auto finished = run_script(
      request, "echo $ONLY $HOME; pwd; ulimit -n; read -r p c s pp g rest </proc/$$/stat; test $p = $g");
  CHECK(finished.output == "this\n/proc\n77\n");
  CHECK(finished.status == 0);
}

TEST_CASE("without a working directory a child starts in its home, by name, or where the caller is") {
  spawn::Request request;
  request.home = "/proc";
  CHECK(run_script(request, "pwd").output == "/proc\n");
  request.home = "/no/such/directory";
  CHECK(run_script(request, "pwd -P").output == std::filesystem::current_path().string() + "\n");
  request.home = "/proc";
  request.working_directory = "/dev";
  CHECK(run_script(request, "pwd").output == "/dev\n");
}

TEST_CASE("a child becomes the user it shall be") {
  if (::geteuid() != 0) return;
  spawn::Request request;
  request.identity = spawn::Identity{65534, 65533, {65533}};
  CHECK(run_script(request, "echo $(/usr/bin/id -u) $(/usr/bin/id -g) $(/usr/bin/id -G)").output ==
        "65534 65533 65533\n");
}

TEST_CASE("a limit that cannot be set is named, with what is wanted and what is allowed") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  spawn::Request request;
  request.program = "/bin/true";
  request.arguments = {"true"};
  request.descriptors = {-1, -1, -1};
  // Above the kernel's maximum (fs.nr_open).
  request.limits = {{RLIMIT_CORE, {0, 0}}, {RLIMIT_NOFILE, {4'000'000'000, 4'000'000'000}}};
  const auto text = spawn::spawn(request).error().text;
  CHECK(text.find("cannot set the limit nofile to 4000000000: Operation not permitted: the hard limit is " +
                  std::to_string(before.rlim_max)) == 0);
  CHECK(text.find("fs.nr_open allows ") != std::string::npos);
  CHECK(text.find("--limit nofile=") != std::string::npos);
  CHECK(text.find("LimitNOFILE=") != std::string::npos);
}

TEST_CASE("a step that fails is named, and leaves no child behind") {
  spawn::Request request;
  request.program = "/no/such/program";
  request.arguments = {"x"};
  request.descriptors = {-1, -1, -1};
  CHECK(spawn::spawn(request).error().text == "cannot execute /no/such/program: No such file or directory");
  request.program = "/bin/true";
  request.working_directory = "/no/such/directory";
  CHECK(spawn::spawn(request).error().text ==
        "cannot change to the working directory /no/such/directory: No such file or directory");
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}
