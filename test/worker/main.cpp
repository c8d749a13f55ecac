#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "test/support/left_out.hpp"

namespace {

// Applications fork, and what they fork may outlive its worker: all of it becomes a child of this process.
void end_children() {
  for (;;) {
    std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
    for (pid_t pid = 0; list >> pid;) kill(pid, SIGKILL);
    if (waitpid(-1, nullptr, 0) < 0) return;
  }
}

}  // namespace

int main(int count, char** words) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  doctest::Context context(count, words);
  liveswap::test::leave_out(context);
  const int result = context.run();
  end_children();
  return result;
}
