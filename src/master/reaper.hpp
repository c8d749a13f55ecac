#pragma once

#include "master/loop.hpp"

namespace liveswap::master {

// Reaps the children of this process that nobody else waits for. PID 1 of a container, and a process that is a child
// subreaper, become the parent of every process whose own parent has ended; a process that was executed in place of a shell
// has the children of that shell. Each would stay a zombie for ever.
//
// The children that spawn() has started are left alone (Child::claim): their owners watch them by pidfd and want to know how
// they have ended. For a process that has no other children to wait for: a program that embeds liveswap may have some.
class Reaper {
 public:
  explicit Reaper(uv_loop_t& loop);

 private:
  static void reap_unclaimed();

  SignalWatch watch_;
};

}  // namespace liveswap::master
