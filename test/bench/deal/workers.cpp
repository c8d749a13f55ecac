#include "workers.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace deal {
namespace {

using Clock = std::chrono::steady_clock;

class Server {
 public:
  Server(const Group& group, unsigned number, Sick sick)
      : group_(group), number_(number), sick_(sick), listener_(group.socket_of(number)) {
    watch(listener_);
  }

  [[noreturn]] void run() {
    for (const auto begin = Clock::now();;) {
      epoll_event events[64];
      const int count = ::epoll_wait(events_, events, 64, -1);
      for (int i = 0; i < count; ++i) {
        if (sick_ == Sick::stuck && Clock::now() - begin >= stuck_after) {
          sick_ = Sick::not_at_all;
          std::this_thread::sleep_for(stuck_for);
        }
        events[i].data.fd == listener_ ? accept_one() : serve(events[i].data.fd);
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(events_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept_one() {
    if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK); fd >= 0) watch(fd);
  }

  void serve(int fd) {
    char byte;
    const auto size = ::read(fd, &byte, 1);
    if (size == 1) {
      std::this_thread::sleep_for(sick_ == Sick::slow ? slow_service : usual_service);
      byte = static_cast<char>(number_);
      if (::send(fd, &byte, 1, MSG_NOSIGNAL) == 1) return;
    } else if (size < 0 && errno == EAGAIN) {
      return;
    }
    ::close(fd);
    ++group_.counts().closed[number_];
  }

  const Group& group_;
  unsigned number_;
  Sick sick_;
  int listener_, events_ = ::epoll_create1(0);
};

}  // namespace

Workers::Workers(const Group& group, unsigned count, Sick sick) {
  for (unsigned number = 0; number < count; ++number) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::prctl(PR_SET_TIMERSLACK, 1);
      Server(group, number, number == 0 ? sick : Sick::not_at_all).run();
    }
    pids_.push_back(pid);
  }
}

Workers::~Workers() {
  for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
}

}  // namespace deal
