#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "master/takeover.hpp"

// Who uses what, and what follows from it.
namespace liveswap::master {
namespace {

// For workers that bind only when they have been ready for a while.
constexpr rollout::Time late_binder{2'000};
// An application that closes a listener may open it again at once.
constexpr rollout::Time reopening{1'000};
// From the moment when a socket is not wanted any more until those that still wait in it are turned away.
constexpr rollout::Time clearing{1'000};
// Connections that were handed off while nobody was there to take them.
constexpr std::size_t handed_off_limit = 1024;
constexpr rollout::Time handed_off_wait{10'000};
// Until they are offered again: nothing tells when a worker has read what it was sent.
constexpr rollout::Time handed_off_step{20};

bool name_of_socket(int fd, bool peer, sockaddr_storage& address, socklen_t& size) {
  size = sizeof address;
  auto* into = reinterpret_cast<sockaddr*>(&address);
  return (peer ? ::getpeername(fd, into, &size) : ::getsockname(fd, into, &size)) == 0;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

// Whether a connection may have come to `here` by a listener that is bound to `bound`.
bool is_inside(const sockaddr_storage& here, const sockaddr_storage& bound) {
  const auto &in = reinterpret_cast<const sockaddr_in&>(here), &in_bound = reinterpret_cast<const sockaddr_in&>(bound);
  if (in.sin_port != in_bound.sin_port) return false;  // which has the same place in both families
  if (bound.ss_family == AF_INET)
    return in_bound.sin_addr.s_addr == htonl(INADDR_ANY) || in.sin_addr.s_addr == in_bound.sin_addr.s_addr;
  const in6_addr &six = reinterpret_cast<const sockaddr_in6&>(here).sin6_addr,
                 &six_bound = reinterpret_cast<const sockaddr_in6&>(bound).sin6_addr;
  return IN6_IS_ADDR_UNSPECIFIED(&six_bound) || IN6_ARE_ADDR_EQUAL(&six, &six_bound);
}

// Whether the one is a connection that the other may have accepted.
bool comes_from(int connection, int listener) {
  for (const int name : {SO_DOMAIN, SO_TYPE, SO_PROTOCOL})
    if (option(connection, name) != option(listener, name)) return false;
  sockaddr_storage here{}, peer{}, bound{};
  socklen_t size = 0, bound_size = 0;
  if (option(connection, SO_TYPE) == SOCK_DGRAM || !name_of_socket(connection, true, peer, size) ||
      !name_of_socket(connection, false, here, size) || !name_of_socket(listener, false, bound, bound_size))
    return false;
  if (bound.ss_family != AF_UNIX) return is_inside(here, bound);
  return size == bound_size && std::memcmp(&here, &bound, size) == 0;
}

}  // namespace

bool Takeover::note_states(const std::vector<Seen>& seen) {
  bool changed = false;
  for (const Seen& one : seen) {
    const auto it = workers_.find(one.worker);
    if (it == workers_.end()) continue;
    changed = changed || it->second.ready != one.ready || it->second.draining != one.draining;
    it->second.ready = one.ready;
    it->second.draining = one.draining;
  }
  return changed;
}

// A socket whose worker has crashed waits for the next one, as those of the master do: only a worker that serves and
// does not use it shows that it is not wanted.
void Takeover::want(TakenEndpoint& endpoint) const {
  std::set<std::pair<unsigned, unsigned>> users, others;
  for (const auto& [id, worker] : workers_) {
    if (!worker.ready || worker.draining) continue;
    const bool uses = worker.uses.contains(&endpoint);
    (uses ? users : others).emplace(worker.set, endpoint.per_slot() ? worker.slot : 0);
  }
  endpoint.want([&](unsigned set, unsigned slot, bool served) {
    const std::pair place{set, slot};
    return users.contains(place) || (served && !others.contains(place));
  });
}

bool Takeover::is_used(Endpoint* endpoint, bool also_draining) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& one) {
    return one.second.uses.contains(endpoint) && (also_draining || !one.second.draining);
  });
}

bool Takeover::is_over(TakenEndpoint& endpoint, Use& use, rollout::Time now, bool quiet) const {
  // Bound and closed again without a listen(): nobody has noticed it.
  if (!endpoint.in_use() && !is_used(&endpoint, true)) return true;
  if (!quiet || is_used(&endpoint, false)) {
    use.unused_since.reset();
    return false;
  }
  if (!use.unused_since) use.unused_since = now;
  return now - *use.unused_since >= (use.closed ? reopening : late_binder);
}

void Takeover::drop(TakenEndpoint& endpoint) {
  if (endpoint.in_use()) log::info("listener {}: dropped, no worker uses it any more", endpoint.name());
  for (auto& [id, worker] : workers_) {
    worker.uses.erase(&endpoint);
    std::erase_if(worker.cookies, [&](const auto& one) { return one.second == &endpoint; });
  }
  std::erase_if(handed_off_, [&](const HandedOff& one) { return one.endpoint == &endpoint; });
  uses_.erase(&endpoint);
  listeners_.drop(endpoint);
}

std::optional<rollout::Time> Takeover::look(rollout::Time now, const std::vector<Seen>& seen, bool quiet) {
  const bool changed = note_states(seen) || std::exchange(changed_, false) || std::exchange(quiet_, quiet) != quiet;
  for (TakenEndpoint* endpoint : std::vector<TakenEndpoint*>(listeners_.taken())) {
    Use& use = uses_[endpoint];
    if (is_over(*endpoint, use, now, quiet)) {
      drop(*endpoint);
      continue;
    }
    if (!use.told && endpoint->in_use()) {
      use.told = true;
      log::info("listener {}: taken over from the application", endpoint->name());
    }
    if (changed) {
      want(*endpoint);
      use.clear_at = quiet ? std::optional(now + clearing) : std::nullopt;
    }
    if (use.clear_at && now >= *use.clear_at) {
      endpoint->clear_unwanted();
      use.clear_at.reset();
    }
  }
  if (changed) listeners_.steer_again();
  place_handed_off(now);
  return next_time(now);
}

std::optional<rollout::Time> Takeover::next_time(rollout::Time now) const {
  std::optional<rollout::Time> next;
  const auto take = [&next](rollout::Time time) { next = next ? std::min(*next, time) : time; };
  for (const auto& [endpoint, use] : uses_) {
    if (use.unused_since) take(*use.unused_since + (use.closed ? reopening : late_binder));
    if (use.clear_at) take(*use.clear_at);
  }
  if (!handed_off_.empty()) take(now + handed_off_step);
  return next;
}

// Its own socket may be gone; any other of the set has the same name.
bool Takeover::is_from(const Endpoint& endpoint, const Worker& worker, int connection) const {
  const auto sockets = endpoint.sockets(worker.set);
  return std::any_of(sockets.begin(), sockets.end(), [&](int fd) { return fd >= 0 && comes_from(connection, fd); });
}

bool Takeover::is_full() const { return handed_off_.size() >= handed_off_limit / 2; }

int Takeover::hand_off(rollout::WorkerId id, Worker& worker, Frame& frame) {
  if (frame.crippled) return EMFILE;
  if (!frame.descriptor) return EBADF;
  Endpoint* endpoint = endpoint_of(worker, frame.text);
  if (!endpoint) return EBADF;
  if (!is_from(*endpoint, worker, frame.descriptor.get())) return EINVAL;
  HandedOff one{std::move(frame.descriptor), endpoint, worker.slot, id, std::nullopt};
  if (adopt(one)) return 0;
  if (handed_off_.size() >= handed_off_limit) return ENOBUFS;
  handed_off_.push_back(std::move(one));
  return 0;
}

// To the successor in its slot, else to whoever of the newest generation has got the fewest.
bool Takeover::adopt(const HandedOff& one) {
  const auto lent = listeners_.lent();
  const bool everybody = std::find(lent.begin(), lent.end(), one.endpoint) != lent.end();
  std::pair<const rollout::WorkerId, Worker>* best = nullptr;
  const auto rank = [&](const Worker& worker) {
    return std::tuple(worker.slot == one.slot, worker.generation, ~worker.adopted);
  };
  for (auto& candidate : workers_) {
    const auto& [id, worker] = candidate;
    const bool can = worker.ready && !worker.draining && id != one.from &&
                     (everybody || worker.uses.contains(one.endpoint)) &&
                     one.endpoint->socket(worker.set, worker.slot) >= 0;
    if (can && (!best || rank(worker) > rank(best->second))) best = &candidate;
  }
  if (!best) return false;
  const std::uint64_t cookie = cookie_of(one.endpoint->socket(best->second.set, best->second.slot));
  Extras extras;
  extras.text = std::string_view(reinterpret_cast<const char*>(&cookie), sizeof cookie);
  extras.descriptor = one.connection.get();
  if (!send_(best->first, LIVESWAP_ADOPT, 0, extras)) return false;
  ++best->second.adopted;
  return true;
}

void Takeover::place_handed_off(rollout::Time now) {
  std::size_t late = 0;
  std::erase_if(handed_off_, [&](HandedOff& one) {
    if (adopt(one)) return true;
    if (!one.until) one.until = now + handed_off_wait;
    late += now >= *one.until;
    return now >= *one.until;
  });
  if (late > 0)
    log::warning("closed {} connection{} that {} handed off: no worker took {} within {} s", late, late == 1 ? "" : "s",
                 late == 1 ? "was" : "were", late == 1 ? "it" : "them",
                 std::chrono::duration_cast<std::chrono::seconds>(handed_off_wait).count());
}

}  // namespace liveswap::master
