#include "rollout/listener_lifetime.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

// For applications that bind late.
constexpr Time late_binder{2'000};
constexpr Time reopening{1'000};
// From the moment a socket is unwanted until the connections that wait in it are reset: late binders get
// their time first.
constexpr Time clearing = late_binder;
// From the withdrawal of a listener until the close: pending handshakes end, or are retried once.
constexpr Time leaving{1'000};

}  // namespace

Time ListenerLifetime::grace() const { return closed_ ? reopening : late_binder; }

void ListenerLifetime::unwanted() {
  unwanted_ = true;
  turning_away_at_.reset();
}

// Without a grace: until the withdrawal the master has to accept and pass on every connection.
bool ListenerLifetime::may_leave(const Use& use) const {
  return !is_leaving() && !stays_ && use.quiet && use.has_substitute && use.serves && !use.lasting;
}

void ListenerLifetime::leaves(Time now) {
  leaving_until_ = now + leaving;
  unused_since_.reset();
}

bool ListenerLifetime::is_over(Time now, const Use& use) {
  if (is_leaving()) return now >= *leaving_until_;
  // Bound and closed without listen(): no client has seen it.
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
