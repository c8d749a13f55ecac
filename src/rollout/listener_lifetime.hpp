#pragma once

#include <optional>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// How long the master keeps a listener that an application has bound. Pure; ask again after each change in
// the use, and at next().
//
//   used      by a worker that does not drain, or an upgrade is under way: kept
//   unused    kept for a grace: code may bind late, or close a listener and open it again
//   leaving   unused, and another listener is bound to the same address: new connections go to that one;
//             closed once pending handshakes have ended
class ListenerLifetime {
 public:
  struct Use {
    bool quiet = false;           // no upgrade, and every slot is served
    bool serves = false;          // listens, or is UDP
    bool known = false;           // used by some worker, even a draining one
    bool lasting = false;         // used by a worker that does not drain
    bool has_substitute = false;  // another listener gets the connections after a withdrawal
  };

  // A worker has bound, or closed, the listener. A close by a draining worker does not count as the
  // application's will.
  void bound() { closed_ = false; }
  void closed(bool while_draining) { closed_ = !while_draining; }
  // One of the sockets gets no new connections from now on. Connections that wait there are passed on, or
  // in the end reset.
  void unwanted();

  // Whether to withdraw the listener from clients now. The caller then calls leaves() or, if that failed,
  // stays().
  bool may_leave(const Use& use) const;
  void leaves(Time now);
  void stays() { stays_ = true; }
  bool is_leaving() const { return leaving_until_.has_value(); }

  // Whether connections that wait in the listener are passed to another listener.
  bool passes_on() const { return is_leaving() || unwanted_; }
  // Whether to close the listener.
  bool is_over(Time now, const Use& use);
  // Whether to reset the connections that still wait in unwanted sockets. True once.
  bool turns_away(Time now, const Use& use);

  // When to ask again if nothing changes.
  std::optional<Time> next() const;

  // All members as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("unused_since", unused_since_)("leaving_until", leaving_until_)("turning_away_at", turning_away_at_);
    a("unwanted", unwanted_)("closed", closed_)("stays", stays_);
  }

 private:
  Time grace() const;

  std::optional<Time> unused_since_, leaving_until_, turning_away_at_;
  bool unwanted_ = false;
  bool closed_ = false;  // by an application that does not drain
  bool stays_ = false;
};

}  // namespace liveswap::rollout
