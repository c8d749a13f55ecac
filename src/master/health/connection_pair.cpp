#include "master/health/connection_pair.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "master/sockets/sockets.hpp"

namespace liveswap::master {
namespace {

constexpr int kind_of_pair = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

SocketAddress loopback_of_four() {
  SocketAddress address;
  auto& in = reinterpret_cast<sockaddr_in&>(address.storage);
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.length = sizeof in;
  return address;
}

// `mapped`: for a machine whose loopback interface has no IPv6 address.
SocketAddress loopback_of_six(bool mapped) {
  SocketAddress address;
  auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
  six.sin6_family = AF_INET6;
  ::inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &six.sin6_addr);
  address.length = sizeof six;
  return address;
}

// At a port that the kernel chooses.
bool bind_to_loopback(int fd, int family) {
  const auto bound = [fd](const SocketAddress& address) {
    return ::bind(fd, address.get(), address.length) == 0;
  };
  if (family != AF_INET6) return bound(loopback_of_four());
  const int off = 0;
  ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  return bound(loopback_of_six(false)) || bound(loopback_of_six(true));
}

SocketAddress socket_name(int fd, bool peer) {
  SocketAddress name;
  name.length = sizeof name.storage;
  auto* to = reinterpret_cast<sockaddr*>(&name.storage);
  if ((peer ? ::getpeername(fd, to, &name.length) : ::getsockname(fd, to, &name.length)) != 0)
    name.length = 0;
  return name;
}

// Any process of this machine may connect to the port.
bool is_peer(int server, int client) {
  const auto one = socket_name(server, true), other = socket_name(client, false);
  return one.length > 0 && one.length == other.length &&
         std::memcmp(&one.storage, &other.storage, one.length) == 0;
}

}  // namespace

ConnectionPair::ConnectionPair(uv_loop_t& loop, int family, Done done)
    : loop_(loop), family_(family), done_(std::move(done)), begin_(loop) {
  begin_.start(Milliseconds(0), [this] { begin(); });
}

void ConnectionPair::begin() {
  const Done done = done_;
  if (family_ == AF_UNIX) {
    int ends[2];
    if (::socketpair(AF_UNIX, kind_of_pair, 0, ends) != 0)
      return done(os_fail("make", "a pair of sockets", errno));
    return done(Ends{UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])});
  }
  if (const auto connected = connect(); !connected) return done(tl::unexpected<Error>(connected.error()));
  poll_.emplace(loop_, listener_.get());
  if (!poll_->usable()) return done(fail("cannot watch a socket"));
  poll_->start(UV_READABLE, [this](int) { accept(); });
}

Result<void> ConnectionPair::connect() {
  listener_ = UniqueFd::adopt(::socket(family_, kind_of_pair, 0));
  client_ = UniqueFd::adopt(::socket(family_, kind_of_pair, 0));
  if (!listener_ || !client_) return os_fail("make", "a socket", errno);
  if (!bind_to_loopback(listener_.get(), family_) || ::listen(listener_.get(), 1) != 0)
    return os_fail("listen", "on the loopback interface", errno);
  const auto where = socket_name(listener_.get(), false);
  if (::connect(client_.get(), where.get(), where.length) != 0 && errno != EINPROGRESS)
    return os_fail("connect", "over the loopback interface", errno);
  return {};
}

void ConnectionPair::accept() {
  auto server = UniqueFd::adopt(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) return;
  const Done done = done_;
  if (!server) return done(os_fail("accept", "a connection", errno));
  if (!is_peer(server.get(), client_.get())) return;
  poll_->stop();
  done(Ends{std::move(client_), std::move(server)});
}

}  // namespace liveswap::master
