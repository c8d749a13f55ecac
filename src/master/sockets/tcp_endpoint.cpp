#include "master/sockets/tcp_endpoint.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.hpp"
#include "config/address.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {
namespace {

// The most sockets in `spoilt_`, each of which keeps a descriptor open. At the limit renew() fails.
constexpr std::size_t spoilt_limit = 64;

// More than a few happen only if connections come faster than the loop goes round.
constexpr int leave_rounds = 16;

}  // namespace

Result<std::unique_ptr<Endpoint>> TcpEndpoint::open(const Listener& wanted, ListenMode mode, int backlog) {
  auto where = resolve(*config::parse_address(wanted.address));
  if (!where) return tl::unexpected<Error>(where.error());
  return open_at(*where, wanted, mode, backlog, {});
}

Result<std::unique_ptr<Endpoint>> TcpEndpoint::open_at(const SocketAddress& where, const Listener& wanted,
                                                       ListenMode mode, int backlog,
                                                       const MayShare& may_share) {
  const auto only_those = [&] {
    const auto holders = holders_of(where, IPPROTO_TCP);
    return may_share && holders && !holders->empty() &&
           std::all_of(holders->begin(), holders->end(), may_share);
  };
  if (auto free = probe_tcp(where, wanted.address); !free && !only_those())
    return tl::unexpected<Error>(free.error());
  std::unique_ptr<TcpEndpoint> endpoint(new TcpEndpoint(wanted.name, wanted.address));
  endpoint->where_ = where;
  endpoint->per_slot_ = mode == ListenMode::reuseport;
  endpoint->backlog_ = backlog;
  return endpoint;
}

// A socket can be joined by others only if it has SO_REUSEPORT, as all have that a master binds.
std::unique_ptr<Endpoint> TcpEndpoint::go_on(const Listener& wanted, ListenMode mode, int backlog,
                                             std::vector<UniqueFd> sockets) {
  std::unique_ptr<TcpEndpoint> endpoint(new TcpEndpoint(wanted.name, wanted.address));
  const int first = sockets.front().get();
  endpoint->where_ = address_of(first);
  endpoint->per_slot_ = mode == ListenMode::reuseport && socket_option(first, SOL_SOCKET, SO_REUSEPORT) == 1;
  endpoint->backlog_ = backlog;
  for (const UniqueFd& socket : sockets) {
    end_blocking(socket.get());
    endpoint->group_.add(socket.get());
  }
  endpoint->leave_open();
  endpoint->group_.expect_program();
  // The last of them are taken first.
  std::reverse(sockets.begin(), sockets.end());
  endpoint->spare_ = std::move(sockets);
  return endpoint;
}

void TcpEndpoint::take_spare(std::vector<UniqueFd>& sockets, std::size_t wanted) {
  while (sockets.size() < wanted && !spare_.empty()) {
    sockets.push_back(std::move(spare_.back()));
    spare_.pop_back();
  }
}

// Directs new connections to `sockets`, after the former master had other slots or has flipped. A spare
// socket in which connections wait takes the place of one in which none do. This is done before connections
// are directed anywhere else, since until then they arrive at the sockets that the former master used; and
// repeated until no connection has come to a spare socket meanwhile. What waits in more sockets than there
// are slots is reset.
Result<void> TcpEndpoint::leave_spare(std::vector<UniqueFd>& sockets) {
  const auto waits = [](const UniqueFd& one) { return has_waiting_connection(one.get()); };
  const auto take_waiting = [&] {
    bool has_taken = false;
    for (UniqueFd& spare : spare_) {
      const auto idle =
          waits(spare) ? std::find_if_not(sockets.begin(), sockets.end(), waits) : sockets.end();
      if (idle == sockets.end()) continue;
      std::swap(*idle, spare);
      has_taken = true;
    }
    return has_taken;
  };
  take_waiting();
  bool has_taken = true;
  for (int round = 0; has_taken && round < leave_rounds; ++round) {
    std::vector<int> all;
    for (const UniqueFd& one : sockets) all.push_back(one.get());
    if (auto dealt = group_.deal_to(all, text_); !dealt) return dealt;
    has_taken = take_waiting();
  }
  for (const UniqueFd& spare : spare_) turn_away(spare.get());
  return {};
}

