// bind and listen: how a listener of the application's comes to the master (interpose/bind.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "liveswap_plugin.h"
#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

int bind_inet(const UniqueFd& fd, std::uint16_t port = 0) {
  const sockaddr_in address = loopback(port);
  errno = 0;
  return ::bind(fd.get(), generic(address), sizeof address);
}

int bind_unix(const UniqueFd& fd, const std::string& path) {
  const auto [address, size] = unix_address(path);
  errno = 0;
  return ::bind(fd.get(), generic(address), size);
}

bool is_bound(const UniqueFd& fd) { return port_of(fd) != 0; }

liveswap_bind body_of(const Received& frame) {
  liveswap_bind body{};
  REQUIRE(frame.text.size() == sizeof body);
  std::memcpy(&body, frame.text.data(), sizeof body);
  return body;
}

// The path, or the name without the NUL before it.
std::string path_of(const liveswap_bind& body) {
  sockaddr_un address{};
  std::memcpy(&address, body.address, sizeof address);
  const std::size_t before = offsetof(sockaddr_un, sun_path);
  std::string path(address.sun_path, body.address_size - before);
  if (!path.empty() && path[0] == '\0') return "@" + path.substr(1);
  return path.c_str();
}

// Binds the socket that came with a BIND, as the master does.
Reply bind_it(const Received& frame) {
  if (frame.kind != LIVESWAP_BIND) return {};
  const liveswap_bind body = body_of(frame);
  const auto* const address = reinterpret_cast<const sockaddr*>(body.address);
  return {libc.bind(frame.fd.get(), address, body.address_size) == 0 ? 0U : static_cast<unsigned>(errno), -1};
}

// That nothing is asked of the master, so the kernel binds.
void check_is_own(const std::function<int()>& call, int error = 0) {
  CHECK(in_child([&] {
    const HostedWorker worker;
    errno = 0;
    REQUIRE(call() == (error == 0 ? 0 : -1));
    REQUIRE(errno == error);
    REQUIRE(worker.kinds().empty());
  }));
}

}  // namespace

TEST_CASE("bind: the master binds the application's own socket, and holds the listener then") {
  CHECK(in_child([] {
    const HostedWorker worker;
    FakeMaster master(worker, bind_it);
    const UniqueFd fd = make_socket();
    REQUIRE(bind_inet(fd) == 0);
    REQUIRE(is_bound(fd));
    const listener* const entry = listeners_held(fd.get());
    REQUIRE(entry != nullptr);
    REQUIRE(entry->name == nullptr);
    REQUIRE((fd_flags(fd.get()) & FLAG_HELD) != 0);
    const Received& frame = master.first(LIVESWAP_BIND);
    const liveswap_bind body = body_of(frame);
    REQUIRE(cookie_of(frame.fd.get()) == cookie_of(fd.get()));
    REQUIRE(frame.count == 0);
    REQUIRE(body.domain == AF_INET);
    REQUIRE(body.type == SOCK_STREAM);
    REQUIRE(body.protocol == IPPROTO_TCP);
    REQUIRE(body.address_size == sizeof(sockaddr_in));
  }));
}

TEST_CASE("bind: what the master cannot bind fails with its reason") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd busy = masters_listener(), fd = make_socket();
    FakeMaster master(worker, bind_it);
    REQUIRE(bind_inet(fd, port_of(busy)) == -1);
    REQUIRE(errno == EADDRINUSE);
    REQUIRE(fd_flags(fd.get()) == 0);
    REQUIRE(listeners_find(fd.get()) == nullptr);
  }));
}

