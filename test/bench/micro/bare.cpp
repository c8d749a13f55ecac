#include "bare.hpp"

#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace scenario::micro {
namespace {

pid_t spawn(int channel) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, channel, 0);
  char program[] = BARE_WORKER, library[] = BENCH_PEER "/libbench_as_it_is.so";
  char* words[] = {program, library, nullptr};
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, program, &actions, nullptr, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(failed == 0);
  return pid;
}

}  // namespace

BareWorkers::BareWorkers(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    auto mine = liveswap::UniqueFd::adopt(ends[0]), its = liveswap::UniqueFd::adopt(ends[1]);
    workers_.push_back({spawn(its.get()), std::move(mine)});
    its.reset();
    char ready = 0;
    REQUIRE(::read(workers_.back().channel.get(), &ready, 1) == 1);
  }
}

void BareWorkers::end() {
  for (Worker& worker : workers_) worker.channel.reset();
  for (const Worker& worker : workers_) ::waitpid(worker.pid, nullptr, 0);
  workers_.clear();
}

void BareWorkers::ask_all() {
  char byte = 'a';
  for (const Worker& worker : workers_) REQUIRE(::write(worker.channel.get(), &byte, 1) == 1);
  for (const Worker& worker : workers_) REQUIRE(::read(worker.channel.get(), &byte, 1) == 1);
}

}  // namespace scenario::micro
