#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "systemd/messages.hpp"

namespace liveswap::systemd {

// A service as its manager sees it:
//
//   starting ─▶ serving ⇄ reloading
//       └──────────┴──────────┴─────▶ stopping
enum class Phase {
  starting,   // until every slot is ready for the first time
  serving,    // told by READY=1
  reloading,  // an upgrade or rollback is under way; told by RELOADING=1
  stopping,   // told by STOPPING=1
};

// Decides what the manager is told next. A message that could not be sent is made anew later, from what is
// the case then. Pure.
class Announcement {
 public:
  // What the manager does not know yet, as one datagram; empty: nothing. `text`: for STATUS=. `now`:
  // CLOCK_MONOTONIC. `main`: the pid of this process.
  std::string next(Phase phase, const std::string& text, Microseconds now, pid_t main) const;
  // That datagram was sent.
  void told(Phase phase, const std::string& text);
  void told(Phase phase) { phase_ = phase; }
  // As last told; nullopt: nothing was.
  std::optional<Phase> phase() const { return phase_; }

 private:
  std::optional<Phase> phase_;
  std::string text_;
};

}  // namespace liveswap::systemd