TEST_CASE("bind: the listener blocks if the application wants that, and only without a time limit") {
  for (const bool blocks : {true, false}) {
    for (const bool is_limited : {true, false}) {
      CHECK(in_child([=] {
        const HostedWorker worker;
        FakeMaster master(worker, bind_it);
        const UniqueFd fd = make_socket(AF_INET, SOCK_STREAM | (blocks ? 0 : SOCK_NONBLOCK));
        const timeval limit{is_limited ? 5 : 0, 0};
        REQUIRE(libc.setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
        REQUIRE(bind_inet(fd) == 0);
        REQUIRE(((fd_flags(fd.get()) & FLAG_BLOCKING) != 0) == blocks);
        const bool really = (libc.fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0;
        REQUIRE(really == (blocks && !is_limited));
      }));
    }
  }
}

TEST_CASE("bind: a socket that the master has at that address already replaces the application's") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd earlier = masters_listener(), fd = make_socket(), epoll = make_epoll();
    const int yes = 1;
    REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) == 0);
    epoll_event event{EPOLLIN, {.u64 = 8}};
    REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
    FakeMaster master(worker, [&](const Received&) { return Reply{0, earlier.get()}; });
    REQUIRE(bind_inet(fd, port_of(earlier)) == 0);
    REQUIRE(cookie_of(fd.get()) == cookie_of(earlier.get()));
    int kept = 0;
    socklen_t size = sizeof kept;
    REQUIRE(::getsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &kept, &size) == 0);
    REQUIRE(kept == 1);
    REQUIRE(::listen(fd.get(), 5) == 0);
    const UniqueFd client = connect_to(earlier);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{8});
    REQUIRE(listeners_find(fd.get()) == listeners_with(cookie_of(earlier.get())));
  }));
}

TEST_CASE("bind: the master may leave the socket to the application") {
  for (const std::uint64_t answer : {LIVESWAP_STAYS_OWN, LIVESWAP_TOO_LATE}) {
    CAPTURE(answer);
    CHECK(in_child([answer] {
      const HostedWorker worker;
      FakeMaster master(worker, [answer](const Received&) { return Reply{answer, -1}; });
      const UniqueFd first = make_socket(), second = make_socket();
      REQUIRE(bind_inet(first) == 0);
      REQUIRE(is_bound(first));
      REQUIRE(fd_flags(first.get()) == 0);
      REQUIRE(bind_inet(second) == 0);
      // After TOO_LATE the master is not asked about sockets without a port any more.
      int asked = 0;
      for (const Received& frame : master.heard()) asked += frame.kind == LIVESWAP_BIND;
      REQUIRE(asked == (answer == LIVESWAP_TOO_LATE ? 1 : 2));
    }));
  }
}

TEST_CASE("bind: of a ready worker the master refuses a client's socket, and knows that by the frame") {
  CHECK(in_child([] {
    const HostedWorker worker;
    liveswap_ready();
    FakeMaster master(worker, [](const Received& frame) {
      return Reply{frame.count == 1 ? static_cast<unsigned>(LIVESWAP_TOO_LATE) : ENOSPC, -1};
    });
    const UniqueFd client = make_socket(), server = make_socket(), udp = make_socket(AF_INET, SOCK_DGRAM);
    const UniqueFd busy = masters_listener();
    const std::uint16_t port = port_of(busy);
    REQUIRE(bind_inet(client) == 0);
    REQUIRE(bind_inet(udp, port) == 0);
    // A listener that the master has no room for stays the application's.
    libc.close(libc.dup(busy.get()));
    REQUIRE(bind_inet(server, port) == -1);
    REQUIRE(errno == EADDRINUSE);  // the kernel's own answer
    int asked = 0;
    for (const Received& frame : master.heard()) asked += frame.kind == LIVESWAP_BIND;
    REQUIRE(asked == 2);
  }));
}

TEST_CASE("bind: while the worker starts, no room at the master is the application's error") {
  CHECK(in_child([] {
    const HostedWorker worker;
    FakeMaster master(worker, [](const Received&) { return Reply{ENOSPC, -1}; });
    REQUIRE(bind_inet(make_socket()) == -1);
    REQUIRE(errno == ENOSPC);
  }));
}

TEST_CASE("bind: without a master the kernel binds") {
  CHECK(in_child([] {
    HostedWorker worker;
    worker.die();
    const UniqueFd fd = make_socket();
    REQUIRE(bind_inet(fd) == 0);
    REQUIRE(is_bound(fd));
    REQUIRE(fd_flags(fd.get()) == 0);
  }));
}

TEST_CASE("bind: sockets that a server does not wait at are libc's affair") {
  check_is_own([] { return bind_inet(make_socket(AF_INET, SOCK_DGRAM)); });
  check_is_own([] { return bind_unix(make_socket(AF_UNIX, SOCK_DGRAM), "@liveswap-test-datagrams"); });
  check_is_own([] {
    const sockaddr_un any{AF_UNIX, ""};  // the kernel chooses a name
    return ::bind(make_socket(AF_UNIX).get(), generic(any), sizeof any.sun_family);
  });
}

