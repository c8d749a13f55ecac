#include "cli/daemon.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::cli;
using liveswap::test::TempDir;

namespace {

struct Place {
  Place() { options.log_file = directory / "log"; }

  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(options.log_file).rdbuf();
    return text.str();
  }

  TempDir directory;
  Options options;
};

// The child exits here, and does not run the other tests.
Detached start(const Options& options, const std::function<Outcome(const Options&)>& run) {
  auto detached = run_in_background(options, run);
  if (detached.child) ::_exit(detached.outcome.status);
  return detached;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

TEST_CASE("the parent returns when the workers are ready, and the master goes on") {
  Place place;
  const auto detached = start(place.options, [](const Options& options) {
    options.on_ready();
    std::cerr << "in the log, session " << (::getsid(0) == ::getpid()) << std::endl;
    ::pause();
    return Outcome{};
  });
  CHECK(detached.outcome.status == ok);
  REQUIRE(detached.pid > 0);
  CHECK(::kill(detached.pid, 0) == 0);
  ::kill(detached.pid, SIGTERM);
  CHECK(WTERMSIG(wait_for(detached.pid)) == SIGTERM);
}

TEST_CASE("what the user should know of the start reaches the parent") {
  Place place;
  const auto detached = start(place.options, [](const Options& options) {
    options.on_notice("HEAD decides");
    options.on_notice("so does the store");
    options.on_ready();
    return Outcome{};
  });
  CHECK(detached.outcome.status == ok);
  CHECK(detached.outcome.text == "HEAD decides\nso does the store");
  wait_for(detached.pid);
}

TEST_CASE("a failure reaches the parent with its status and text") {
  Place place;
  const auto detached = start(place.options, [](const Options&) {
    std::cerr << "said to stderr, session " << (::getsid(0) == ::getpid()) << std::endl;
    return Outcome{refused, "already running"};
  });
  CHECK(detached.outcome.status == refused);
  CHECK(detached.outcome.text == "already running");
  CHECK(WEXITSTATUS(wait_for(detached.pid)) == refused);
  CHECK(place.log() == "said to stderr, session 1\n");
}

TEST_CASE("a master that crashes before it is ready does not leave the parent waiting") {
  Place place;
  const auto detached = start(place.options, [](const Options&) -> Outcome { ::_exit(9); });
  CHECK(detached.outcome.status == failed);
  CHECK(detached.outcome.text.find("ended with exit status 9 before its workers were ready") !=
        std::string::npos);

  const auto killed = start(place.options, [](const Options&) -> Outcome {
    ::raise(SIGKILL);
    return {};
  });
  CHECK(killed.outcome.status == failed);
  CHECK(killed.outcome.text.find("was ended by SIGKILL") != std::string::npos);
  CHECK(killed.outcome.text.find(place.options.log_file) != std::string::npos);
}

TEST_CASE("what the parent prints itself is not shown again as the end of the log") {
  const Place place;
  const auto detached = start(place.options, [](const Options&) -> Outcome {
    std::cerr << "a line of the log\nliveswap: it failed\nfor two reasons" << std::endl;
    return {failed, "it failed\nfor two reasons"};
  });
  CHECK(detached.log_end == "a line of the log");
  wait_for(detached.pid);
  const auto alone = start(place.options, [](const Options&) -> Outcome {
    std::cerr << "liveswap: it failed" << std::endl;
    return {failed, "it failed"};
  });
  CHECK(alone.log_end.empty());
  wait_for(alone.pid);
}

TEST_CASE("of a failure the parent has the end of the log, and nothing that was there before") {
  const Place place;
  std::ofstream(place.options.log_file) << "of the start before\n";
  const auto detached = start(place.options, [](const Options&) -> Outcome {
    [[maybe_unused]] const auto size = ::write(STDERR_FILENO, "no \x1b licence\nfor you\n", 21);
    return {failed, "why"};
  });
  CHECK(detached.outcome.text == "why");
  CHECK(detached.log_end == "no \\x1b licence\nfor you");
  wait_for(detached.pid);
}

TEST_CASE("a master that is stopped before it is ready does not run") {
  Place place;
  const auto detached = start(place.options, [](const Options&) { return Outcome{ok, "stopped"}; });
  CHECK(detached.outcome.status == failed);
  wait_for(detached.pid);
}

TEST_CASE("a log file that cannot be opened is said at once") {
  Place place;
  place.options.log_file = place.directory / "none/log";
  const auto detached = start(place.options, [](const Options&) { return Outcome{}; });
  CHECK(detached.outcome.status == failed);
  CHECK(detached.outcome.text.find(place.options.log_file) != std::string::npos);
  wait_for(detached.pid);
}

TEST_CASE("the log is in the state directory unless it was named") {
  Place place;
  Options options;
  options.state_dir = place.directory / "state";
  CHECK(prepare_log(options).status == ok);
  CHECK(options.log_file == place.directory / "state/log");
  CHECK(std::filesystem::is_directory(options.state_dir));
  CHECK(prepare_log(place.options).status == ok);
  CHECK(place.options.log_file == place.directory / "log");
}
