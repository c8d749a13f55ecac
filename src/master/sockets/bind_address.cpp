#include "master/sockets/bind_address.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/unique_fd.hpp"
#include "master/sockets/endpoint.hpp"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace liveswap::master {
namespace {

constexpr std::size_t path_at = offsetof(sockaddr_un, sun_path);

// The cookie of the socket's network namespace; 0: unknown (before Linux 5.14).
std::uint64_t network_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

// How many of `size` bytes the kernel reads; 0: invalid. Bytes after an internet address are ignored
// (programs pass sizeof(sockaddr_storage)), and an IPv6 address may lack the scope.
socklen_t used_size(int domain, std::size_t size) {
  constexpr std::size_t six_without_scope = offsetof(sockaddr_in6, sin6_scope_id);
  switch (domain) {
    case AF_INET: return size >= sizeof(sockaddr_in) ? sizeof(sockaddr_in) : 0;
    case AF_INET6: return size >= six_without_scope ? sizeof(sockaddr_in6) : 0;
    default: return size >= path_at && size <= sizeof(sockaddr_un) ? static_cast<socklen_t>(size) : 0;
  }
}

// A path must be absolute; an abstract name may be anything.
bool right_path(const sockaddr_storage& address, std::size_t size) {
  const auto* path = reinterpret_cast<const char*>(&address) + path_at;
  return size == path_at || path[0] == 0 || path[0] == '/';
}

// IPV6_V6ONLY matters for the wildcard address only.
bool is_for_all(const BindAddress& address) { return address.domain == AF_INET6 && address.where.is_any(); }

// The address means something else than in the master: the socket is bound to an interface, or lives in
// another network namespace. File paths of Unix sockets are the same in all.
bool is_elsewhere(int fd, const BindAddress& wanted) {
  if (!wanted.is_unix() && socket_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX) > 0) return true;
  if (const auto path = wanted.path(); !path.empty() && path.front() == '/') return false;
  const auto own = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return own && network_of(fd) != network_of(own.get());
}

}  // namespace

std::optional<BindAddress> BindAddress::parse(const std::string& text, int& error) {
  liveswap_bind said;
  error = EINVAL;
  if (text.size() != sizeof said) return std::nullopt;
  std::memcpy(&said, text.data(), sizeof said);
  const bool internet = said.domain == AF_INET || said.domain == AF_INET6;
  error = EAFNOSUPPORT;
  if (!internet && said.domain != AF_UNIX) return std::nullopt;
  error = EPROTONOSUPPORT;
  const bool stream =
      said.type == SOCK_STREAM &&
      (!internet || said.protocol == 0 || said.protocol == IPPROTO_TCP || said.protocol == IPPROTO_MPTCP);
  const bool other = internet
                         ? said.type == SOCK_DGRAM && (said.protocol == 0 || said.protocol == IPPROTO_UDP)
                         : said.type == SOCK_SEQPACKET;
  if (!stream && !other) return std::nullopt;
  error = EINVAL;
  const socklen_t used =
      said.address_size <= sizeof said.address ? used_size(said.domain, said.address_size) : 0;
  if (used == 0) return std::nullopt;
  BindAddress found;
  found.domain = said.domain;
  found.type = said.type;
  found.protocol = !internet ? 0 : !stream ? IPPROTO_UDP : said.protocol ? said.protocol : IPPROTO_TCP;
  found.v6only = said.domain == AF_INET6 && said.v6only != 0;
  found.umask = said.umask & 0777;
  std::memcpy(&found.where.storage, said.address, used);
  found.where.length = used;
  found.where.both_families = said.domain == AF_INET6 && !found.v6only;
  if (found.where.storage.ss_family != said.domain) return std::nullopt;
  if (found.is_unix() && !right_path(found.where.storage, used)) return std::nullopt;
  return found;
}

bool BindAddress::is_unnamed() const { return is_unix() ? where.length == path_at : port() == 0; }

std::uint16_t BindAddress::port() const { return is_unix() ? 0 : where.port(); }

std::string BindAddress::path() const {
  if (!is_unix() || where.length <= path_at) return "";
  const auto* begin = reinterpret_cast<const char*>(&where.storage) + path_at;
  const std::size_t size = where.length - path_at;
  return begin[0] == 0 ? std::string(begin, size) : std::string(begin, ::strnlen(begin, size));
}

bool BindAddress::set_path(const std::string& path) {
  auto& address = reinterpret_cast<sockaddr_un&>(where.storage);
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  where.length = static_cast<socklen_t>(path_at + path.size() + 1);
  return true;
}

std::string BindAddress::text() const {
  if (is_unix()) {
    auto name = path();
    if (!name.empty() && name.front() == '\0') name.front() = '@';
    return "unix:" + name;
  }
  return (is_datagram() ? "udp:" : "") + where.text();
}

bool BindAddress::same(const BindAddress& other) const {
  if (domain != other.domain || type != other.type) return false;
  if (is_unix()) return path() == other.path();
  if (is_for_all(*this) && v6only != other.v6only) return false;
  return port() == other.port() && where.same_host(other.where);
}

bool BindAddress::excludes(const BindAddress& other) const {
  if (is_unix() || other.is_unix()) return same(other);
  if (type != other.type || port() != other.port()) return false;
  if (domain == other.domain) return where.is_any() || other.where.is_any() || where.same_host(other.where);
  const BindAddress& six = domain == AF_INET6 ? *this : other;
  return six.where.is_any() && !six.v6only;
}

int check_fresh(int fd, const BindAddress& wanted) {
  if (socket_option(fd, SOL_SOCKET, SO_DOMAIN) != wanted.domain ||
      socket_option(fd, SOL_SOCKET, SO_TYPE) != wanted.type ||
      socket_option(fd, SOL_SOCKET, SO_PROTOCOL) != wanted.protocol)
    return ENOTSOCK;
  if (wanted.domain == AF_INET6 && socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != int{wanted.v6only})
    return EINVAL;
  if (listens(fd)) return EINVAL;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) return EINVAL;
  size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return errno;
  BindAddress bound = wanted;
  bound.where.storage = address;
  bound.where.length = size;
  if (!bound.is_unnamed()) return EINVAL;
  return is_elsewhere(fd, wanted) ? LIVESWAP_STAYS_OWN : 0;
}

std::uint64_t cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

bool listens(int fd) { return socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 && !is_shut_down(fd); }

// POLLHUP would also report a socket that is only bound.
bool is_shut_down(int fd) {
  pollfd look{fd, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLRDHUP) != 0;
}

bool leads_to(const BindAddress& address, const Endpoint& endpoint) {
  struct stat file {};
  const auto path = address.path();
  return !path.empty() && path.front() == '/' && ::lstat(path.c_str(), &file) == 0 && endpoint.is_file(file);
}

BindAddress bound_address(int fd, const BindAddress& wanted) {
  BindAddress found = wanted;
  found.where = address_of(fd);
  found.where.both_families = wanted.where.both_families;
  return found;
}

}  // namespace liveswap::master
