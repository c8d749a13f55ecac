#pragma once

#include "master/uv/loop.hpp"

namespace liveswap::master {

// Makes this process a child subreaper, so that orphaned descendants become children of this process and
// workers' left processes can be found. Reaps the children that no other code waits for: these orphans,
// those of a container's PID 1, and those of a shell that exec'ed this program. Otherwise they would stay
// zombies.
//
// Children of spawn() are left alone (spawn::Child::claim): their owners wait for them by pidfd. Do not use
// in a process that has other children and waits for them, such as an embedding program.
class Reaper {
 public:
  explicit Reaper(uv_loop_t& loop);

 private:
  void on_child_ended();
  void look_later();
  void look_again();

  Timer again_;
  bool is_looking_again_ = false;
  SignalWatch watch_;
};

// Whether this process is a child subreaper.
bool adopts_orphans();

// Whether this process is a child subreaper and has a child that spawn() has not started.
bool has_orphans();

}  // namespace liveswap::master
