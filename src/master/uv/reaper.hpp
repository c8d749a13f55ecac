#pragma once

#include "master/uv/loop.hpp"

namespace liveswap::master {

// Makes this process a child subreaper: it becomes the parent of every descendant whose own parent has ended,
// so that what workers leave behind is found. And reaps the children that nobody else waits for: these
// orphans; those of PID 1 of a container; those of a shell in whose place the process was executed. Each
// would stay a zombie for ever.
//
// The children that spawn() has started are left alone (Child::claim): their owners watch them by pidfd and
// want to know how they have ended. For a process that has no other children to wait for: a program that
// embeds liveswap may have some.
class Reaper {
 public:
  explicit Reaper(uv_loop_t& loop);

 private:
  static void reap_unclaimed();

  SignalWatch watch_;
};

// Whether this process becomes the parent of those of its descendants whose parent has ended.
bool adopts_orphans();

// Whether it does, and has some child that spawn() has not started.
bool has_orphans();

}  // namespace liveswap::master
