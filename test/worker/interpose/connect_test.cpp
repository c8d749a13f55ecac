// connect: a client that has bound its socket first (interpose/connect.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <netinet/tcp.h>

#include <optional>

using namespace liveswap;
using namespace liveswap::test;

namespace {

// A socket that the application has bound and the master holds.
struct Bound {
  explicit Bound(int type = SOCK_STREAM, unsigned flags = 0) : fd(make_socket(AF_INET, type)) {
    const sockaddr_in address = loopback();
    const int yes = 1;
    REQUIRE(libc.setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
    REQUIRE(libc.setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0);
    REQUIRE(libc.bind(fd.get(), generic(address), sizeof address) == 0);
    entry = hold(fd);
    fd_flags_add(fd.get(), flags);
    cookie = cookie_of(fd.get()), port = port_of(fd);
  }
  UniqueFd fd;
  const listener* entry;
  std::uint64_t cookie;
  std::uint16_t port;
};

int connect_by_host(const UniqueFd& fd, std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  errno = 0;
  return ::connect(fd.get(), generic(address), sizeof address);
}

}  // namespace

TEST_CASE("connect: a socket that is not the master's is connected as by libc") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd server = masters_listener(), client = make_socket(), another = make_socket();
    REQUIRE(connect_by_host(client, port_of(server)) == 0);
    REQUIRE(connect_by_host(client, port_of(server)) == -1);
    REQUIRE(errno == EISCONN);
    std::uint16_t gone = 0;
    gone = port_of(masters_listener());
    REQUIRE(connect_by_host(another, gone) == -1);
    REQUIRE(errno == ECONNREFUSED);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("connect: the master lets go of a client's socket, which keeps its address, options and epolls") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd server = masters_listener(), epoll = make_epoll();
    const Bound client(SOCK_STREAM, FLAG_BLOCKING);
    const int yes = 1;
    REQUIRE(libc.setsockopt(client.fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0);
    watch(epoll, client.fd.get(), 3);
    worker.kinds();
    REQUIRE(connect_by_host(client.fd, port_of(server)) == 0);
    REQUIRE(cookie_of(client.fd.get()) != client.cookie);
    REQUIRE(port_of(client.fd) == client.port);
    REQUIRE(is_blocking(client.fd.get()));
    REQUIRE(fd_flags(client.fd.get()) == 0);
    REQUIRE(listeners_with(client.cookie) == nullptr);
    int kept = 0;
    socklen_t size = sizeof kept;
    REQUIRE(::getsockopt(client.fd.get(), IPPROTO_TCP, TCP_NODELAY, &kept, &size) == 0);
    REQUIRE(kept == 1);
    std::optional<Received> told;
    while (auto frame = worker.receive())
      if (frame->kind == LIVESWAP_UNLISTEN) told = std::move(frame);
    REQUIRE(told.has_value());
    REQUIRE(told->text == std::string(reinterpret_cast<const char*>(&client.cookie), sizeof client.cookie));
    const UniqueFd connection = UniqueFd::adopt(libc.accept(server.get(), nullptr, nullptr));
    REQUIRE(libc.send(connection.get(), "x", 1, 0) == 1);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{3});
  }));
}

TEST_CASE("connect: a client that does not block gets a socket that does not block") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd server = masters_listener();
    const Bound client;  // no FLAG_BLOCKING
    const int done = connect_by_host(client.fd, port_of(server));
    REQUIRE((done == 0 || errno == EINPROGRESS));
    REQUIRE(!is_blocking(client.fd.get()));
  }));
}

TEST_CASE("connect: for datagrams the blocking mode is the socket's own") {
  for (const bool blocks : {true, false}) {
    CHECK(in_child([blocks] {
      const HostedWorker worker;
      const UniqueFd server = masters_listener(SOCK_DGRAM);
      const Bound client(SOCK_DGRAM);
      if (!blocks) end_blocking(client.fd);
      REQUIRE(connect_by_host(client.fd, port_of(server)) == 0);
      REQUIRE(is_blocking(client.fd.get()) == blocks);
      REQUIRE(libc.send(client.fd.get(), "x", 1, 0) == 1);
      char byte = 0;
      REQUIRE(libc.recv(server.get(), &byte, 1, 0) == 1);
    }));
  }
}

TEST_CASE("connect: a listener that listens is not let go, a lent one neither") {
  CHECK(in_child([] {
    REQUIRE(libc.dup2(masters_listener().get(), LIVESWAP_FD_LISTENERS) == LIVESWAP_FD_LISTENERS);
    const HostedWorker worker;
    char names[] = "web";
    REQUIRE(listeners_adopt(names));
    const UniqueFd server = masters_listener();
    const Held held;
    REQUIRE(connect_by_host(held.fd, port_of(server)) == -1);
    REQUIRE(errno == EISCONN);
    const sockaddr_in address = loopback(port_of(server));
    REQUIRE(::connect(LIVESWAP_FD_LISTENERS, generic(address), sizeof address) == -1);
    REQUIRE(listeners_with(held.cookie) == held.entry);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("connect: where no other socket can be made, the master keeps the one that it has") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd server = masters_listener();
    const Bound client;
    {
      const NoMoreDescriptors full;
      REQUIRE(connect_by_host(client.fd, port_of(server)) == -1);
      REQUIRE(errno == EMFILE);
    }
    REQUIRE(listeners_with(client.cookie) == client.entry);
    REQUIRE(cookie_of(client.fd.get()) == client.cookie);
    REQUIRE(worker.kinds().empty());
  }));
}