TcpEndpoint::TcpEndpoint(const state::EndpointState& from)
    : Endpoint(from),
      text_(from.text),
      where_(from.where.where),
      per_slot_(from.per_slot),
      backlog_(from.backlog),
      group_(from.group.with(Deal::in_turn)),
      set_(from.set) {
  for (const auto& set : from.sets) {
    auto& sockets = sets_.emplace_back();
    for (const auto& one : set) sockets.push_back(UniqueFd::adopt(one.fd.number));
  }
  for (const auto& one : from.spoilt) spoilt_.push_back(UniqueFd::adopt(one.number));
  for (const auto& one : from.spare) spare_.push_back(UniqueFd::adopt(one.number));
}

void TcpEndpoint::save(state::EndpointState& into) const {
  Endpoint::save(into);
  into.kind = state::EndpointState::Kind::tcp;
  into.text = text_;
  into.where.where = where_;
  into.per_slot = per_slot_;
  into.backlog = backlog_;
  into.group = group_;
  into.set = set_;
  for (const auto& set : sets_) {
    auto& sockets = into.sets.emplace_back();
    for (const UniqueFd& one : set) sockets.push_back({{one.get()}});
  }
  for (const UniqueFd& one : spoilt_) into.spoilt.push_back({one.get()});
  for (const UniqueFd& one : spare_) into.spare.push_back({one.get()});
}

TcpEndpoint::~TcpEndpoint() {
  if (is_left_open()) return;
  for (const int fd : group_.sockets()) shut_down(fd);
}

std::string TcpEndpoint::address() const { return group_.sockets().empty() ? text_ : where_.text(); }

Result<void> TcpEndpoint::prepare(unsigned set, unsigned slots) {
  if (sets_.size() <= set) sets_.resize(set + 1);
  auto& sockets = sets_[set];
  const std::size_t wanted = per_slot_ ? slots : 1;
  if (sockets.size() >= wanted) return {};
  if (set != set_ && !group_.hold())
    return os_fail("steer (SO_ATTACH_REUSEPORT_CBPF) the connections of", text_, errno);
  take_spare(sockets, wanted);
  const std::size_t before = sockets.size();
  while (sockets.size() < wanted) {
    auto fd = listen_tcp(where_, true, backlog_, text_);
    if (!fd) {
      for (; sockets.size() > before; sockets.pop_back()) group_.remove_last();
      return tl::unexpected<Error>(fd.error());
    }
    group_.add(fd->get());
    if (door() == Door::held) hold_first_packets(fd->get(), true);
    sockets.push_back(std::move(*fd));
    // Port 0: all sockets take the port that the kernel chose for the first.
    if (group_.sockets().size() == 1) where_ = address_of(sockets[0].get());
  }
  if (set == set_ && !spare_.empty()) return leave_spare(sockets);
  return {};
}

Result<void> TcpEndpoint::point(unsigned set, unsigned slots, const std::set<unsigned>& without) {
  const auto& sockets = sets_.at(set);
  std::vector<int> all, served;
  auto left_out = without.begin();
  for (unsigned slot = 0; slot < sockets.size() && (slot == 0 || (per_slot_ && slot < slots)); ++slot) {
    all.push_back(sockets[slot].get());
    while (left_out != without.end() && *left_out < slot) ++left_out;
    if (left_out == without.end() || *left_out != slot) served.push_back(sockets[slot].get());
  }
  auto dealt = group_.deal_to(served.empty() ? all : served, text_);
  if (dealt) set_ = set;
  return dealt;
}

void TcpEndpoint::retire(unsigned set) {
  if (set >= sets_.size()) return;
  for (const UniqueFd& socket : sets_[set]) turn_away(socket.get());
}

void TcpEndpoint::close_last_beyond(unsigned slots) {
  for (;;) {
    const auto owner = std::find_if(sets_.begin(), sets_.end(), [this](const auto& sockets) {
      return !sockets.empty() && sockets.back().get() == group_.sockets().back();
    });
    if (owner == sets_.end() || owner->size() <= std::max(slots, 1u)) return;
    // Otherwise another process with the socket would keep that in the group.
    ::shutdown(group_.sockets().back(), SHUT_RDWR);
    group_.remove_last();
    owner->pop_back();
  }
}

