// Calls named like libc's, on descriptors that are flagged and on those that are not: fcntl and ioctl
// (interpose/fcntl.c), and what sends and receives (interpose/send.c, interpose/receive.c). This program's
// own calls are the interposed ones.
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

extern "C" {
#include "worker/base/libc.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/traffic.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() { REQUIRE(forked_child_setup()); }
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
  // Of the open socket, which other processes share.
  bool really_blocks() const { return (libc.fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0; }
};

}  // namespace

TEST_CASE("fcntl: what is not flagged is libc's affair") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd foreign = listen_inet();
    REQUIRE(::fcntl(foreign.get(), F_SETFL, O_NONBLOCK) == 0);
    REQUIRE((libc.fcntl(foreign.get(), F_GETFL) & O_NONBLOCK) != 0);
    REQUIRE(::fcntl(foreign.get(), F_SETFL, 0) == 0);
    REQUIRE((libc.fcntl(foreign.get(), F_GETFL) & O_NONBLOCK) == 0);
    errno = 0;
    REQUIRE(::fcntl(-1, F_GETFL) == -1);
    REQUIRE(errno == EBADF);
  }));
}

TEST_CASE("fcntl: an application that wants a listener to block believes so, and the socket does not") {
  CHECK(in_child([] {
    const Worker worker;
    const int fd = worker.fd.get();
    REQUIRE(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    REQUIRE(!worker.really_blocks());
    REQUIRE((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    REQUIRE(::fcntl(fd, F_SETFL, 0) == 0);
    REQUIRE(!worker.really_blocks());
    REQUIRE((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    REQUIRE((fd_flags(fd) & FLAG_BLOCKING) != 0);
    // Other flags are the socket's.
    REQUIRE(::fcntl(fd, F_SETFL, O_ASYNC) == 0);
    REQUIRE((libc.fcntl(fd, F_GETFL) & O_ASYNC) != 0);
    REQUIRE((::fcntl(fd, F_GETFL) & O_ASYNC) != 0);
    REQUIRE(!worker.really_blocks());
  }));
}

TEST_CASE("fcntl: ioctl does the same") {
  CHECK(in_child([] {
    const Worker worker;
    const int fd = worker.fd.get();
    int on = 1, off = 0;
    REQUIRE(::ioctl(fd, FIONBIO, &on) == 0);
    REQUIRE(!worker.really_blocks());
    REQUIRE(::ioctl(fd, FIONBIO, &off) == 0);
    REQUIRE(!worker.really_blocks());
    REQUIRE((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    int* const none = nullptr;
    errno = 0;
    REQUIRE(::ioctl(fd, FIONBIO, none) == -1);
    REQUIRE(errno == EFAULT);
    int unread = -1;
    const Connection connection(worker.fd);
    REQUIRE(::ioctl(connection.server.get(), FIONREAD, &unread) == 0);
    REQUIRE(unread == 0);
  }));
}

TEST_CASE(
    "fcntl: a duplicate of a listener that stays the application's own is known as one, as with dup()") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd own = listen_inet();
    fd_flags_set(own.get(), FLAG_OWN | FLAG_HOST);
    const UniqueFd copy = UniqueFd::adopt(::fcntl(own.get(), F_DUPFD_CLOEXEC, 100));
    REQUIRE(copy.get() >= 100);
    REQUIRE(fd_flags(copy.get()) == FLAG_OWN);
    errno = 0;
    REQUIRE(::fcntl(own.get(), F_DUPFD, -1) == -1);
    REQUIRE(errno == EINVAL);
  }));
}

TEST_CASE("fcntl: a duplicate is known as what it is, on exec closed where that was asked for") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(::fcntl(worker.fd.get(), F_SETFL, 0) == 0);
    const UniqueFd plain = UniqueFd::adopt(::fcntl(worker.fd.get(), F_DUPFD, 150)),
                   closed = UniqueFd::adopt(::fcntl(worker.fd.get(), F_DUPFD_CLOEXEC, 150));
    REQUIRE(plain.get() >= 150);
    REQUIRE(fd_flags(plain.get()) == fd_flags(worker.fd.get()));
    REQUIRE(fd_flags(closed.get()) == fd_flags(worker.fd.get()));
    REQUIRE(::fcntl(plain.get(), F_GETFD) == 0);
    REQUIRE(::fcntl(closed.get(), F_GETFD) == FD_CLOEXEC);
  }));
}

TEST_CASE("fcntl: a flag that is out of date, and a socket for datagrams, are libc's affair") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd stale = listen_inet(), datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    hold(datagrams);
    fd_flags_set(stale.get(), FLAG_HELD | FLAG_BLOCKING);
    for (const int fd : {stale.get(), datagrams.get()}) {
      REQUIRE(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
      REQUIRE(::fcntl(fd, F_SETFL, 0) == 0);
      REQUIRE((libc.fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    }
    REQUIRE(fd_flags(stale.get()) == 0);
  }));
}

