#include "master/sockets/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "master/sockets/bound_file.hpp"

namespace liveswap::master {
namespace {

Result<UniqueFd> bound_tcp(const SocketAddress& address, bool reuse_port, const std::string& object) {
  const int family = address.storage.ss_family;
  auto fd = UniqueFd::adopt(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return os_fail("make a socket for", object, errno);
  const int on = 1, off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6)
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.both_families ? &off : &on, sizeof on);
  if (reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    return os_fail("share the port of", object, errno);
  if (::bind(fd.get(), address.get(), address.length) != 0) return os_fail("bind", object, errno);
  return fd;
}

Result<UniqueFd> take_lock(const std::string& path) {
  const std::string file = path + ".lock";
  auto lock =
      UniqueFd::adopt(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!lock) return os_fail("open the lock file", file, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return os_fail("lock", file, errno);
  return fail(fmt::format("cannot listen on {}: another liveswap master does (it holds {})", path, file));
}

// Removes a socket that a dead process left at the path; fails for anything else.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return os_fail("look at", path, errno);
  }
  if (!S_ISSOCK(info.st_mode))
    return fail(fmt::format("cannot listen on {}: a file that is not a socket is there", path));
  const auto probe = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return os_fail("make a socket for", path, errno);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN)
    return fail(fmt::format("cannot listen on {}: another program does", path));
  if (errno != ECONNREFUSED) return os_fail("probe", path, errno);
  if (::unlink(path.c_str()) != 0) return os_fail("remove the stale socket", path, errno);
  return {};
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(fmt::format("cannot listen on {}: the path of a socket has at most {} bytes, this one has {}",
                            path, sizeof address.sun_path - 1, path.size()));
  path.copy(address.sun_path, path.size());
  return address;
}

const sockaddr_in& as_four(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in&>(address.storage);
}

const sockaddr_in6& as_six(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

}  // namespace

// Both families have the port at the same offset.
std::uint16_t SocketAddress::port() const { return ntohs(as_four(*this).sin_port); }

bool SocketAddress::is_any() const {
  return storage.ss_family == AF_INET ? as_four(*this).sin_addr.s_addr == htonl(INADDR_ANY)
                                      : IN6_IS_ADDR_UNSPECIFIED(&as_six(*this).sin6_addr);
}

// The scope is part of an IPv6 address; the padding of an IPv4 address is not.
bool SocketAddress::same_host(const SocketAddress& other) const {
  if (storage.ss_family == AF_INET) return as_four(*this).sin_addr.s_addr == as_four(other).sin_addr.s_addr;
  return IN6_ARE_ADDR_EQUAL(&as_six(*this).sin6_addr, &as_six(other).sin6_addr) &&
         as_six(*this).sin6_scope_id == as_six(other).sin6_scope_id;
}

std::string SocketAddress::text() const {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(get(), length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
      0)
    return "?";
  return fmt::format(fmt::runtime(storage.ss_family == AF_INET6 ? "[{}]:{}" : "{}:{}"), host, port);
}

int socket_option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

std::uint64_t socket_inode(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

Result<SocketAddress> resolve(const config::Address& address) {
  SocketAddress found;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  found.both_families = address.host.empty();
  const std::string host = address.host.empty() ? "::" : address.host;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  if (failed != 0) return fail(fmt::format("cannot look up {}: {}", host, ::gai_strerror(failed)));
  std::memcpy(&found.storage, list->ai_addr, list->ai_addrlen);
  found.length = list->ai_addrlen;
  return found;
}

SocketAddress address_of(int fd) {
  SocketAddress found;
  found.length = sizeof found.storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&found.storage), &found.length);
  found.both_families =
      found.storage.ss_family == AF_INET6 && socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
  return found;
}

Result<void> probe_tcp(const SocketAddress& address, const std::string& object) {
  auto probe = bound_tcp(address, false, object);
  if (probe) return {};
  return fail(probe.error().text + (errno == EADDRINUSE ? "; `ss -ltnp` shows who has it" : ""));
}

Result<UniqueFd> listen_tcp(const SocketAddress& address, bool reuse_port, int backlog,
                            const std::string& object) {
  auto fd = bound_tcp(address, reuse_port, object);
  if (fd && ::listen(fd->get(), backlog) != 0) return os_fail("listen on", object, errno);
  return fd;
}

bool is_nonblocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

// Not F_SETFL, which could overwrite a concurrent change by another process.
void end_blocking(int fd) {
  int on = 1;
  ::ioctl(fd, FIONBIO, &on);
}

// Binds to an interface number that does not exist; the kernel does not check. Unprivileged since Linux
// 5.7.
bool withdraw(int fd) {
  const int nowhere = INT_MAX;
  return ::setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere) == 0;
}

// A socket filter sees the packet from the TCP header on; the flags are byte 13. Accepted connections inherit
// the filter, which does not matter to them.
void hold_first_packets(int fd, bool hold) {
  constexpr unsigned syn = 0x02, ack = 0x10;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn | ack),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, ~0u),
  };
  const sock_fprog program{sizeof code / sizeof code[0], code};
  const int unused = 0;
  if (hold) ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  else ::setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

Result<UniqueFd> bind_unix(const std::string& path, mode_t mode, int backlog) {
  const auto address = unix_address(path);
  if (!address) return tl::unexpected<Error>(address.error());
  if (auto removed = remove_stale(path, *address); !removed) return tl::unexpected<Error>(removed.error());
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return os_fail("make a socket for", path, errno);
  // Before listen() no client can connect, so the mode is set in time.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return os_fail("bind", path, errno);
  const auto file = file_of_bound(fd.get(), path);
  if (!file) return os_fail("find the socket's file at", path, errno);
  if (const int error = set_mode_of(file.get(), mode); error != 0)
    return os_fail("set the mode of", path, error);
  if (::listen(fd.get(), backlog) != 0) return os_fail("listen on", path, errno);
  return fd;
}

Result<UniqueFd> lock_unix(const std::string& path) { return take_lock(path); }

void unlock_unix(UniqueFd lock) {
  if (lock) ::flock(lock.get(), LOCK_UN);
}

Result<UnixListener> listen_unix(const std::string& path, mode_t mode, int backlog) {
  // Check first: no lock file for an unusable path.
  if (const auto address = unix_address(path); !address) return tl::unexpected<Error>(address.error());
  auto lock = take_lock(path);
  if (!lock) return tl::unexpected<Error>(lock.error());
  auto fd = bind_unix(path, mode, backlog);
  if (!fd) return tl::unexpected<Error>(fd.error());
  return UnixListener{std::move(*fd), std::move(*lock)};
}

}  // namespace liveswap::master
