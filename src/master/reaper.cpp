#include "master/reaper.hpp"

#include <signal.h>
#include <sys/wait.h>

#include "master/spawner.hpp"

namespace liveswap::master {
namespace {

// The kernel shows one child that has ended, the first in its list. Where that is one of ours, the others are seen once its
// owner has reaped it.
constexpr Milliseconds retry{20};
// Before the loop goes on; the rest follows after `retry`.
constexpr int at_once = 256;

}  // namespace

Reaper::Reaper(uv_loop_t& loop) : again_(loop), watch_(loop, SIGCHLD, [this] { reap(); }) {
  // What has ended before says nothing any more.
  reap();
}

void Reaper::reap() {
  for (int i = 0; i < at_once; ++i) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (is_claimed(info.si_pid)) break;
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
  again_.start(retry, [this] { reap(); });
}

}  // namespace liveswap::master
