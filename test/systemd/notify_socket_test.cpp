#include "systemd/notify_socket.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>

#include "test/support/temp_dir.hpp"

namespace liveswap::systemd {
namespace {

UniqueFd bind_at(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  return fd;
}

std::string received(const UniqueFd& fd) {
  char text[256];
  const ssize_t size = ::recv(fd.get(), text, sizeof text, MSG_DONTWAIT);
  return size < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(size));
}

TEST_CASE("messages reach a socket at a path and an abstract one") {
  const test::TempDir dir;
  for (const std::string& address : {dir / "notify", "@liveswap-notify-test-" + std::to_string(::getpid())}) {
    const auto manager = bind_at(address);
    const auto socket = NotifySocket::open(address);
    REQUIRE(socket);
    CHECK(socket->send("READY=1\n") == 0);
    CHECK(received(manager) == "READY=1\n");
  }
}

TEST_CASE("a descriptor goes along") {
  const test::TempDir dir;
  const auto manager = bind_at(dir / "notify");
  const auto socket = NotifySocket::open(dir / "notify");
  CHECK(socket->send("FDSTORE=1\n", manager.get()) == 0);
  char text[64];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  REQUIRE(::recvmsg(manager.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 10);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  REQUIRE(header);
  CHECK(header->cmsg_type == SCM_RIGHTS);
  int fd = -1;
  __builtin_memcpy(&fd, CMSG_DATA(header), sizeof fd);
  const auto copy = UniqueFd::adopt(fd);
  struct stat one {
  }, other{};
  CHECK(::fstat(copy.get(), &one) == 0);
  CHECK(::fstat(manager.get(), &other) == 0);
  CHECK(one.st_ino == other.st_ino);
}

TEST_CASE("a full queue and a missing manager are errors, and block nobody") {
  const test::TempDir dir;
  const auto socket = NotifySocket::open(dir / "notify");
  REQUIRE(socket);
  CHECK(socket->send("READY=1\n") == ENOENT);
  const auto manager = bind_at(dir / "notify");
  int error = 0;
  for (int i = 0; i < 100'000 && error == 0; ++i) error = socket->send("STATUS=\n");
  CHECK(error == EAGAIN);
  CHECK(received(manager) == "STATUS=\n");
  CHECK(socket->send("READY=1\n") == 0);
}

TEST_CASE("an address that is none is refused") {
  for (const std::string& address : {std::string(), std::string("/"), std::string("run/notify"),
                                     std::string("vsock:2:1"), "/" + std::string(200, 'x')})
    CHECK_FALSE(NotifySocket::open(address));
}

}  // namespace
}  // namespace liveswap::systemd