TEST_CASE("bind: what is no socket or no address gets the kernel's answer") {
  const sockaddr_in address = loopback();
  check_is_own([&] { return ::bind(-1, generic(address), sizeof address); }, EBADF);
  check_is_own([&] { return ::bind(0, generic(address), sizeof address); }, ENOTSOCK);
  check_is_own([&] { return ::bind(make_socket().get(), generic(address), 1); }, EINVAL);
  check_is_own([&] { return ::bind(make_socket().get(), generic(address), 4096); }, EINVAL);
  check_is_own([&] { return ::bind(make_socket().get(), nullptr, sizeof address); }, EFAULT);
  check_is_own([&] { return ::bind(make_socket(AF_INET6).get(), generic(address), sizeof address); }, EINVAL);
  check_is_own([&] { return bind_unix(make_socket(), "/tmp/no-such-address"); }, EAFNOSUPPORT);
}

TEST_CASE("bind: IPv6, with what the application says about IPv4") {
  for (const int only : {0, 1}) {
    CHECK(in_child([only] {
      const HostedWorker worker;
      const UniqueFd fd = make_socket(AF_INET6);
      if (!fd) return;  // a machine without IPv6
      REQUIRE(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0);
      FakeMaster master(worker);
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6, address.sin6_port = htons(9), address.sin6_addr = in6addr_loopback;
      REQUIRE(::bind(fd.get(), generic(address), sizeof address) == 0);
      const liveswap_bind body = body_of(master.first(LIVESWAP_BIND));
      REQUIRE(body.domain == AF_INET6);
      REQUIRE(body.v6only == static_cast<unsigned>(only));
    }));
  }
}

TEST_CASE(
    "bind: a path is made absolute, for the master's working directory is another; the umask goes along") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const TempDir directory;
    REQUIRE(::chdir(directory.path().c_str()) == 0);
    ::umask(027);
    FakeMaster master(worker, bind_it);
    REQUIRE(bind_unix(make_socket(AF_UNIX), "relative") == 0);
    struct stat file {};
    REQUIRE(::stat((directory / "relative").c_str(), &file) == 0);
    const liveswap_bind body = body_of(master.first(LIVESWAP_BIND));
    REQUIRE(path_of(body) == directory / "relative");
    REQUIRE(body.umask == 027);
    REQUIRE(body.domain == AF_UNIX);
    REQUIRE(::chdir("/") == 0);
  }));
}

TEST_CASE("bind: absolute paths and abstract names stay as they are") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const TempDir directory;
    FakeMaster master(worker);
    REQUIRE(bind_unix(make_socket(AF_UNIX), directory / "socket") == 0);
    REQUIRE(bind_unix(make_socket(AF_UNIX, SOCK_SEQPACKET), "@liveswap-test-name") == 0);
    std::vector<std::string> paths;
    for (const Received& frame : master.heard())
      if (frame.kind == LIVESWAP_BIND) paths.push_back(path_of(body_of(frame)));
    REQUIRE(paths == std::vector<std::string>{directory / "socket", "@liveswap-test-name"});
  }));
}

TEST_CASE("bind: a path that is too long when it is absolute is the kernel's to bind") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const TempDir directory;
    const std::string deep = directory.directory(std::string(90, 'd'));
    REQUIRE(::chdir(deep.c_str()) == 0);
    REQUIRE(bind_unix(make_socket(AF_UNIX), "relative-and-longer") == 0);
    REQUIRE(worker.kinds().empty());
    REQUIRE(::chdir("/") == 0);
  }));
}

TEST_CASE("bind: a datagram listener is waited for from the start, with its own blocking mode") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const std::uint16_t port = [] { return port_of(masters_listener(SOCK_DGRAM)); }();
    const UniqueFd fd = make_socket(AF_INET, SOCK_DGRAM);
    FakeMaster master(worker, bind_it);
    REQUIRE(bind_inet(fd, port) == 0);
    REQUIRE(fd_flags(fd.get()) == FLAG_HELD);
    REQUIRE(is_blocking(fd.get()));
    REQUIRE(listeners_expected());
    errno = 0;
    REQUIRE(::listen(fd.get(), 1) == -1);
    REQUIRE(errno == EOPNOTSUPP);
  }));
}

