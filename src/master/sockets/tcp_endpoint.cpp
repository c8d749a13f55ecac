#include "master/sockets/tcp_endpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>

#include "base/log.hpp"
#include "config/address.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/steering.hpp"

namespace liveswap::master {
namespace {

// The most sockets in `spoilt_`, each of which keeps a descriptor open. At the limit renew() fails.
constexpr std::size_t spoilt_limit = 64;

}  // namespace

Result<std::unique_ptr<Endpoint>> TcpEndpoint::open(const Listener& wanted, ListenMode mode, int backlog) {
  auto where = resolve(*config::parse_address(wanted.address));
  if (!where) return tl::unexpected<Error>(where.error());
  if (auto free = probe_tcp(*where, wanted.address); !free) return tl::unexpected<Error>(free.error());
  std::unique_ptr<TcpEndpoint> endpoint(new TcpEndpoint(wanted.name, wanted.address));
  endpoint->where_ = *where;
  endpoint->per_slot_ = mode == ListenMode::reuseport;
  endpoint->backlog_ = backlog;
  return endpoint;
}

TcpEndpoint::~TcpEndpoint() {
  for (const int fd : group_) shut_down(fd);
}

std::string TcpEndpoint::address() const { return group_.empty() ? text_ : name_of(group_[0]); }

// Without a program a new socket would get connections at once.
bool TcpEndpoint::hold_dealing() {
  if (group_.empty() || !program_.empty()) return true;
  std::vector<unsigned> all(group_.size());
  std::iota(all.begin(), all.end(), 0u);
  const int by = dealt_to_.empty() ? group_[0] : dealt_to_[0];
  if (!steer_group(by, all)) return false;
  program_ = all;
  return true;
}

Result<void> TcpEndpoint::prepare(unsigned set, unsigned slots) {
  if (sets_.size() <= set) sets_.resize(set + 1);
  auto& sockets = sets_[set];
  const std::size_t before = sockets.size(), wanted = per_slot_ ? slots : 1;
  if (before >= wanted) return {};
  if (set != set_ && !hold_dealing())
    return os_fail("steer (SO_ATTACH_REUSEPORT_CBPF) the connections of", text_, errno);
  while (sockets.size() < wanted) {
    auto fd = listen_tcp(where_, true, backlog_, text_);
    if (!fd) {
      for (; sockets.size() > before; sockets.pop_back()) group_.pop_back();
      return tl::unexpected<Error>(fd.error());
    }
    group_.push_back(fd->get());
    sockets.push_back(std::move(*fd));
    // Port 0: all sockets take the port that the kernel chose for the first.
    if (group_.size() == 1) where_ = address_of(group_[0]);
  }
  return {};
}

Result<void> TcpEndpoint::point(unsigned set, unsigned slots, const std::set<unsigned>& without) {
  const auto& sockets = sets_.at(set);
  std::vector<int> all, served;
  for (unsigned slot = 0; slot < sockets.size() && (slot < slots || slot == 0); ++slot) {
    all.push_back(sockets[slot].get());
    if (!per_slot_ || !without.contains(slot)) served.push_back(sockets[slot].get());
  }
  auto dealt = deal_to(served.empty() ? all : served);
  if (dealt) set_ = set;
  return dealt;
}

Result<void> TcpEndpoint::deal_to(const std::vector<int>& sockets) {
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < group_.size(); ++number)
    if (std::find(sockets.begin(), sockets.end(), group_[number]) != sockets.end()) numbers.push_back(number);
  if (numbers.size() == group_.size()) numbers.clear();
  // Set the program even if the numbers are the same, since an application may have replaced the program. Use
  // a socket that gets connections: an application may have locked a spoilt one (SO_LOCK_FILTER).
  if ((numbers != program_ || !numbers.empty()) && !steer_group(sockets[0], numbers))
    return os_fail("steer the connections of", text_, errno);
  program_ = numbers;
  dealt_to_ = sockets;
  return {};
}

