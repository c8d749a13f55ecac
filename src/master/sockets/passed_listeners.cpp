#include "master/sockets/passed_listeners.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.hpp"
#include "config/address.hpp"
#include "config/limits.hpp"
#include "config/values.hpp"
#include "master/sockets/endpoint.hpp"

namespace liveswap::master {
namespace {

bool is_listening_stream(int fd) {
  const int domain = socket_option(fd, SOL_SOCKET, SO_DOMAIN);
  return (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX) &&
         socket_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM && listens(fd);
}

std::string kind_of(int fd) {
  const int type = socket_option(fd, SOL_SOCKET, SO_TYPE);
  switch (type) {
    case -1: return "a descriptor that is no socket";
    case SOCK_STREAM: return "a stream socket that does not listen";
    case SOCK_DGRAM: return "a datagram socket";
    default: return fmt::format("a socket of type {}", type);
  }
}

// Whether the socket is what `--listen` would bind.
Result<bool> is_socket_of(int fd, const Listener& listener) {
  const auto wanted = config::parse_address(listener.address);
  if (!wanted) return tl::unexpected<Error>(wanted.error());
  const auto found = address_of_passed(fd);
  if (wanted->kind == config::Address::Kind::unix_path)
    return found.is_unix() && found.path().starts_with('/') && same_entry(found.path(), wanted->path);
  if (found.is_unix()) return false;
  const auto address = resolve(*wanted);
  if (!address) return tl::unexpected<Error>(address.error());
  BindAddress bind;
  bind.domain = address->storage.ss_family;
  bind.type = SOCK_STREAM;
  bind.where = *address;
  bind.v6only = bind.domain == AF_INET6 && !address->both_families;
  if (bind.domain != found.domain || !address->same_host(found.where)) return false;
  return bind.port() == 0 || bind.same(found);
}

// A name that no listener has: the socket's own, unless it is missing or unfit.
std::string free_name(const std::string& given, const std::vector<Listener>& listeners) {
  const auto is_taken = [&](const std::string& name) {
    return std::any_of(listeners.begin(), listeners.end(), [&](const auto& one) { return one.name == name; });
  };
  const bool is_fit = config::is_listener_name(given) && given != "unknown";
  const std::string base = is_fit ? given : std::to_string(listeners.size());
  std::string name = base;
  for (unsigned n = 2; is_taken(name); ++n) name = fmt::format("{}-{}", base, n);
  return name;
}

}  // namespace

BindAddress address_of_passed(int fd) {
  BindAddress found;
  found.domain = socket_option(fd, SOL_SOCKET, SO_DOMAIN);
  found.type = SOCK_STREAM;
  found.where = address_of(fd);
  found.v6only = found.domain == AF_INET6 && !found.where.both_families;
  return found;
}

Result<PassedListeners> PassedListeners::take(std::vector<Listener>& wanted) {
  auto sockets = systemd::take_sockets();
  if (!sockets) return tl::unexpected<Error>(sockets.error());
  return match(std::move(*sockets), wanted);
}

Result<PassedListeners> PassedListeners::match(std::vector<systemd::PassedSocket> sockets,
                                               std::vector<Listener>& wanted) {
  PassedListeners passed;
  for (auto& socket : sockets)
    if (!systemd::parse_stored_name(socket.name))
      if (auto added = passed.add_activated(std::move(socket), wanted); !added)
        return tl::unexpected<Error>(added.error());
  for (auto& socket : sockets)
    if (const auto name = systemd::parse_stored_name(socket.name))
      passed.add_stored(*name, std::move(socket.fd), wanted);
  return passed;
}

Result<void> PassedListeners::add_activated(systemd::PassedSocket socket, std::vector<Listener>& wanted) {
  const int fd = socket.fd.get();
  if (!is_listening_stream(fd))
    return fail(
        fmt::format("the service manager has passed {} (named \"{}\"), expected a TCP or Unix stream "
                    "socket that listens: use ListenStream= with Accept=no in the socket unit",
                    kind_of(fd), socket.name));
  const auto where = address_of_passed(fd).text();
  for (const auto& listener : wanted) {
    const bool is_named = listener.name == socket.name;
    const auto is_it = is_socket_of(fd, listener);
    if (!is_it) return tl::unexpected<Error>(is_it.error());
    if (is_named && !*is_it && !activated_.contains(listener.name))
      return fail(
          fmt::format("listener {}: the service manager has passed a socket at {}, but --listen says {}: "
                      "let ListenStream= of the socket unit and --listen agree, or leave out --listen",
                      listener.name, where, listener.address));
    if (!*is_it || activated_.contains(listener.name)) continue;
    // One of the same name may come later in the list.
    const bool other = !is_named && std::any_of(wanted.begin(), wanted.end(),
                                                [&](const auto& one) { return one.name == socket.name; });
    if (other) continue;
    activated_[listener.name] = std::move(socket.fd);
    return {};
  }
  if (wanted.size() >= config::listeners_limit)
    return fail(fmt::format("found more than {} listeners with those that the service manager has passed",
                            config::listeners_limit));
  wanted.push_back({free_name(socket.name, wanted), where});
  activated_[wanted.back().name] = std::move(socket.fd);
  return {};
}

// The shutdown frees the address, although the manager has the socket until it is told to remove it.
void PassedListeners::add_stored(const systemd::StoredName& name, UniqueFd fd,
                                 const std::vector<Listener>& wanted) {
  in_store_[systemd::stored_name(name)] = cookie_of(fd.get());
  const auto listener =
      std::find_if(wanted.begin(), wanted.end(), [&](const auto& one) { return one.name == name.listener; });
  const bool is_wanted = listener != wanted.end() && !activated_.contains(name.listener) &&
                         is_listening_stream(fd.get()) && is_socket_of(fd.get(), *listener).value_or(false);
  if (is_wanted) {
    stored_[name.listener][name.number] = std::move(fd);
    return;
  }
  log::info("listener {}: a socket that the service manager has kept is not used any more: {}", name.listener,
            is_listening_stream(fd.get()) ? address_of_passed(fd.get()).text() : kind_of(fd.get()));
  ::shutdown(fd.get(), SHUT_RDWR);
}

UniqueFd PassedListeners::take_activated(const std::string& listener) {
  const auto found = activated_.find(listener);
  return found == activated_.end() ? UniqueFd() : std::move(found->second);
}

std::vector<UniqueFd> PassedListeners::take_stored(const std::string& listener) {
  std::vector<UniqueFd> sockets;
  if (const auto found = stored_.find(listener); found != stored_.end())
    for (auto& [number, fd] : found->second) sockets.push_back(std::move(fd));
  return sockets;
}

}  // namespace liveswap::master
