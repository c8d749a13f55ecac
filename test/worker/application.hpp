#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "harness.hpp"

namespace liveswap::test {

// A worker host with a master that keeps what is bound, and answers.
class Application {
 public:
  struct Limits {
    std::string drain_ms;
    std::string grace_ms;
  };

  // `more`: words for the worker host, `arguments` for the application.
  explicit Application(const std::string& what, const std::vector<std::string>& more = {},
                       std::string port = free_port(), const std::vector<std::string>& arguments = {},
                       const Limits& limits = {"10000", "1000"}, const std::string& library = "libmisfit.so")
      : port_(std::move(port)),
        worker_(Worker::spawn(words(what, more, arguments, limits, library), {}, {})) {}

  Worker& worker() { return worker_; }
  int listener() const { return listener_.get(); }
  int listens() const { return listens_; }
  // Called when the socket is bound, before it listens; and when it listens, before the worker is answered.
  std::function<void()> when_bound;
  std::function<void()> when_listening;

  // A connection that a worker before has given back, for the listener with that cookie.
  void adopt(std::uint64_t cookie, int connection) {
    const liveswap_frame frame{LIVESWAP_ADOPT, 0, 0};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec parts[2] = {{const_cast<liveswap_frame*>(&frame), sizeof frame}, {&cookie, sizeof cookie}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &connection, sizeof connection);
    REQUIRE(::sendmsg(worker_.channel(), &message, MSG_NOSIGNAL) ==
            static_cast<ssize_t>(sizeof frame + sizeof cookie));
  }

  static std::uint64_t cookie_of(int fd) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    REQUIRE(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
    return cookie;
  }

  // What the kernel has: of a listener tcp(7) tells it in this field.
  unsigned backlog() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    REQUIRE(getsockopt(listener_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    return info.tcpi_sacked;
  }

  // The next frame of that kind, after everything else has been answered; a failure ends the wait with its
  // text.
  Frame await(std::uint32_t kind) {
    for (;;) {
      Frame frame = receive();
      if (frame.kind == LIVESWAP_BIND) bind(frame);
      if (frame.kind == LIVESWAP_LISTEN) {
        ++listens_;
        worker_.send(LIVESWAP_ANSWER, frame.value);
      }
      if (frame.kind == LIVESWAP_UNLINK) worker_.send(LIVESWAP_ANSWER, frame.value);
      if (frame.kind == kind) return frame;
      REQUIRE_MESSAGE(frame.kind != LIVESWAP_FAILED, frame.text);
    }
  }

  // The text of a failure at that stage.
  std::string failure(int stage = LIVESWAP_STAGE_START) {
    const Frame frame = await(LIVESWAP_FAILED);
    CHECK(frame.value == stage);
    const End end = worker_.wait();
    CHECK(end.exited);
    CHECK(end.number == LIVESWAP_EXIT_LOAD);
    return frame.text;
  }

  void check_serves() {
    const auto connection = connect_to(listener());
    CHECK(read_all(connection.get()) == "ok");
  }

  void check_drains() {
    worker_.send(LIVESWAP_DRAIN, 10'000);
    CHECK(worker_.wait().number == 0);
  }

  const std::string& port() const { return port_; }

  static std::string free_port() {
    const auto fd = listen_tcp();
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return std::to_string(ntohs(address.sin_port));
  }

 private:
  std::vector<std::string> words(const std::string& what, const std::vector<std::string>& more,
                                 const std::vector<std::string>& arguments, const Limits& limits,
                                 const std::string& library) const {
    std::vector<std::string> all = {WORKER_HOST,
                                    "--slot",
                                    "0",
                                    "--generation",
                                    "1",
                                    "--drain-limit",
                                    limits.drain_ms,
                                    "--term-grace",
                                    limits.grace_ms,
                                    "--listeners",
                                    "",
                                    "--entry",
                                    "main"};
    all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), {built(WORKER_TESTS "/" + library), what, port_});
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  Frame receive() {
    static char packet[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{packet, sizeof packet};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    REQUIRE_MESSAGE(readable(worker_.channel(), 20'000), "the worker says nothing");
    const ssize_t size = recvmsg(worker_.channel(), &message, MSG_CMSG_CLOEXEC);
    REQUIRE_MESSAGE(size >= static_cast<ssize_t>(sizeof(liveswap_frame)), "the channel has ended");
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      received_ = liveswap::UniqueFd::adopt(fd);
    }
    liveswap_frame frame{};
    std::memcpy(&frame, packet, sizeof frame);
    return {frame.kind, frame.value, frame.count,
            std::string(packet + sizeof frame, static_cast<std::size_t>(size) - sizeof frame)};
  }

  // Binds, listens at once and keeps it, as a master does.
  void bind(const Frame& frame) {
    liveswap_bind wish{};
    REQUIRE(frame.text.size() == sizeof wish);
    std::memcpy(&wish, frame.text.data(), sizeof wish);
    REQUIRE(received_);
    listener_ = std::move(received_);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(wish.address), wish.address_size) == 0);
    if (when_bound) when_bound();
    if (wish.type != SOCK_DGRAM) REQUIRE(::listen(listener_.get(), 100) == 0);
    if (when_listening) when_listening();
    worker_.send(LIVESWAP_ANSWER, frame.value);
  }

  std::string port_;
  Worker worker_;
  liveswap::UniqueFd received_;
  liveswap::UniqueFd listener_;
  int listens_ = 0;
};

}  // namespace liveswap::test