void TcpEndpoint::retire(unsigned set) {
  if (set >= sets_.size()) return;
  for (const UniqueFd& socket : sets_[set]) turn_away(socket.get());
}

void TcpEndpoint::close_last_beyond(unsigned slots) {
  for (;;) {
    const auto owner = std::find_if(sets_.begin(), sets_.end(), [this](const auto& sockets) {
      return !sockets.empty() && sockets.back().get() == group_.back();
    });
    if (owner == sets_.end() || owner->size() <= std::max(slots, 1u)) return;
    // Otherwise another process with the socket would keep that in the group.
    ::shutdown(group_.back(), SHUT_RDWR);
    group_.pop_back();
    owner->pop_back();
  }
}

void TcpEndpoint::shrink(unsigned slots) {
  if (!per_slot_) return;
  close_last_beyond(slots);
  for (const auto& sockets : sets_)
    for (std::size_t slot = slots; slot < sockets.size(); ++slot) turn_away(sockets[slot].get());
}

// The socket has left the group by shutdown() and joined again by listen(): the last member has taken its
// number, and the socket is last now. If several sockets left at once, the order is unknown, and the numbers
// may be wrong: a connection could then wait in a set that is not live. Only a shutdown() by an application,
// which the contract forbids, causes this.
void TcpEndpoint::note_relisten(int fd) {
  const auto place = std::find(group_.begin(), group_.end(), fd);
  *place = group_.back();
  group_.back() = fd;
}

void TcpEndpoint::repair() {
  bool moved = false;
  for (const int fd : std::vector<int>(group_)) {
    if (!repair_socket(fd, backlog_)) continue;
    note_relisten(fd);
    moved = true;
  }
  if (!moved || group_.size() == 1) return;
  // The kernel may have dropped the program together with an empty group, and the numbers have changed.
  program_.clear();
  if (auto dealt = deal_to(std::vector<int>(dealt_to_)); !dealt)
    log::seldom({"connections that cannot be steered"}, log::Level::warning, "{}", dealt.error().text);
}

// The old socket cannot leave the group (tcp_endpoint.hpp), so the new program excludes the old socket.
int TcpEndpoint::renew(std::uint64_t cookie) {
  if (spoilt_.size() == spoilt_limit) return -1;
  for (auto& sockets : sets_)
    for (UniqueFd& socket : sockets) {
      if (cookie_of(socket.get()) != cookie) continue;
      // If this fails (the spoilt socket is locked), the new socket gets connections some microseconds early.
      hold_dealing();
      auto fresh = listen_tcp(where_, true, backlog_, text_);
      if (!fresh) {
        log::error("listener {}: {}", name(), fresh.error().text);
        return -1;
      }
      const int former = socket.get();
      group_.push_back(fresh->get());
      auto dealt = dealt_to_;
      std::replace(dealt.begin(), dealt.end(), former, fresh->get());
      spoilt_.push_back(std::exchange(socket, std::move(*fresh)));
      if (auto steered = deal_to(dealt); !steered) log::warning("{}", steered.error().text);
      return socket.get();
    }
  return -1;
}

int TcpEndpoint::socket(unsigned set, unsigned slot) const {
  const unsigned at = per_slot_ ? slot : 0;
  return set < sets_.size() && at < sets_[set].size() ? sets_[set][at].get() : -1;
}

std::vector<int> TcpEndpoint::sockets(unsigned set) const {
  std::vector<int> found;
  if (set < sets_.size())
    for (const UniqueFd& socket : sets_[set]) found.push_back(socket.get());
  return found;
}

bool TcpEndpoint::is_at(const BindAddress& address) const {
  if (group_.empty() || address.is_unix() || address.is_datagram()) return false;
  BindAddress own;
  own.domain = where_.storage.ss_family;
  own.type = SOCK_STREAM;
  own.where = where_;
  own.v6only = own.domain == AF_INET6 && !where_.both_families;
  return own.same(address);
}

std::optional<std::set<std::uint64_t>> TcpEndpoint::handshakes() const { return handshakes_at(where_); }

}  // namespace liveswap::master