TEST_CASE("bind: a listener that comes while the worker drains is revoked at once") {
  CHECK(in_child([] {
    const HostedWorker worker;
    revoke_listeners();
    FakeMaster master(worker, bind_it);
    const UniqueFd fd = make_socket();
    REQUIRE(bind_inet(fd) == 0);
    REQUIRE(is_placeholder(fd.get()));
    REQUIRE((fd_flags(fd.get()) & FLAG_REVOKED) != 0);
    REQUIRE(::listen(fd.get(), 1) == 0);
    REQUIRE(!master.has(LIVESWAP_LISTEN));
  }));
}

TEST_CASE("bind: a forked child binds for itself") {
  CHECK(in_child([] {
    const HostedWorker worker;
    REQUIRE(in_child([] {
      const UniqueFd fd = make_socket();
      REQUIRE(bind_inet(fd) == 0);
      REQUIRE(is_bound(fd));
    }));
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  }));
}

TEST_CASE("listen: the master listens, with the application's backlog") {
  for (const int backlog : {0, 7, -1}) {
    CHECK(in_child([backlog] {
      const HostedWorker worker;
      const Held held;
      FakeMaster master(worker);
      REQUIRE(::listen(held.fd.get(), backlog) == 0);
      const Received& frame = master.first(LIVESWAP_LISTEN);
      REQUIRE(frame.text == std::string(reinterpret_cast<const char*>(&held.cookie), sizeof held.cookie));
      REQUIRE(frame.count == (backlog < 0 ? UINT32_MAX : static_cast<unsigned>(backlog)));
      REQUIRE(listeners_expected());
    }));
  }
}

TEST_CASE("listen: fails with the master's reason; without a master the kernel listens") {
  CHECK(in_child([] {
    HostedWorker worker;
    const UniqueFd fd = make_socket();
    const sockaddr_in address = loopback();
    REQUIRE(libc.bind(fd.get(), generic(address), sizeof address) == 0);
    hold(fd);
    {
      FakeMaster master(worker, [](const Received&) { return Reply{EADDRINUSE, -1}; });
      REQUIRE(::listen(fd.get(), 5) == -1);
      REQUIRE(errno == EADDRINUSE);
    }
    worker.die();
    REQUIRE(::listen(fd.get(), 5) == 0);
    const UniqueFd client = connect_to(fd);
  }));
}

TEST_CASE("listen: one that an epoll has already is waited for as soon as it listens") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd fd = make_socket(), epoll = make_epoll();
    watch(epoll, fd.get(), 1);
    readiness_enter(false);
    FakeMaster master(worker, [&](const Received& frame) {
      if (frame.kind == LIVESWAP_LISTEN) libc.listen(fd.get(), 5);
      return bind_it(frame);
    });
    REQUIRE(bind_inet(fd) == 0);
    REQUIRE(::listen(fd.get(), 5) == 0);
    REQUIRE((fd_flags(fd.get()) & FLAG_EPOLLED) != 0);
    REQUIRE(master.has(LIVESWAP_WAITS));
  }));
}

TEST_CASE("listen: a lent listener listens already") {
  CHECK(in_child([] {
    REQUIRE(libc.dup2(masters_listener().get(), LIVESWAP_FD_LISTENERS) == LIVESWAP_FD_LISTENERS);
    const HostedWorker worker;
    char names[] = "web";
    REQUIRE(listeners_adopt(names));
    REQUIRE(::listen(LIVESWAP_FD_LISTENERS, 3) == 0);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("listen: a socket that the master does not hold is marked as the application's own") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd own = masters_listener(), udp = make_socket(AF_INET, SOCK_DGRAM);
    REQUIRE(::listen(own.get(), 5) == 0);
    REQUIRE(fd_flags(own.get()) == FLAG_OWN);
    readiness_enter(false);
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_ENTERED, LIVESWAP_DEFERRED});
    errno = 0;
    REQUIRE(::listen(udp.get(), 5) == -1);
    REQUIRE(errno == EOPNOTSUPP);
    REQUIRE(fd_flags(udp.get()) == 0);
  }));
}
