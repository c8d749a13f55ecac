#pragma once

#include <optional>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// How long a listener that an application has bound itself is kept, by who uses it and by the time. To be
// asked again whenever one of these may have changed, and at next().
//
//   used      by a worker that does not drain: it stays; and while an upgrade is under way it stays in any
//   case unused    kept for a grace: code may bind late, and who closes a listener may open it again leaving
//   unused, and another listener is bound there, too: who comes goes to that one; closed when what has begun
//   is over
class ListenerLifetime {
 public:
  // How things stand.
  struct Use {
    bool quiet = false;      // no upgrade is under way, and every slot is served
    bool serves = false;     // it listens, or needs no listen()
    bool known = false;      // a worker uses it, be it one that drains
    bool lasting = false;    // one that does not drain
    bool inherited = false;  // another listener gets its connections when it is gone
  };

  // A worker has bound it; has closed it, which says nothing of the application where it drains.
  void bound() { closed_ = false; }
  void closed(bool while_draining) { closed_ = !while_draining; }
  // One more of its sockets gets no connections from now on; who waits there already is passed on, or turned
  // away at last.
  void unwanted();

  // Whether to withdraw it from those who look for it; then one of the two, by whether that could be done.
  bool may_leave(const Use& use) const;
  void leaves(Time now);
  void stays() { stays_ = true; }
  bool is_leaving() const { return leaving_until_.has_value(); }

  // Whether who waits in it shall go to another listener.
  bool passes_on() const { return is_leaving() || unwanted_; }
  // Whether it is to be closed.
  bool is_over(Time now, const Use& use);
  // Whether who still waits in what is unwanted is to be turned away, now, once.
  bool turns_away(Time now, const Use& use);

  // When time alone changes something.
  std::optional<Time> next() const;

 private:
  Time grace() const;

  std::optional<Time> unused_since_, leaving_until_, turning_away_at_;
  bool unwanted_ = false;
  bool closed_ = false;  // by an application, not by an upgrade
  bool stays_ = false;
};

}  // namespace liveswap::rollout
