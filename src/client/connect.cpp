#include "client/connect.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace liveswap::client {
namespace {

Attempt no(ConnectResult result, std::string text) { return {result, UniqueFd(), std::move(text)}; }

// connect() to a Unix socket with a full accept queue waits for SO_SNDTIMEO, then fails with EAGAIN.
void limit_connect(int fd, const Deadline& deadline) {
  if (!deadline.limited()) return;
  const int left = std::max(deadline.poll_timeout(), 1);
  const timeval time{left / 1000, (left % 1000) * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Attempt check_owner(UniqueFd fd, const std::string& path) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return no(ConnectResult::failed, os_error("read the peer credentials of", path, errno).text);
  // Root may control masters of all users; other users trust only their own processes and root's.
  if (::geteuid() != 0 && peer.uid != ::geteuid() && peer.uid != 0)
    return no(ConnectResult::forbidden,
              fmt::format("a process of user {} listens on {}, expected one of user {} "
                          "or root: run this as user {} if that is "
                          "meant",
                          peer.uid, path, ::geteuid(), peer.uid));
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return {ConnectResult::connected, std::move(fd), {}, peer.uid, peer.pid};
}

Attempt explain_unix(int number, const std::string& path) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return no(ConnectResult::no_listener, "no socket " + path);
    case ECONNREFUSED: return no(ConnectResult::no_listener, "no process listens on " + path);
    case EACCES: return no(ConnectResult::forbidden, os_error("connect to", path, number).text);
    case EAGAIN: return no(ConnectResult::timed_out, path + " takes no connection");
    default: return no(ConnectResult::failed, os_error("connect to", path, number).text);
  }
}

// A TCP connection to a free ephemeral port of this machine may get that port as its own source: a
// self-connect.
bool meets_itself(int fd) {
  sockaddr_storage here{}, there{};
  socklen_t here_length = sizeof here, there_length = sizeof there;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &here_length) == 0 &&
         ::getpeername(fd, reinterpret_cast<sockaddr*>(&there), &there_length) == 0 &&
         here_length == there_length && std::memcmp(&here, &there, here_length) == 0;
}

// Waits for a non-blocking connect(). Returns errno, 0 after success, ETIMEDOUT after the deadline.
int finish_connect(int fd, const Deadline& deadline, bool& late) {
  for (;;) {
    pollfd wait{fd, POLLOUT, 0};
    const int ready = ::poll(&wait, 1, deadline.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    late = ready == 0;
    if (ready < 0) return errno;
    if (late) return ETIMEDOUT;
    int number = 0;
    socklen_t length = sizeof number;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &length) == 0 ? number : errno;
  }
}

Attempt connect_one(const addrinfo& to, const std::string& name, const Deadline& deadline) {
  auto fd = UniqueFd::adopt(::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return no(ConnectResult::failed, os_error("make a socket for", name, errno).text);
  int number = ::connect(fd.get(), to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  bool late = false;
  if (number == EINPROGRESS || number == EINTR) number = finish_connect(fd.get(), deadline, late);
  if (late) return no(ConnectResult::timed_out, name + " does not answer");
  if (number == ECONNREFUSED || (number == 0 && meets_itself(fd.get())))
    return no(ConnectResult::no_listener, name + " refuses connections");
  if (number != 0) return no(ConnectResult::no_listener, os_error("connect to", name, number).text);
  return {ConnectResult::connected, std::move(fd), {}};
}

// A wildcard is an address to listen on; clients connect to loopback instead.
bool is_every_address(const std::string& address) {
  return address.empty() || address == "*" || address == "0.0.0.0" || address == "::" || address == "[::]";
}

std::string without_brackets(const std::string& address) {
  const bool bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
  return bracketed ? address.substr(1, address.size() - 2) : address;
}

}  // namespace

Attempt connect_unix(const std::string& path, const Deadline& deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return no(ConnectResult::failed,
              fmt::format("the path of the socket {} has {} bytes, expected at most {}: choose a "
                          "shorter --runtime-dir",
                          path, path.size(), sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return no(ConnectResult::failed, os_error("make a socket for", path, errno).text);
  limit_connect(fd.get(), deadline);
  int result = 0;
  do result = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  while (result != 0 && errno == EINTR);
  if (result != 0) return explain_unix(errno, path);
  return check_owner(std::move(fd), path);
}

Attempt connect_tcp(const std::string& address, std::uint16_t port, const Deadline& deadline) {
  const std::string host = without_brackets(address);
  const bool here = is_every_address(address);
  const std::string name = host_and_port(here ? "localhost" : host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure =
      ::getaddrinfo(here ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure != 0)
    return no(ConnectResult::failed, fmt::format("cannot find host {}: {}", host, ::gai_strerror(failure)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Attempt attempt;
  for (const addrinfo* to = found; to && attempt.result != ConnectResult::connected; to = to->ai_next)
    attempt = connect_one(*to, name, deadline);
  return attempt;
}

bool means_this_machine(const std::string& address) {
  const std::string host = without_brackets(address);
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127) return true;
  return is_every_address(address) || host == "::1" || host == "localhost";
}

std::string host_and_port(const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos && address.front() != '[';
  return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

}  // namespace liveswap::client
