#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "host.hpp"
#include "test/support/temp_dir.hpp"

using liveswap::test::TempDir;

namespace {

Answer run(const std::string& command, const std::string& value = "/srv/libapp.so") {
  const Variable variable("LIVESWAP_RUN_COMMAND", command);
  logged();
  const auto answer = ask(RUN_COMMAND, value);
  CHECK(answer.calls == 1);
  // The plugin leaves no zombie and no running child.
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  return answer;
}

using Log = std::vector<std::string>;

long descriptors() {
  long count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory)) ++count;
  ::closedir(directory);
  return count;
}

}  // namespace

TEST_CASE("run-command: the last line that is not blank is the path") {
  CHECK(run("echo /srv/new.so").path == "/srv/new.so");
  CHECK(run("echo building; echo; echo /srv/new.so; echo; echo '  '").path == "/srv/new.so");
  CHECK(run("printf /srv/new.so").path == "/srv/new.so");
  CHECK(run("printf '  /srv/a b.so \\r\\n'").path == "/srv/a b.so");
  CHECK(run("echo build/new.so").path == "build/new.so");
  CHECK(run("seq 1 1000; echo last.so").path == "last.so");
}

TEST_CASE("run-command: nothing printed keeps the path") {
  for (const char* command : {"true", "echo", "printf '\\n \\n\\t\\n'", "echo text >&2"}) {
    CAPTURE(command);
    const auto answer = run(command);
    CHECK(answer.kept);
    CHECK_FALSE(answer.refused);
  }
}

TEST_CASE("run-command: the command knows the path that was asked for") {
  CHECK(run("echo \"$LIVESWAP_VALUE.new\"", "/srv/x").path == "/srv/x.new");
  CHECK(run("echo \"<$LIVESWAP_VALUE>\"", "").path == "<>");
  CHECK(run("echo \"$LIVESWAP_VALUE\"", "a; echo b `c` $(d)").path == "a; echo b `c` $(d)");
  const Variable old("LIVESWAP_VALUE", "old");
  CHECK(run("env | grep -c ^LIVESWAP_VALUE=").path == "1");
  CHECK(run("echo $LIVESWAP_VALUE", "new").path == "new");
}

TEST_CASE("run-command: output goes to the log") {
  run("echo one; echo two >&2; echo; printf three");
  Log lines = logged();
  std::sort(lines.begin(), lines.end());
  CHECK(lines == Log{"1 one", "1 three", "2 two"});
}

TEST_CASE("run-command: a failure refuses the upgrade with the last lines of standard error") {
  auto answer = run("echo /srv/new.so; exit 3");
  CHECK(answer.refused);
  CHECK(answer.error == "the command \"echo /srv/new.so; exit 3\" ended with exit status 3");

  answer = run("echo one >&2; echo two >&2; false");
  CHECK(answer.error ==
        "the command \"echo one >&2; echo two >&2; false\" ended with exit status 1:\none\ntwo");

  CHECK(run("kill -KILL $$").error == "the command \"kill -KILL $$\" was ended by SIGKILL");
  CHECK(run("no-such-command-x").error.find("ended with exit status 127:\n") != std::string::npos);
  CHECK(run("seq 1 100 >&2; false").error.ends_with("status 1:\n91\n92\n93\n94\n95\n96\n97\n98\n99\n100"));
  CHECK(run("if then").error.find("\"if then\" ended with exit status 2:\n") != std::string::npos);
  CHECK(run("false " + std::string(1000, 'x')).error.size() < 300);
}

TEST_CASE("run-command: a shell command must be configured") {
  const auto expected = "LIVESWAP_RUN_COMMAND is not set: start the master with a shell command in it";
  CHECK(ask(RUN_COMMAND, "x").error == expected);
  CHECK(run("").error == expected);
  CHECK(run(" \n").error == expected);
}

TEST_CASE("run-command: what is no path is refused") {
  CHECK(run("printf '\\033[32mgreen\\033[0m\\n'").error.find("has control characters, expected a path") !=
        std::string::npos);
  CHECK(run("printf 'a\\000b\\n'").refused);
  CHECK(run("head -c 4096 /dev/zero | tr '\\0' x").path.size() == 4096);
  CHECK(run("head -c 4097 /dev/zero | tr '\\0' x").error.find("has more than 4096 bytes, expected a path") !=
        std::string::npos);
  CHECK(logged().back() == "1 " + std::string(4096, 'x') + " …");
}

TEST_CASE("run-command: memory is bounded whatever is printed") {
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  // 100 MB without a newline on each output.
  const auto answer =
      run("head -c 100000000 /dev/zero >&2 & head -c 100000000 /dev/zero; wait; echo; echo x.so");
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(answer.path == "x.so");
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(after.ru_maxrss - before.ru_maxrss < 20 * 1024);
#endif
}

TEST_CASE("run-command: errors are bounded") {
  const auto answer =
      run("for i in 1 2 3 4 5; do head -c 3000 /dev/zero | tr '\\0' x; echo; done >&2; false");
  CHECK(answer.error.size() > 3000);
  CHECK(answer.error.size() < 4096 + 300);
}

TEST_CASE("run-command: a process in the background is not waited for") {
  const TempDir directory;
  const auto fifo = directory / "end";
  const auto start = std::chrono::steady_clock::now();
  // One process holds both outputs until the test writes to the FIFO; another one writes to them without end.
  const auto answer = run("mkfifo " + fifo + "; cat " + fifo + " & yes & echo x.so");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK_FALSE(answer.refused);
  const int end = ::open(fifo.c_str(), O_WRONLY);
  CHECK(end >= 0);
  ::close(end);
}

TEST_CASE("run-command: both outputs are read at once") {
  // More than a pipe holds, first on one output, then on the other.
  CHECK(run("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; echo; echo x.so").path == "x.so");
}

TEST_CASE("run-command: the command gets three descriptors and an empty input") {
  const int leaked = ::dup(0);  // not close-on-exec, as the channel of a careless host
  CHECK(run("ls /proc/self/fd | tr '\\n' ' '").path == "0 1 2 3");  // 3: ls reads the directory
  CHECK(run("cat; echo x.so").path == "x.so");
  ::close(leaked);
}

TEST_CASE("run-command: the command has the signals that a shell expects") {
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const auto old = ::signal(SIGPIPE, SIG_IGN);
  const auto blocked = run("awk '/^SigBlk/ { print $2 }' /proc/self/status").path;
  const auto ignored = run("awk '/^SigIgn/ { print $2 }' /proc/self/status").path;
  ::signal(SIGPIPE, old);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(std::stoull(blocked, nullptr, 16) == 0);
  // glibc keeps its own two signals, 32 and 33, ignored.
  CHECK((std::stoull(ignored, nullptr, 16) & 0x7fffffff) == 0);
}

TEST_CASE("run-command: no descriptor is left behind") {
  run("true");
  const long before = descriptors();
  run("echo a; echo b >&2");
  run("false");
  CHECK(descriptors() == before);
}
