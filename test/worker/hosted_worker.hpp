// A worker whose application calls functions with names of libc's: without a control thread, whose part the
// FakeMaster plays. This program's own calls are the interposed ones; `libc.` names the others.
#pragma once

#include "unit_worker.hpp"

#include <atomic>
#include <cerrno>
#include <functional>
#include <mutex>

extern "C" {
#include "worker/api/readiness.h"
#include "worker/base/libc.h"
#include "worker/control/frames.h"
#include "worker/control/parking.h"
#include "worker/link/open_requests.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/forked_child.h"
}

namespace liveswap::test {

struct HostedWorker : UnitWorker {
  HostedWorker() {
    set_clock_back();  // the kernel's waits are by its own clock
    REQUIRE(open_requests_setup());
    REQUIRE(forked_child_setup());
    accept_waiters_setup();
    frames_setup(&options);
  }
  // The kinds of frames that have come, without those about readiness.
  std::vector<std::uint32_t> kinds_but(std::uint32_t without) const {
    std::vector<std::uint32_t> found;
    for (const std::uint32_t kind : kinds())
      if (kind != without) found.push_back(kind);
    return found;
  }
  ::options options{};
};

// The worker's channel leads to another master from here on, one that outlives this process.
inline void go_on_with(MasterEnd& master) {
  fd_flags_set(LIVESWAP_FD_CHANNEL, 0);  // else dup2() would refuse
  REQUIRE(master.adopt());
}

inline sockaddr_in loopback(std::uint16_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A path; with @ before it, a name of the abstract namespace, without a NUL behind it.
inline std::pair<sockaddr_un, socklen_t> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const bool is_abstract = !path.empty() && path[0] == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + !is_abstract)};
}

template <typename Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

inline UniqueFd make_socket(int domain = AF_INET, int type = SOCK_STREAM) {
  return UniqueFd::adopt(::socket(domain, type | SOCK_CLOEXEC, 0));
}

// Listeners as the master makes them, by calls that the worker host does not see.
inline UniqueFd masters_listener(int type = SOCK_STREAM) {
  UniqueFd fd = make_socket(AF_INET, type);
  const sockaddr_in address = loopback();
  REQUIRE(libc.bind(fd.get(), generic(address), sizeof address) == 0);
  if (type != SOCK_DGRAM) REQUIRE(libc.listen(fd.get(), 16) == 0);
  return fd;
}

inline UniqueFd masters_listener_at(const std::string& path) {
  UniqueFd fd = make_socket(AF_UNIX);
  const auto [address, size] = unix_address(path);
  REQUIRE(libc.bind(fd.get(), generic(address), size) == 0);
  REQUIRE(libc.listen(fd.get(), 16) == 0);
  return fd;
}

// A client of what `listener` is bound to.
inline UniqueFd connect_to(const UniqueFd& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  UniqueFd client = make_socket(address.ss_family);
  REQUIRE(libc.connect(client.get(), generic(address), size) == 0);
  return client;
}

