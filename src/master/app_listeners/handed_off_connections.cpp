#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "base/text.hpp"
#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/accept_queue.hpp"

// Connections that change hands: those that old workers hand off or give back, and those that arrive at an
// unserved listener while another one can take them.
namespace liveswap::master {
namespace {

// Connections that wait in the master; each costs a descriptor, so at most a quarter of the limit on
// descriptors. One giver may have half of them.
constexpr std::size_t waiting_most = 2048;
constexpr std::size_t share = 2;
constexpr rollout::Time handed_off_wait{10'000};
// When a serving worker has given a connection back, the time before the same worker may get the connection
// again.
constexpr rollout::Time giver_rests{100};
// Connections that forward() accepts from one socket in one look().
constexpr unsigned forwarded_at_once = 64;

// Whether clients of `from` would reach `substitute` if `from` did not exist.
bool covers(const SocketAddress& substitute, const SocketAddress& from) {
  const bool six = substitute.storage.ss_family == AF_INET6;
  if (substitute.port() != from.port()) return false;
  if (substitute.storage.ss_family != from.storage.ss_family)
    return six && substitute.both_families && substitute.is_any();
  return (substitute.is_any() || substitute.same_host(from)) &&
         (!six || substitute.both_families || !from.both_families);
}

// The address for IPv6 alone. A dual-stack listener may be replaced by one for each family, and the kernel
// gives IPv4 connections to the new IPv4 listener at once.
SocketAddress of_six_alone(SocketAddress from) {
  from.both_families = false;
  return from;
}

// Whether `listener` may have accepted `connection`.
bool comes_from(int connection, int listener) {
  for (const int name : {SO_TYPE, SO_PROTOCOL})
    if (socket_option(connection, SOL_SOCKET, name) != socket_option(listener, SOL_SOCKET, name))
      return false;
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (socket_option(connection, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM ||
      ::getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) != 0)
    return false;
  const SocketAddress here = address_of(connection), bound = address_of(listener);
  // An IPv4 connection may have been forwarded to a dual-stack listener, and given back.
  if (bound.storage.ss_family != AF_UNIX && here.storage.ss_family != AF_UNIX)
    return covers(bound, of_six_alone(here));
  return here.length == bound.length && std::memcmp(&here.storage, &bound.storage, here.length) == 0;
}

// The IPv4 wildcard with that port.
SocketAddress any_of_four(const SocketAddress& like) {
  SocketAddress any;
  auto& in = reinterpret_cast<sockaddr_in&>(any.storage);
  in.sin_family = AF_INET;
  in.sin_port = reinterpret_cast<const sockaddr_in&>(like.storage).sin_port;
  return any;
}

// No slot: the worker with the fewest adopted connections is next.
constexpr unsigned no_slot = ~0u;

std::string_view why_refused(int error) {
  switch (error) {
    case EMFILE: return "the master had no descriptor left for it (RLIMIT_NOFILE)";
    case ENOBUFS: return "as many as may wait already wait for a worker";
    case EINVAL: return "it did not come by the listener that was named";
    default: return "its listener is not held, or no connection came along";
  }
}

bool is_stream(int fd) {
  return socket_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
         socket_option(fd, SOL_SOCKET, SO_DOMAIN) != AF_UNIX;
}

}  // namespace

// The worker's own socket may be closed, but all sockets of the set have the same address.
bool AppListeners::is_from(const Endpoint& endpoint, const Worker& worker, int connection) const {
  const auto sockets = endpoint.sockets(worker.set);
  return std::any_of(sockets.begin(), sockets.end(),
                     [&](int fd) { return fd >= 0 && comes_from(connection, fd); });
}

// At half the limit a giver is told to rest; the other half is for frames already sent.
bool AppListeners::is_full(rollout::WorkerId id) const {
  const auto giver = workers_.find(id);
  const std::size_t limit = handed_off_limit();
  return *waiting_ >= limit / 2 || (giver != workers_.end() && *giver->second.waiting >= limit / 2 / share);
}

std::size_t AppListeners::handed_off_limit() const {
  if (rules_.handed_off_limit > 0) return rules_.handed_off_limit;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return waiting_most / 4;
  return std::min<std::size_t>(files.rlim_cur / 4, waiting_most);
}

AppListeners::Ticket AppListeners::ticket_for(const std::shared_ptr<std::size_t>& giver) const {
  ++*waiting_, ++*giver;
  return Ticket(nullptr, [all = waiting_, giver](const void*) { --*all, --*giver; });
}

int AppListeners::hand_off(rollout::WorkerId id, Worker& worker, Frame& frame) {
  if (frame.crippled) return EMFILE;
  if (!frame.descriptor) return EBADF;
  Endpoint* endpoint = endpoint_of(worker, frame.text);
  if (!endpoint) return EBADF;
  if (!is_from(*endpoint, worker, frame.descriptor.get())) return EINVAL;
  if (*waiting_ >= handed_off_limit() || *worker.waiting >= handed_off_limit() / share) return ENOBUFS;
  const rollout::Time waited{std::min<std::uint64_t>(frame.count, handed_off_wait.count())};
  HandedOff one{std::move(frame.descriptor), endpoint, worker.place.slot, id, waited, std::nullopt,
                ticket_for(worker.waiting)};
  if (adopt(one, false)) return 0;
  handed_off_.push_back(std::move(one));
  return 0;
}

// The worker expects no answer: a connection that is not taken is closed and not counted as handed off.
int AppListeners::take_handed_off(rollout::WorkerId id, Worker& worker, Frame& frame) {
  const bool is_handed_off = frame.count == 0;  // not given back
  const int error = hand_off(id, worker, frame);
  if (error == 0) return 0;
  worker.refused += is_handed_off;
  complain(worker, fmt::format("closed a connection that it handed off: {}", why_refused(error)));
  return error;
}

std::uint64_t AppListeners::refused(rollout::WorkerId id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? 0 : found->second.refused;
}

// The listener by which the worker can accept: the original one, or one with the same address; nullptr:
// none. A worker that has bound but does not listen could only hold the connection.
Endpoint* AppListeners::taker(const Worker& worker, const HandedOff& one) const {
  const auto has = [&](const Endpoint* endpoint) { return listening_socket(worker, *endpoint) >= 0; };
  if (worker.waits.contains(one.endpoint)) return has(one.endpoint) ? one.endpoint : nullptr;
  for (Endpoint* endpoint : worker.waits)
    if (has(endpoint) && is_from(*endpoint, worker, one.connection.get())) return endpoint;
  return nullptr;
}

// To the slot's successor, else to the newest generation's worker with the fewest adopted connections.
bool AppListeners::adopt(const HandedOff& one, bool also_by_giver) {
  std::pair<const rollout::WorkerId, Worker>* best = nullptr;
  Endpoint* by = nullptr;
  const auto rank = [&](const Worker& worker) {
    return std::tuple(worker.place.slot == one.slot, worker.place.generation, ~worker.adopted);
  };
  for (auto& candidate : workers_) {
    const auto& [id, worker] = candidate;
    if (!worker.ready || worker.draining || (id == one.from && !also_by_giver)) continue;
    if (best && rank(worker) <= rank(best->second)) continue;
    if (Endpoint* endpoint = taker(worker, one)) best = &candidate, by = endpoint;
  }
  if (!best) return false;
  const std::uint64_t cookie = cookie_of(listening_socket(best->second, *by));
  Extras extras;
  extras.count = static_cast<std::uint64_t>(
      (one.waited + (one.since ? looked_at_ - *one.since : rollout::Time{0})).count());
  extras.text = std::string_view(reinterpret_cast<const char*>(&cookie), sizeof cookie);
  extras.descriptor = one.connection.get();
  extras.ticket = one.ticket;
  if (!send_(best->first, LIVESWAP_ADOPT, 0, extras)) return false;
  ++best->second.adopted;
  return true;
}

Result<AppListeners::Way> AppListeners::way_to(rollout::WorkerId id, const std::string& listener) const {
  const auto none = fail("it does not wait for connections on the listener");
  const auto worker = workers_.find(id);
  if (worker == workers_.end()) return none;
  for (const Lent& one : *lent_to(worker->second)) {
    if (!listener.empty() && one.name != listener) continue;
    const int fd = one.endpoint->socket(worker->second.set, one.socket_of(worker->second.place.slot));
    if (fd < 0 || socket_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        worker->second.given_up.contains(one.endpoint))
      return none;
    return Way{cookie_of(fd), socket_option(fd, SOL_SOCKET, SO_DOMAIN), one.endpoint->address()};
  }
  return none;
}

bool AppListeners::ask(rollout::WorkerId worker, const Way& way, int connection, std::int32_t number) {
  Extras extras;
  extras.text = std::string_view(reinterpret_cast<const char*>(&way.cookie), sizeof way.cookie);
  extras.descriptor = connection;
  return send_(worker, LIVESWAP_ADOPT, number, extras);
}

void AppListeners::place_handed_off(rollout::Time now) {
  std::size_t late = 0;
  std::erase_if(handed_off_, [&](HandedOff& one) {
    if (!one.since) one.since = now;
    if (adopt(one, now - *one.since >= giver_rests)) return true;
    const bool is_late = one.waited + (now - *one.since) >= handed_off_wait;
    late += is_late;
    return is_late;
  });
  if (late > 0)
    log::seldom({"connections that were handed off"}, log::Level::warning,
                "closed {} that {} handed off: no worker took {} within {} s", plural(late, "connection"),
                late == 1 ? "was" : "were", late == 1 ? "it" : "them",
                std::chrono::duration_cast<std::chrono::seconds>(handed_off_wait).count());
}

// Served endpoints that can take all connections of this one.
std::vector<AppListeners::Substitute> AppListeners::substitutes_of(const AppEndpoint& endpoint) const {
  const auto unwanted = endpoint.unwanted();
  if (unwanted.empty()) return {};
  const SocketAddress from = address_of(unwanted.front());
  std::vector<Substitute> substitutes, of_six;
  bool any_four = false;
  std::set<Endpoint*> seen;
  for (const auto& [id, worker] : workers_) {
    if (!worker.ready || worker.draining) continue;
    for (Endpoint* other : worker.uses) {
      const int fd = other == &endpoint ? -1 : listening_socket(worker, *other);
      if (fd < 0 || !is_stream(fd) || !seen.insert(other).second) continue;
      const SocketAddress address = address_of(fd);
      if (covers(address, from)) substitutes.push_back({other, address.storage.ss_family});
      else if (covers(address, of_six_alone(from))) of_six.push_back({other, address.storage.ss_family});
      any_four = any_four || covers(address, any_of_four(from));
    }
  }
  if (substitutes.empty() && any_four) substitutes = std::move(of_six);
  return substitutes;
}

// Connections to an unserved socket would wait there until the close, although workers serve the address:
// after an upgrade from 127.0.0.1:80 to 0.0.0.0:80, or back. The kernel prefers the more specific address.
void AppListeners::forward(const AppEndpoint& from, const Use& use) {
  if (use.substitutes.empty()) return;
  for (const int fd : from.unwanted()) {
    end_blocking(fd);
    for (unsigned i = 0;
         i < forwarded_at_once && *waiting_ < handed_off_limit() && has_waiting_connection(fd); ++i) {
      spawn::ReceivedFd connection(UniqueFd::adopt(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)));
      if (!connection) break;
      const int family = socket_option(connection.get(), SOL_SOCKET, SO_DOMAIN);
      const auto same =
          std::find_if(use.substitutes.begin(), use.substitutes.end(),
                       [family](const Substitute& substitute) { return substitute.family == family; });
      Endpoint* to = (same == use.substitutes.end() ? use.substitutes.front() : *same).endpoint;
      HandedOff one{std::move(connection), to, no_slot, 0, rollout::Time{0}, std::nullopt,
                    ticket_for(forwarded_)};
      if (!adopt(one, false)) handed_off_.push_back(std::move(one));
    }
  }
}

}  // namespace liveswap::master