namespace {

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// Sends kAnswer, all but its last byte or all of it, by one of the calls.
using Sender = std::function<ssize_t(int fd, std::size_t size)>;

ssize_t by_parts(const std::function<ssize_t(iovec* parts)>& send, std::size_t size) {
  std::string text = kAnswer.substr(0, size);
  iovec parts[2] = {{text.data(), 10}, {text.data() + 10, size - 10}};
  return send(parts);
}

const std::pair<const char*, Sender> kSenders[] = {
    {"write", [](int fd, std::size_t size) { return ::write(fd, kAnswer.data(), size); }},
    {"send", [](int fd, std::size_t size) { return ::send(fd, kAnswer.data(), size, 0); }},
    {"sendto", [](int fd, std::size_t size) { return ::sendto(fd, kAnswer.data(), size, 0, nullptr, 0); }},
    {"writev",
     [](int fd, std::size_t size) {
       return by_parts([fd](iovec* parts) { return ::writev(fd, parts, 2); }, size);
     }},
    {"sendmsg",
     [](int fd, std::size_t size) {
       return by_parts(
           [fd](iovec* parts) {
             msghdr message{};
             message.msg_iov = parts, message.msg_iovlen = 2;
             return ::sendmsg(fd, &message, 0);
           },
           size);
     }},
    {"sendmmsg",
     [](int fd, std::size_t size) {
       return by_parts(
           [fd](iovec* parts) -> ssize_t {
             mmsghdr message{};
             message.msg_hdr.msg_iov = parts, message.msg_hdr.msg_iovlen = 2;
             return ::sendmmsg(fd, &message, 1, 0) == 1 ? static_cast<ssize_t>(message.msg_len) : -1;
           },
           size);
     }},
    {"dprintf",
     [](int fd, std::size_t size) -> ssize_t {
       return ::dprintf(fd, "%s", kAnswer.substr(0, size).c_str());
     }},
};

}  // namespace

TEST_CASE("send: whatever call sends an answer, it is followed; what nobody follows is sent all the same") {
  for (const auto& [name, send] : kSenders) {
    CAPTURE(std::string(name));
    const UniqueFd listener = listen_inet();
    const Connection followed(listener), plain(listener);
    const int fd = followed.server.get();
    traffic_accepted(fd);
    CHECK(send(fd, kAnswer.size() - 1) == static_cast<ssize_t>(kAnswer.size() - 1));
    CHECK(traffic_noted(fd) == kAnswer.size() - 1);
    CHECK(traffic_answer(fd, nullptr) == ANSWER_UNFINISHED);
    CHECK(::write(fd, "o", 1) == 1);
    CHECK(traffic_answer(fd, nullptr) == ANSWER_COMPLETE);
    CHECK(send(plain.server.get(), kAnswer.size()) == static_cast<ssize_t>(kAnswer.size()));
    CHECK(!traffic_is_followed(plain.server.get()));
    std::string heard(200, '\0');
    for (const Connection* const each : {&followed, &plain})
      CHECK(::recv(each->client.get(), heard.data(), kAnswer.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(kAnswer.size()));
    traffic_lost(fd);
  }
}

TEST_CASE("send: a body from a file, and a call that fails") {
  const UniqueFd listener = listen_inet(), file = UniqueFd::adopt(::memfd_create("body", MFD_CLOEXEC));
  const Connection connection(listener);
  const int fd = connection.server.get();
  REQUIRE(::write(file.get(), "hello", 5) == 5);
  traffic_accepted(fd);
  CHECK(::write(fd, kAnswer.data(), kAnswer.size() - 5) > 0);
  off_t offset = 0;
  CHECK(::sendfile(fd, file.get(), &offset, 5) == 5);
  CHECK(traffic_answer(fd, nullptr) == ANSWER_COMPLETE);
  ::shutdown(fd, SHUT_WR);
  CHECK(::send(fd, "more", 4, MSG_NOSIGNAL) == -1);
  CHECK(traffic_noted(fd) == kAnswer.size());
  traffic_lost(fd);
}

TEST_CASE("receive: a request that has begun to come is owed an answer, whatever call receives it") {
  const std::function<ssize_t(int fd, char* to)> receivers[] = {
      [](int fd, char* to) { return ::read(fd, to, 100); },
      [](int fd, char* to) { return ::recv(fd, to, 100, 0); },
      [](int fd, char* to) { return ::recvfrom(fd, to, 100, 0, nullptr, nullptr); },
      [](int fd, char* to) {
        iovec part{to, 100};
        return ::readv(fd, &part, 1);
      },
      [](int fd, char* to) {
        iovec part{to, 100};
        msghdr message{};
        message.msg_iov = &part, message.msg_iovlen = 1;
        return ::recvmsg(fd, &message, 0);
      }};
  for (const auto& receive : receivers) {
    CHECK(in_child([&receive] {
      const UniqueFd listener = listen_inet();
      const Connection connection(listener);
      const int fd = connection.server.get();
      char bytes[100];
      traffic_accepted(fd);
      REQUIRE(drain_setup());
      // So that it counts as one that is seen to send.
      REQUIRE(::write(fd, kAnswer.data(), kAnswer.size()) > 0);
      REQUIRE(traffic_answer(fd, nullptr) == ANSWER_COMPLETE);
      REQUIRE(::send(connection.client.get(), "GET / HTTP/1.1\r\n", 16, 0) == 16);
      REQUIRE(receive(fd, bytes) == 16);
      REQUIRE(std::string(bytes, 16) == "GET / HTTP/1.1\r\n");
      REQUIRE(traffic_answer(fd, nullptr) == ANSWER_UNFINISHED);
    }));
  }
}
