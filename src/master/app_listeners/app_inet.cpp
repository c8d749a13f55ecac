#include "master/app_listeners/app_inet.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {

AppInet::AppInet(const state::EndpointState& from, const Rules& rules)
    : AppEndpoint(from),
      rules_(rules),
      where_(from.where),
      group_(from.group.with(is_datagram() ? Deal::by_peer : Deal::in_turn)),
      left_(from.left),
      spared_(from.spared) {
  for (const auto& set : from.sets) {
    auto& sockets = sets_.emplace_back();
    for (const auto& one : set)
      sockets.push_back({UniqueFd::adopt(one.fd.number), one.backlog, one.nonblocking, one.member, one.wanted,
                         one.served, one.unwanted});
  }
}

void AppInet::save(state::EndpointState& into) const {
  AppEndpoint::save(into);
  into.kind = state::EndpointState::Kind::app_inet;
  into.where = where_;
  into.group = group_;
  into.left = left_;
  into.spared = spared_;
  for (const auto& set : sets_) {
    auto& sockets = into.sets.emplace_back();
    for (const Socket& one : set)
      sockets.push_back(
          {{one.fd.get()}, one.backlog, one.nonblocking, one.member, one.wanted, one.served, one.unwanted});
  }
}

AppInet::~AppInet() {
  for (auto& set : sets_)
    for (const Socket& one : set)
      if (one.fd) end(one);
}

// Shut down, the socket frees the port even if other processes have it. A spared one is withdrawn instead
// and keeps the port while a worker polls it; sockets with SO_REUSEPORT, such as the master's, can still
// bind.
void AppInet::end(const Socket& socket) const {
  const int fd = socket.fd.get();
  const bool withdrawn = spared_ && (left_ || withdraw(fd));
  if (withdrawn && socket.member && !is_datagram()) turn_away(fd);
  if (!withdrawn) shut_down(fd);
}

AppInet::Socket* AppInet::find(unsigned set, unsigned slot) {
  return const_cast<Socket*>(static_cast<const AppInet*>(this)->find(set, slot));
}

const AppInet::Socket* AppInet::find(unsigned set, unsigned slot) const {
  const unsigned at = rules_.per_slot ? slot : 0;
  if (set >= sets_.size() || at >= sets_[set].size() || !sets_[set][at].fd) return nullptr;
  return &sets_[set][at];
}

AppInet::Socket* AppInet::owner(int fd) {
  for (auto& set : sets_)
    for (Socket& one : set)
      if (one.fd.get() == fd) return &one;
  return nullptr;
}

bool AppInet::is_first() const {
  return std::all_of(sets_.begin(), sets_.end(), [](const auto& set) {
    return std::all_of(set.begin(), set.end(), [](const Socket& one) { return !one.fd; });
  });
}

// Whether another program holds the address. Sockets that cannot be seen count as another program's.
bool AppInet::is_strangers() const {
  const auto holders =
      holders_of(where_.where, where_.protocol == IPPROTO_MPTCP ? IPPROTO_TCP : where_.protocol);
  return !holders || holders->empty() || !rules_.is_ours ||
         !std::all_of(holders->begin(), holders->end(), rules_.is_ours);
}

