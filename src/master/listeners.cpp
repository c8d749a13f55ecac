#include "master/listeners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.hpp"
#include "config/address.hpp"
#include "master/sockets.hpp"
#include "master/steering.hpp"

namespace liveswap::master {

Result<Listeners> Listeners::open(const std::vector<Listener>& wanted, ListenMode mode, int backlog, unsigned slots) {
  Listeners listeners;
  listeners.backlog_ = backlog;
  for (const Listener& one : wanted) {
    Listener named = one;
    if (named.name.empty()) named.name = std::to_string(listeners.sets_.size());
    auto set = open_set(named, mode, backlog, slots);
    if (!set) return fail(fmt::format("listener {}: {}", named.name, set.error().text));
    listeners.sets_.push_back(std::move(*set));
  }
  return listeners;
}

Listeners::~Listeners() {
  for (const Set& set : sets_)
    if (!set.path.empty()) ::unlink(set.path.c_str());
}

Result<Listeners::Set> Listeners::open_set(const Listener& wanted, ListenMode mode, int backlog, unsigned slots) {
  const auto address = config::parse_address(wanted.address);
  if (!address) return tl::unexpected<Error>(address.error());
  if (address->kind == config::Address::Kind::tcp) return open_tcp(wanted, mode, backlog, slots);
  auto opened = listen_unix(address->path, 0660, backlog);
  if (!opened) return tl::unexpected<Error>(opened.error());
  Set set;
  set.bound = {wanted.name, "unix:" + address->path};
  set.path = address->path;
  set.lock = std::move(opened->lock);
  set.sockets.push_back(std::move(opened->socket));
  return set;
}

Result<Listeners::Set> Listeners::open_tcp(const Listener& wanted, ListenMode mode, int backlog, unsigned slots) {
  auto where = resolve(*config::parse_address(wanted.address));
  if (!where) return tl::unexpected<Error>(where.error());
  Set set;
  set.per_slot = mode == ListenMode::reuseport;
  if (set.per_slot)
    if (auto free = probe_tcp(*where, wanted.address); !free) return tl::unexpected<Error>(free.error());
  for (unsigned i = 0; i < (set.per_slot ? slots : 1); ++i) {
    auto fd = listen_tcp(*where, set.per_slot, backlog, wanted.address);
    if (!fd) return tl::unexpected<Error>(fd.error());
    set.sockets.push_back(std::move(*fd));
    if (i > 0) continue;
    // The port that the kernel chose for the first one is that of all.
    where = address_of(set.sockets[0].get());
    set.bound = {wanted.name, name_of(set.sockets[0].get())};
  }
  return set;
}

Result<void> Listeners::grow(unsigned slots) {
  const auto give_up = [&](std::size_t before, Error error) -> Result<void> {
    shrink(static_cast<unsigned>(before));
    return tl::unexpected<Error>(std::move(error));
  };
  for (Set& set : sets_) {
    if (!set.per_slot) continue;
    const std::size_t before = set.sockets.size();
    const auto where = address_of(set.sockets[0].get());
    while (set.sockets.size() < slots) {
      auto fd = listen_tcp(where, true, backlog_, set.bound.address);
      if (!fd) return give_up(before, fd.error());
      set.sockets.push_back(std::move(*fd));
    }
  }
  return {};
}

void Listeners::shrink(unsigned slots) {
  for (Set& set : sets_)
    while (set.per_slot && set.sockets.size() > slots && set.sockets.size() > 1) set.sockets.pop_back();
}

void Listeners::steer(unsigned slots, const std::set<unsigned>& without) {
  for (Set& set : sets_) {
    if (!set.per_slot) continue;
    std::vector<unsigned> to;
    for (unsigned slot = 0; slot < slots && slot < set.sockets.size(); ++slot)
      if (!without.count(slot)) to.push_back(slot);
    if (to.size() == set.sockets.size()) to.clear();
    if (to == set.steered) continue;
    if (steer_group(set.sockets[0].get(), to))
      set.steered = to;
    else
      log::warning("cannot steer the connections of listener {}: {}", set.bound.name, ::strerrordesc_np(errno));
  }
}

void Listeners::repair() {
  for (const Set& set : sets_) {
    for (const UniqueFd& socket : set.sockets) {
      int listens = 0;
      socklen_t size = sizeof listens;
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
      if (!listens)
        log::warning("listener {}: an application has shut the shared socket down; listening again", set.bound.name);
      // On a socket that listens it only sets the backlog.
      if (::listen(socket.get(), backlog_) != 0)
        log::error("cannot listen again on {}: {}", set.bound.address, ::strerrordesc_np(errno));
      const int flags = ::fcntl(socket.get(), F_GETFL);
      if (!(flags & O_NONBLOCK)) ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
    }
  }
}

std::vector<int> Listeners::of_slot(unsigned slot, bool) const {
  std::vector<int> found;
  for (const Set& set : sets_) found.push_back(set.sockets[set.per_slot ? slot : 0].get());
  return found;
}

std::string Listeners::names() const {
  std::string list;
  for (const Set& set : sets_) list += (list.empty() ? "" : ",") + set.bound.name;
  return list;
}

std::vector<Listeners::Bound> Listeners::bound() const {
  std::vector<Bound> found;
  for (const Set& set : sets_) found.push_back(set.bound);
  return found;
}

}  // namespace liveswap::master
