
#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "master/app_listeners/app_listeners.hpp"

// Which workers use which endpoint, and the consequences.
namespace liveswap::master {
namespace {

// Polling intervals: nothing reports that a connection has arrived, or that a worker has read one.
constexpr rollout::Time forward_step{10}, handed_off_step{20};

// Time for an application to reopen a closed listener.
constexpr rollout::Time given_up_pause{500};
// Former sockets of the master that may still live in draining workers.
constexpr std::size_t former_limit = 4096;

}  // namespace

bool AppListeners::note_states(const std::vector<Seen>& turned) {
  bool changed = false;
  for (const Seen& one : turned) {
    const auto it = workers_.find(one.worker);
    if (it == workers_.end()) continue;
    Worker& worker = it->second;
    worker.ready = one.ready;
    worker.draining = one.draining;
    unsettled_.insert(one.worker);
    if (one.draining) record_again(worker.place.slot);
    changed = true;
  }
  return changed;
}

// The socket of a crashed worker waits for a successor. Such a socket becomes unwanted only if a worker
// serves without it.
AppEndpoint::Wanted AppListeners::wanted_of(AppEndpoint& endpoint) const {
  std::set<std::pair<unsigned, unsigned>> users, others;
  for (const auto& [id, worker] : workers_) {
    if (!worker.ready || worker.draining) continue;
    const bool uses = worker.uses.contains(&endpoint);
    (uses ? users : others).emplace(worker.set, endpoint.per_slot() ? worker.place.slot : 0);
  }
  return [users, others](unsigned set, unsigned slot, bool served) {
    const std::pair place{set, slot};
    return users.contains(place) || (served && !others.contains(place));
  };
}

bool AppListeners::is_used(Endpoint* endpoint, bool also_draining) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& one) {
    return one.second.uses.contains(endpoint) && (also_draining || !one.second.draining);
  });
}

void AppListeners::drop(AppEndpoint& endpoint) {
  if (endpoint.in_use())
    log::seldom({"listeners that were dropped", 100}, log::Level::info,
                "listener {}: dropped, no worker uses it any more", endpoint.name());
  if (is_used(&endpoint, true)) endpoint.spare();
  for (const std::uint64_t cookie : endpoint.cookies()) {
    former_.push_back(cookie);
    options_.forget(cookie);
  }
  while (former_.size() > former_limit) former_.pop_front();
  for (auto& [id, worker] : workers_) {
    worker.uses.erase(&endpoint);
    worker.named.erase(&endpoint);
    worker.waits.erase(&endpoint);
    std::erase_if(worker.cookies, [&](const auto& one) { return one.second == &endpoint; });
  }
  std::erase_if(handed_off_, [&](const HandedOff& one) { return one.endpoint == &endpoint; });
  for (auto& [other, use] : uses_)
    std::erase_if(use.substitutes,
                  [&](const Substitute& substitute) { return substitute.endpoint == &endpoint; });
  record_all_again();
  uses_.erase(&endpoint);
  listeners_.drop(endpoint);
}

void AppListeners::forget(Endpoint& endpoint) {
  for (const int fd : listeners_.sockets_of(endpoint)) options_.forget(cookie_of(fd));
  std::erase_if(handed_off_, [&](const HandedOff& one) { return one.endpoint == &endpoint; });
  for (auto& [other, use] : uses_)
    std::erase_if(use.substitutes,
                  [&](const Substitute& substitute) { return substitute.endpoint == &endpoint; });
  for (auto& [id, worker] : workers_) {
    worker.uses.erase(&endpoint);
    worker.waits.erase(&endpoint);
    worker.given_up.erase(&endpoint);
    std::erase_if(worker.cookies, [&](const auto& one) { return one.second == &endpoint; });
  }
  record_all_again();
  const auto key = endpoint.address();
  const auto lent = listeners_.lent();
  if (std::none_of(lent.begin(), lent.end(), [&](const Endpoint* one) { return one->address() == key; }))
    awaited_.forget(key);
}

void AppListeners::refresh(AppEndpoint& endpoint, Use& use) {
  if (endpoint.want(wanted_of(endpoint))) use.lifetime.unwanted();
  use.substitutes = substitutes_of(endpoint);
}

void AppListeners::look_at(AppEndpoint& endpoint, Use& use, rollout::Time now) {
  if (!use.told && endpoint.in_use()) {
    use.told = true;
    log::seldom({"listeners that were taken over", 100}, log::Level::info,
                "listener {}: taken over from the application", endpoint.name());
  }
  rollout::ListenerLifetime& lifetime = use.lifetime;
  const rollout::ListenerLifetime::Use as_it_is{.quiet = quiet_,
                                                .serves = endpoint.in_use(),
                                                .known = is_used(&endpoint, true),
                                                .lasting = is_used(&endpoint, false),
                                                .has_substitute = !use.substitutes.empty()};
  // Code that binds the address later gets a new endpoint (find()).
  if (lifetime.may_leave(as_it_is)) endpoint.leave() ? lifetime.leaves(now) : lifetime.stays();
  if (lifetime.passes_on()) forward(endpoint, use);
  if (lifetime.is_over(now, as_it_is)) return drop(endpoint);
  if (lifetime.turns_away(now, as_it_is)) endpoint.clear_unwanted();
}

std::optional<rollout::Time> AppListeners::look(rollout::Time now, const std::vector<Seen>& turned,
                                                bool quiet) {
  looked_at_ = now;
  for (const auto id : unsettled_)
    for (auto& [endpoint, since] : workers_.at(id).given_up)
      if (!since) since = now;
  // All three are evaluated: each has side effects.
  const bool states = note_states(turned), frames = std::exchange(changed_, false);
  const bool changed = (std::exchange(quiet_, quiet) != quiet) || states || frames;
  unjudged_ = unjudged_ || changed;
  for (AppEndpoint* endpoint : std::vector<AppEndpoint*>(listeners_.app_endpoints())) {
    Use& use = uses_[endpoint];
    if (changed) refresh(*endpoint, use);
    look_at(*endpoint, use, now);
  }
  if (changed && !uses_.empty()) listeners_.steer_again();
  place_handed_off(now);
  return next_time(now);
}

std::optional<rollout::Time> AppListeners::next_time(rollout::Time now) const {
  std::optional<rollout::Time> next;
  const auto take = [&next](rollout::Time time) { next = next ? std::min(*next, time) : time; };
  for (const auto& [endpoint, use] : uses_) {
    if (const auto due = use.lifetime.next()) take(*due);
    if (!use.substitutes.empty() && use.lifetime.passes_on()) take(now + forward_step);
  }
  if (!handed_off_.empty()) take(now + handed_off_step);
  for (const auto id : unsettled_)
    for (const auto& [endpoint, since] : workers_.at(id).given_up)
      if (since) take(*since + given_up_pause);
  return next;
}

bool AppListeners::waits_on(rollout::WorkerId id, const std::string& listener) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && std::any_of(it->second.waits.begin(), it->second.waits.end(),
                                             [&](const Endpoint* one) { return one->name() == listener; });
}

std::vector<AppListeners::GivenUp> AppListeners::given_up(rollout::Time now) {
  std::vector<GivenUp> found;
  for (const auto id : unsettled_) {
    Worker& worker = workers_.at(id);
    const bool serves = worker.ready && !worker.draining;
    std::erase_if(worker.given_up, [&](const auto& one) {
      const bool is_due = one.second && now >= *one.second + given_up_pause;
      if (is_due && serves) found.push_back({id, one.first->name()});
      return is_due || !serves;
    });
  }
  return found;
}

}  // namespace liveswap::master