void TcpEndpoint::shrink(unsigned slots) {
  if (!per_slot_) return;
  close_last_beyond(slots);
  for (const auto& sockets : sets_)
    for (std::size_t slot = slots; slot < sockets.size(); ++slot) turn_away(sockets[slot].get());
}

bool TcpEndpoint::can_spread() const {
  return group_.sockets().empty() || socket_option(group_.sockets()[0], SOL_SOCKET, SO_REUSEPORT) == 1;
}

Result<void> TcpEndpoint::spread(bool per_slot, unsigned set, unsigned slots) {
  if (per_slot == per_slot_) return {};
  // New sockets shall not get connections at once.
  if (per_slot && !group_.hold())
    return os_fail("steer (SO_ATTACH_REUSEPORT_CBPF) the connections of", text_, errno);
  per_slot_ = per_slot;
  if (!per_slot_) {
    close_last_beyond(1);
    return {};
  }
  auto made = prepare(set, slots);
  if (!made) per_slot_ = false;
  return made;
}

void TcpEndpoint::set_backlog(int backlog) {
  if (std::exchange(backlog_, backlog) == backlog) return;
  // On a listening socket this only sets the backlog.
  for (const int fd : group_.sockets()) ::listen(fd, backlog_);
}

// A withdrawn socket needs no filter. One that cannot be withdrawn keeps the filter until it is closed.
void TcpEndpoint::move_door(Door door) {
  for (const int fd : group_.sockets())
    hold_first_packets(fd, door == Door::held || (door == Door::abandoned && !withdraw(fd)));
}

void TcpEndpoint::repair() { repair_these(group_.sockets()); }

void TcpEndpoint::repair_of(unsigned slot) {
  std::vector<int> fds;
  for (unsigned set = 0; set < sets_.size(); ++set)
    if (const int fd = socket(set, per_slot_ ? slot : 0); fd >= 0) fds.push_back(fd);
  repair_these(fds);
}

void TcpEndpoint::repair_these(const std::vector<int>& fds) {
  if (is_abandoned()) return;
  group_.repair(
      fds, [this](int fd) { return repair_socket(fd, backlog_); }, text_);
}

// The old socket cannot leave the group (reuseport_group.hpp), so the new program excludes the old socket.
int TcpEndpoint::renew(std::uint64_t cookie) {
  if (spoilt_.size() == spoilt_limit) return -1;
  for (auto& sockets : sets_)
    for (UniqueFd& socket : sockets) {
      if (cookie_of(socket.get()) != cookie) continue;
      // If this fails (the spoilt socket is locked), the new socket gets connections some microseconds early.
      group_.hold();
      auto fresh = listen_tcp(where_, true, backlog_, text_);
      if (!fresh) {
        log::error("listener {}: {}", name(), fresh.error().text);
        return -1;
      }
      const int former = socket.get();
      spoilt_.push_back(std::exchange(socket, std::move(*fresh)));
      if (auto steered = group_.replace(former, socket.get(), text_); !steered)
        log::warning("{}", steered.error().text);
      return socket.get();
    }
  return -1;
}

int TcpEndpoint::socket(unsigned set, unsigned slot) const {
  return set < sets_.size() && slot < sets_[set].size() ? sets_[set][slot].get() : -1;
}

std::vector<int> TcpEndpoint::sockets(unsigned set) const {
  std::vector<int> found;
  if (set < sets_.size())
    for (const UniqueFd& socket : sets_[set]) found.push_back(socket.get());
  return found;
}

bool TcpEndpoint::is_at(const BindAddress& address) const {
  if (is_abandoned() || group_.sockets().empty() || address.is_unix() || address.is_datagram()) return false;
  BindAddress own;
  own.domain = where_.storage.ss_family;
  own.type = SOCK_STREAM;
  own.where = where_;
  own.v6only = own.domain == AF_INET6 && !where_.both_families;
  return own.same(address);
}

std::optional<std::set<std::uint64_t>> TcpEndpoint::handshakes() const { return handshakes_at(where_); }

}  // namespace liveswap::master
