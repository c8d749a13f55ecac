// The socket behind a descriptor is replaced, in epolls too (takeover/replace_fd.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <vector>

extern "C" {
#include "worker/takeover/replace_fd.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr std::uint64_t kData = 0x1122334455667788;

// An application's listener, the same open socket in other hands, and what shall take its place.
struct Listeners : UnitWorker {
  UniqueFd fd = listen_inet(), others = duplicate(fd), by = listen_inet();
  std::uint64_t cookie = cookie_of(fd.get());
  bool replace() const { return replace_fd(fd.get(), cookie, by.get()); }
  bool is_replaced() const { return cookie_of(fd.get()) == cookie_of(by.get()); }
};

// A connection that waits at the listener.
UniqueFd knock(const UniqueFd& listener) {
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_port = htons(port_of(listener));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return client;
}

}  // namespace

TEST_CASE("replace_fd: it is the other socket, which is borrowed; whether it is closed on exec stays") {
  for (const int close_on_exec : {0, FD_CLOEXEC}) {
    CHECK(in_child([close_on_exec] {
      const Listeners all;
      REQUIRE(::fcntl(all.fd.get(), F_SETFD, close_on_exec) == 0);
      REQUIRE(all.replace());
      REQUIRE(all.is_replaced());
      REQUIRE(::fcntl(all.fd.get(), F_GETFD) == close_on_exec);
      REQUIRE(is_open(all.by.get()));
      REQUIRE(cookie_of(all.others.get()) == all.cookie);
    }));
  }
}

TEST_CASE("replace_fd: what is not that socket any more stays as it is") {
  CHECK(in_child([] {
    Listeners all;
    const UniqueFd epoll = make_epoll();
    watch(epoll, all.fd.get(), kData);
    errno = 0;
    REQUIRE(!replace_fd(all.fd.get(), all.cookie + 1, all.by.get()));
    REQUIRE(errno == EBADF);
    REQUIRE(cookie_of(all.fd.get()) == all.cookie);
    const UniqueFd client = knock(all.fd);
    REQUIRE(reported(epoll) == std::vector{kData});
    errno = 0;
    REQUIRE(!replace_fd(9999, all.cookie, all.by.get()));
    REQUIRE(errno == EBADF);
    REQUIRE(!replace_fd(0, all.cookie, all.by.get()));
  }));
}

TEST_CASE("replace_fd: every epoll reports the new socket with the same data, and never the old one") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd first = make_epoll(), second = make_epoll(), unconcerned = make_epoll();
    watch(first, all.fd.get(), kData, EPOLLIN | EPOLLET);
    watch(second, all.fd.get(), ~kData);
    watch(unconcerned, all.by.get(), 7);
    REQUIRE(all.replace());
    const UniqueFd old = knock(all.others);
    REQUIRE(reported(first).empty());
    REQUIRE(reported(second).empty());
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(first) == std::vector{kData});
    REQUIRE(reported(first).empty());  // edge triggered, as it was
    for (int i = 0; i < 2; ++i) REQUIRE(reported(second) == std::vector{~kData});
    REQUIRE(reported(unconcerned) == std::vector<std::uint64_t>{7});
    // The application can still change and end what it has registered.
    epoll_event event{EPOLLIN, {.u64 = 9}};
    REQUIRE(::epoll_ctl(first.get(), EPOLL_CTL_MOD, all.fd.get(), &event) == 0);
    REQUIRE(reported(first) == std::vector<std::uint64_t>{9});
    REQUIRE(::epoll_ctl(first.get(), EPOLL_CTL_DEL, all.fd.get(), nullptr) == 0);
    REQUIRE(reported(first).empty());
  }));
}

TEST_CASE("replace_fd: a registration that has fired once stays disarmed until the application arms it") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd epoll = make_epoll(), client = knock(all.fd);
    watch(epoll, all.fd.get(), kData, EPOLLIN | EPOLLONESHOT);
    REQUIRE(reported(epoll) == std::vector{kData});
    REQUIRE(all.replace());
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(epoll).empty());
    epoll_event event{EPOLLIN | EPOLLONESHOT, {.u64 = kData}};
    REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_MOD, all.fd.get(), &event) == 0);
    REQUIRE(reported(epoll) == std::vector{kData});
  }));
}