// The first socket of an address must find out whether another program has the port: SO_REUSEPORT would
// silently join a program of the same user. Other sockets of the master at the port do not matter
// (127.0.0.1:80 after 0.0.0.0:80).
int AppInet::probe() const {
  const auto fd = UniqueFd::adopt(::socket(where_.domain, where_.type | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  const int on = 1, only = where_.v6only;
  // Not for UDP, where SO_REUSEADDR would allow a bind beside another program's socket.
  if (!is_datagram()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (where_.domain == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  const bool taken = ::bind(fd.get(), where_.where.get(), where_.where.length) != 0 && errno == EADDRINUSE;
  return taken && is_strangers() ? EADDRINUSE : 0;
}

int AppInet::bind_socket(int fd) {
  // An application that sets SO_REUSEADDR on a UDP socket wants to share the port (mDNS and other multicast).
  const bool shares = is_datagram() && socket_option(fd, SOL_SOCKET, SO_REUSEADDR) > 0;
  if (is_first() && where_.port() != 0 && !shares)
    if (const int error = probe(); error != 0) return error;
  const int on = 1;
  // Otherwise connections in TIME_WAIT would block the port.
  if (!is_datagram()) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return errno;
  return ::bind(fd, where_.where.get(), where_.where.length) == 0 ? 0 : errno;
}

int AppInet::add(unsigned set, unsigned slot, spawn::ReceivedFd fd, const std::optional<spawn::Identity>&) {
  const int error = bind_socket(fd.get());
  if (error != 0) return error;
  const bool known = where_.port() != 0;
  where_ = bound_address(fd.get(), where_);
  if (!known) rename(where_.text());
  const unsigned at = rules_.per_slot ? slot : 0;
  if (sets_.size() <= set) sets_.resize(set + 1);
  if (sets_[set].size() <= at) sets_[set].resize(at + 1);
  Socket& socket = sets_[set][at];
  socket = {};
  socket.fd = std::move(fd);
  if (is_datagram()) return join(socket);
  return rules_.listen_at_once ? listen(set, slot, 0) : 0;
}

// Records a listening or UDP socket as the last member of the group. Called also after an unseen listen().
int AppInet::join(Socket& socket) {
  group_.add(socket.fd.get());
  socket.member = true;
  return 0;
}

// A listen() that the worker host does not see adds the socket to the group in unknown order; for several
// at once the order of slots is assumed.
void AppInet::note_raw_listens() {
  if (is_datagram()) return;
  for (auto& set : sets_)
    for (Socket& one : set)
      if (one.fd && !one.member && listens(one.fd.get())) {
        one.backlog = std::max(one.backlog, rules_.backlog);
        join(one);
      }
}

int AppInet::listen(unsigned set, unsigned slot, int backlog) {
  Socket* socket = find(set, slot);
  if (!socket) return EBADF;
  if (is_datagram()) return EOPNOTSUPP;
  // Otherwise a member that was shut down would rejoin below under an unknown number.
  repair_of(slot);
  const bool steered = socket->member || group_.hold();
  if (!steered)
    log::seldom({"connections that cannot be steered"}, log::Level::warning,
                "listener {}: new sockets get connections at once: cannot steer them: {}", name(),
                error_text(errno));
  socket->backlog = std::max({socket->backlog, rules_.backlog, backlog});
  // On a listening socket this only sets the backlog.
  if (::listen(socket->fd.get(), socket->backlog) != 0) return errno;
  return socket->member ? 0 : join(*socket);
}

Result<void> AppInet::point(unsigned set, unsigned slots, const std::set<unsigned>& without) {
  note_raw_listens();
  std::vector<int> all, served;
  for (unsigned slot = 0; set < sets_.size() && slot < sets_[set].size() && (slot < slots || slot == 0);
       ++slot) {
    const Socket& one = sets_[set][slot];
    if (!one.member) continue;
    all.push_back(one.fd.get());
    if (!rules_.per_slot || (one.wanted && !without.contains(slot))) served.push_back(one.fd.get());
  }
  // No worker of the set has bound the address: leave the connections where they go.
  if (all.empty()) return {};
  return group_.deal_to(served.empty() ? all : served, address());
}

void AppInet::retire(unsigned set) {
  if (set >= sets_.size() || is_datagram()) return;
  for (const Socket& one : sets_[set])
    if (one.member) turn_away(one.fd.get());
}

// A socket that is no member can be closed at any time.
void AppInet::close_last_beyond(unsigned slots) {
  for (auto& set : sets_)
    for (std::size_t slot = slots; slot < set.size(); ++slot)
      if (!set[slot].member) set[slot] = {};
  // A UDP socket stays a member while any process has it.
  while (group_.sockets().size() > 1 && !is_datagram()) {
    const int last = group_.sockets().back();
    const auto is_last = [last](const Socket& one) { return one.fd.get() == last; };
    const auto in_use = [&](const auto& set) {
      const auto end = set.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(slots, set.size()));
      return std::any_of(set.begin(), end, is_last);
    };
    if (std::any_of(sets_.begin(), sets_.end(), in_use)) return;
    shut_down(last);
    group_.remove_last();
    *owner(last) = {};
  }
}

void AppInet::shrink(unsigned slots) {
  if (!rules_.per_slot) return;
  close_last_beyond(std::max(slots, 1u));
  for (const auto& set : sets_)
    for (std::size_t slot = slots; slot < set.size() && !is_datagram(); ++slot)
      if (set[slot].member) turn_away(set[slot].fd.get());
}

void AppInet::repair() {
  if (is_datagram()) return;
  note_raw_listens();
  repair_these(group_.sockets());
}

void AppInet::repair_of(unsigned slot) {
  if (is_datagram()) return;
  note_raw_listens();
  std::vector<int> fds;
  for (unsigned set = 0; set < sets_.size(); ++set)
    if (const Socket* one = find(set, slot); one && one->member) fds.push_back(one->fd.get());
  repair_these(fds);
}

void AppInet::repair_these(const std::vector<int>& fds) {
  group_.repair(
      fds,
      [this](int fd) {
        Socket& one = *owner(fd);
        return repair_app_socket(fd, one.backlog, one.nonblocking);
      },
      address());
}

int AppInet::held(unsigned set, unsigned slot) const {
  const Socket* one = find(set, slot);
  return one ? one->fd.get() : -1;
}

int AppInet::socket(unsigned set, unsigned slot) const {
  const Socket* one = find(set, slot);
  return one && one->member ? one->fd.get() : -1;
}

std::vector<int> AppInet::sockets(unsigned set) const {
  std::vector<int> found;
  if (set < sets_.size())
    for (const Socket& one : sets_[set]) found.push_back(one.member ? one.fd.get() : -1);
  return found;
}

bool AppInet::want(const Wanted& wanted) {
  bool changed = false;
  for (unsigned set = 0; set < sets_.size(); ++set)
    for (unsigned slot = 0; slot < sets_[set].size(); ++slot) {
      Socket& one = sets_[set][slot];
      one.wanted = one.fd && wanted(set, slot, one.served);
      one.served = one.served || one.wanted;
      const bool unwanted = one.fd && !one.wanted;
      changed = changed || (unwanted && !one.unwanted);
      one.unwanted = unwanted;
    }
  return changed;
}

std::vector<int> AppInet::unwanted() const {
  std::vector<int> found;
  for (const auto& set : sets_)
    for (const Socket& one : set)
      if (one.member && !is_datagram() && (left_ || !one.wanted)) found.push_back(one.fd.get());
  return found;
}

std::vector<std::uint64_t> AppInet::cookies() const {
  std::vector<std::uint64_t> found;
  for (const auto& set : sets_)
    for (const Socket& one : set)
      if (one.fd) found.push_back(cookie_of(one.fd.get()));
  return found;
}

// If one socket cannot be withdrawn, the sockets before it stay withdrawn. The others go on getting
// connections until the listener is closed.
bool AppInet::leave() {
  if (is_datagram()) return false;
  for (const auto& set : sets_)
    for (const Socket& one : set)
      if (one.fd && !withdraw(one.fd.get())) return false;
  left_ = true;
  return true;
}

void AppInet::clear_unwanted() {
  for (const auto& set : sets_)
    for (const Socket& one : set)
      if (one.member && !one.wanted && !is_datagram()) turn_away(one.fd.get());
}

std::optional<std::set<std::uint64_t>> AppInet::handshakes() const {
  return is_datagram() ? std::set<std::uint64_t>() : handshakes_at(where_.where);
}

}  // namespace liveswap::master