// A listener of the application's that the master holds too. The master's descriptor is on its way through a
// socket pair, so that a scan of this process does not find it.
class Held {
 public:
  explicit Held(unsigned flags = 0, UniqueFd listener = masters_listener())
      : fd(std::move(listener)), entry(hold(fd)), cookie(cookie_of(fd.get())) {
    fd_flags_add(fd.get(), flags);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    in_ = UniqueFd::adopt(ends[0]), out_ = UniqueFd::adopt(ends[1]);
    int sent = fd.get();
    pass([](int end, msghdr* packet) { return libc.sendmsg(end, packet, 0); }, in_.get(), &sent);
  }
  // Of the open socket, which all generations share.
  bool is_nonblocking() const { return (libc.fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0; }
  // The master's descriptor; once.
  UniqueFd masters() const {
    int received = -1;
    pass([](int end, msghdr* packet) { return libc.recvmsg(end, packet, MSG_CMSG_CLOEXEC); }, out_.get(),
         &received);
    return UniqueFd::adopt(received);
  }
  UniqueFd fd;
  const listener* entry;
  std::uint64_t cookie;

 private:
  static void pass(ssize_t (*call)(int end, msghdr* packet), int end, int* passed) {
    char byte = 'x';
    iovec part{&byte, 1};
    union {
      cmsghdr header;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control{{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    std::memcpy(CMSG_DATA(&control.header), passed, sizeof *passed);
    msghdr packet{};
    packet.msg_iov = &part, packet.msg_iovlen = 1;
    packet.msg_control = &control, packet.msg_controllen = sizeof control;
    REQUIRE(call(end, &packet) == 1);
    std::memcpy(passed, CMSG_DATA(&control.header), sizeof *passed);
  }
  UniqueFd in_, out_;
};

inline void end_blocking(const UniqueFd& fd) { REQUIRE(libc.fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0); }

inline bool is_placeholder(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address.ss_family == AF_UNIX;
}

struct Reply {
  std::uint64_t error = 0;
  int fd = -1;  // borrowed
};

// Answers requests as master and control thread do, in a thread of its own, until heard() is called.
class FakeMaster {
 public:
  using Answer = std::function<Reply(const Received&)>;
  explicit FakeMaster(
      const MasterEnd& end, Answer answer = [](const Received&) { return Reply{}; })
      : end_(end), answer_(std::move(answer)) {}
  ~FakeMaster() { heard(); }

  // All frames that have come.
  const std::vector<Received>& heard() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    return heard_;
  }
  std::vector<std::uint32_t> kinds() {
    std::vector<std::uint32_t> all;
    for (const Received& each : heard()) all.push_back(each.kind);
    return all;
  }
  // The first frame of that kind.
  const Received& first(std::uint32_t kind) {
    for (const Received& each : heard())
      if (each.kind == kind) return each;
    throw std::runtime_error("no such frame");
  }
  bool has(std::uint32_t kind) {
    for (const Received& each : heard())
      if (each.kind == kind) return true;
    return false;
  }

 private:
  void run() {
    for (;;) {
      const bool is_last = is_over_;
      auto frame = end_.receive();
      if (frame.has_value()) serve(std::move(*frame));
      else if (is_last) return;
      else std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void serve(Received frame) {
    const bool is_request = frame.kind == LIVESWAP_BIND || frame.kind == LIVESWAP_LISTEN ||
                            frame.kind == LIVESWAP_UNLINK || frame.kind == LIVESWAP_RENAME;
    if (is_request) {
      const Reply reply = answer_(frame);
      end_.send({.kind = LIVESWAP_ANSWER, .value = frame.value, .count = reply.error}, "",
                reply.fd >= 0 ? std::vector<int>{reply.fd} : std::vector<int>{});
      frames_serve();
    }
    heard_.push_back(std::move(frame));
  }
  const MasterEnd& end_;
  const Answer answer_;
  std::vector<Received> heard_;
  std::atomic<bool> is_over_ = false;
  std::thread thread_{[this] { run(); }};
};

// A call of the application in a thread of its own.
class Caller {
 public:
  explicit Caller(std::function<long()> call) : call_(std::move(call)) {
    REQUIRE(eventually([this] { return id_ != 0; }));
  }
  ~Caller() {
    if (thread_.joinable()) thread_.join();
  }
  // Blocks until the thread is in that system call.
  void await(long number) const {
    unsigned long argument = 0;
    REQUIRE(eventually([&] {
      const long call = proc_self_call(id_, &argument);
      return call == number || call == SELF_CALL_UNKNOWN;
    }));
  }
  void await_poll() const {
    unsigned long argument = 0;
    REQUIRE(eventually([&] {
      const long call = proc_self_call(id_, &argument);
      return call == SYS_poll || call == SYS_ppoll || call == SYS_select || call == SYS_pselect6 ||
             call == SYS_epoll_wait || call == SYS_epoll_pwait || call == SYS_epoll_pwait2 ||
             call == SELF_CALL_UNKNOWN;
    }));
  }
  bool is_over() const { return is_over_; }
  // A signal to this thread only.
  void send(int signal) { REQUIRE(::pthread_kill(thread_.native_handle(), signal) == 0); }
  pid_t id() const { return id_; }
  // Blocks until the call has returned.
  long result() {
    if (thread_.joinable()) thread_.join();
    return result_;
  }
  int error() {
    result();
    return error_;
  }

 private:
  void run() {
    id_ = ::gettid();
    errno = 0;
    result_ = call_();
    error_ = errno;
    is_over_ = true;
  }
  const std::function<long()> call_;
  std::atomic<pid_t> id_ = 0;
  std::atomic<bool> is_over_ = false;
  long result_ = 0;
  int error_ = 0;
  std::thread thread_{[this] { run(); }};
};

}  // namespace liveswap::test
