// What of a worker the mechanisms on descriptors need: channel, /proc, drain, wake, and a clock that stands.
// In a process of its own (in_child.hpp), for most of it is there once.
#pragma once

#include "fake_clock.hpp"
#include "host_headers.hpp"
#include "in_child.hpp"
#include "master_end.hpp"
#include "sockets.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>

#include <thread>
#include <vector>

extern "C" {
#include "worker/api/drain.h"
#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
#include "worker/base/wake.h"
}

namespace liveswap::test {

struct UnitWorker : MasterEnd {
  UnitWorker() {
    stop_clock();
    REQUIRE(adopt());
    REQUIRE(wake_setup());
    REQUIRE(proc_self_setup());
    REQUIRE(drain_setup());
    takeover_begin();
  }
};

// A listener that the master holds, as interpose/bind.c leaves it.
inline const listener* hold(const UniqueFd& fd) {
  REQUIRE(listeners_add(fd.get()));
  fd_flags_set(fd.get(), FLAG_HELD);
  return listeners_find(fd.get());
}

inline UniqueFd duplicate(const UniqueFd& fd) {
  return UniqueFd::adopt(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

inline bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

inline UniqueFd make_epoll() { return UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC)); }

inline void watch(const UniqueFd& epoll, int fd, std::uint64_t data, std::uint32_t events = EPOLLIN) {
  epoll_event event{events, {.u64 = data}};
  REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

// The data of what the epoll reports now.
inline std::vector<std::uint64_t> reported(const UniqueFd& epoll) {
  epoll_event events[16];
  const int count = ::epoll_wait(epoll.get(), events, 16, 0);
  std::vector<std::uint64_t> data;
  for (int i = 0; i < count; ++i) data.push_back(events[i].data.u64);
  return data;
}

// From here on the process can open nothing, until `more` is set back.
struct NoMoreDescriptors {
  NoMoreDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const UniqueFd next = UniqueFd::adopt(::dup(0));
    const rlimit none{static_cast<rlim_t>(next.get()), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

// For what another thread or the kernel does in its own time. False after 5 s.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace liveswap::test
