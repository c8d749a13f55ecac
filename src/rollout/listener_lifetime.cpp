#include "rollout/listener_lifetime.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

// For workers that bind only when they have been ready for a while.
constexpr Time late_binder{2'000};
// An application that closes a listener may open it again at once.
constexpr Time reopening{1'000};
// From the moment when a socket is not wanted any more until those that still wait in it are turned away: not
// before those who bind late have had their time.
constexpr Time clearing = late_binder;
// From the moment when nobody can come to a listener any more until it is closed: handshakes end, or are
// repeated once.
constexpr Time leaving{1'000};

}  // namespace

Time ListenerLifetime::grace() const { return closed_ ? reopening : late_binder; }

void ListenerLifetime::unwanted() {
  unwanted_ = true;
  turning_away_at_.reset();
}

// At once, for what comes to it meanwhile goes through the master.
bool ListenerLifetime::may_leave(const Use& use) const {
  return !is_leaving() && !stays_ && use.quiet && use.inherited && use.serves && !use.lasting;
}

void ListenerLifetime::leaves(Time now) {
  leaving_until_ = now + leaving;
  unused_since_.reset();
}

bool ListenerLifetime::is_over(Time now, const Use& use) {
  if (is_leaving()) return now >= *leaving_until_;
  // Bound and closed again without a listen(): nobody has noticed it.
  if (!use.serves && !use.known) return true;
  if (!use.quiet || use.lasting) {
    unused_since_.reset();
    return false;
  }
  if (!unused_since_) unused_since_ = now;
  return now - *unused_since_ >= grace();
}

bool ListenerLifetime::turns_away(Time now, const Use& use) {
  if (!use.quiet) turning_away_at_.reset();
  if (use.quiet && unwanted_ && !turning_away_at_) turning_away_at_ = now + clearing;
  if (!turning_away_at_ || now < *turning_away_at_) return false;
  turning_away_at_.reset();
  unwanted_ = false;
  return true;
}

std::optional<Time> ListenerLifetime::next() const {
  std::optional<Time> next = turning_away_at_;
  const auto take = [&next](Time time) { next = next ? std::min(*next, time) : time; };
  if (unused_since_) take(*unused_since_ + grace());
  if (leaving_until_) take(*leaving_until_);
  return next;
}

}  // namespace liveswap::rollout
