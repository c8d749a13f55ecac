// A part of a test in a process of its own: for state that a process has only once, and for what ends or
// changes the process. Checks in it are REQUIREs: the first that fails ends the child, and in_child() returns
// false.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

namespace liveswap::test {

// What waitpid() says of a child that runs `body` and then exits with 0. One that hangs is ended by SIGALRM.
template <typename Body>
int status_of_child(Body body) {
  enum { LIMIT_S = 20, FAILED = 99 };
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 0;
    ::alarm(LIMIT_S);
    try {
      body();
    } catch (...) {  // what REQUIRE throws, after it has printed why
      result = FAILED;
    }
    std::cout.flush();
    ::_exit(result);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

template <typename Body>
bool in_child(Body body) {
  return status_of_child(body) == 0;
}

}  // namespace liveswap::test