TEST_CASE("replace_fd: what was registered by a raw system call is found too") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd epoll = make_epoll();
    epoll_event event{EPOLLIN, {.u64 = kData}};
    REQUIRE(!replace_fd_is_registered(all.fd.get()));
    REQUIRE(::syscall(SYS_epoll_ctl, epoll.get(), EPOLL_CTL_ADD, all.fd.get(), &event) == 0);
    REQUIRE(replace_fd_is_registered(all.fd.get()));
    REQUIRE(!replace_fd_is_registered(all.others.get()));
    REQUIRE(all.replace());
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(epoll) == std::vector{kData});
  }));
}

TEST_CASE("replace_fd: without a descriptor to look into the epolls nothing is changed") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd epoll = make_epoll();
    watch(epoll, all.fd.get(), kData);
    {
      const NoMoreDescriptors full;
      errno = 0;
      REQUIRE(!all.replace());
      REQUIRE(errno == EMFILE);
      REQUIRE(!all.is_replaced());
      REQUIRE(!replace_fd_learn());
      replace_fd_forget_learnt();
    }
    REQUIRE(all.replace());
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(epoll) == std::vector{kData});
  }));
}

TEST_CASE("replace_fd: more registrations than can be moved are not moved in part") {
  CHECK(in_child([] {
    const Listeners all;
    std::vector<UniqueFd> epolls;
    for (int i = 0; i <= REGISTRATIONS_MAX; ++i) {
      epolls.push_back(make_epoll());
      watch(epolls.back(), all.fd.get(), kData);
    }
    REQUIRE(!all.replace());
    REQUIRE(!all.is_replaced());
    epolls.pop_back();
    REQUIRE(all.replace());
    const UniqueFd fresh = knock(all.by);
    for (const UniqueFd& epoll : epolls) REQUIRE(reported(epoll) == std::vector{kData});
  }));
}

TEST_CASE("replace_fd: one epoll with many descriptors, of which one is replaced") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd epoll = make_epoll();
    std::vector<UniqueFd> rest;
    for (std::uint64_t i = 0; i < 300; ++i) {
      rest.push_back(duplicate(all.by));
      watch(epoll, rest.back().get(), i, EPOLLOUT);
    }
    watch(epoll, all.fd.get(), kData);
    REQUIRE(all.replace());
    for (const UniqueFd& each : rest)
      REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, each.get(), nullptr) == 0);
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(epoll) == std::vector{kData});
  }));
}

TEST_CASE("replace_fd: many at once, those that are flagged") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd epoll = make_epoll(), second = listen_inet(), unflagged = listen_inet();
    const std::uint64_t cookie = cookie_of(second.get());
    watch(epoll, all.fd.get(), 1);
    watch(epoll, second.get(), 2);
    watch(epoll, unflagged.get(), 3);
    for (const int fd : {all.fd.get(), second.get()}) fd_flags_add(fd, FLAG_HANDOFF);
    REQUIRE(replace_fd_learn());
    REQUIRE(replace_fd_learnt(all.fd.get(), all.cookie, all.by.get()));
    REQUIRE(replace_fd_learnt(second.get(), cookie, all.by.get()));
    REQUIRE(!replace_fd_learnt(second.get(), cookie, all.by.get()));
    replace_fd_forget_learnt();
    const UniqueFd fresh = knock(all.by);
    REQUIRE(reported(epoll).size() == 2);
    const UniqueFd other = knock(unflagged);
    REQUIRE(reported(epoll).size() == 3);
    // The lock is free again.
    REQUIRE(replace_fd(unflagged.get(), cookie_of(unflagged.get()), all.by.get()));
  }));
}

TEST_CASE("replace_fd: another descriptor beside one, wherever that is registered") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd first = make_epoll(), second = make_epoll();
    REQUIRE(!replace_fd_add_beside(all.fd.get(), all.by.get()));
    watch(first, all.fd.get(), kData);
    REQUIRE(replace_fd_add_beside(all.fd.get(), all.by.get()));
    const UniqueFd client = knock(all.by);
    REQUIRE(reported(first) == std::vector{kData});
    REQUIRE(reported(second).empty());
  }));
}

TEST_CASE("replace_fd: forgotten by every epoll, though another process has the socket") {
  CHECK(in_child([] {
    const Listeners all;
    const UniqueFd first = make_epoll(), second = make_epoll();
    watch(first, all.fd.get(), kData);
    watch(second, all.fd.get(), kData);
    watch(second, all.others.get(), 5);
    replace_fd_forget(all.fd.get());
    const UniqueFd client = knock(all.fd);
    REQUIRE(reported(first).empty());
    REQUIRE(reported(second) == std::vector<std::uint64_t>{5});
    REQUIRE(!replace_fd_is_registered(all.fd.get()));
    REQUIRE(is_open(all.fd.get()));
  }));
}
