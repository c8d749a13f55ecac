#include "clients.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

namespace deal {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::chrono::milliseconds patience{5'000};

int connected(std::uint16_t port, int flags) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | flags, 0);
  ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return fd;
}

class OpenLoop {
 public:
  explicit OpenLoop(std::uint16_t port) : port_(port) {}

  Latencies run(unsigned rate, std::chrono::milliseconds duration) {
    const auto begin = Clock::now();
    const auto between = std::chrono::duration_cast<Clock::duration>(std::chrono::seconds(1)) / rate;
    auto due = begin;
    while (due < begin + duration || (!asked_.empty() && Clock::now() < begin + duration + patience)) {
      for (; due < begin + duration && due <= Clock::now(); due += between) ask(due);
      serve();
    }
    found_.failed += static_cast<unsigned>(asked_.size());
    for (const auto& [fd, when] : asked_) ::close(fd);
    std::sort(found_.ms.begin(), found_.ms.end());
    return found_;
  }

 private:
  void ask(Clock::time_point due) {
    const int fd = connected(port_, SOCK_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.fd = fd;
    ::epoll_ctl(events_, EPOLL_CTL_ADD, fd, &event);
    asked_[fd] = due;
  }

  void serve() {
    epoll_event events[64];
    const int count = ::epoll_wait(events_, events, 64, 1);
    for (int i = 0; i < count; ++i) on_event(events[i]);
  }

  void on_event(epoll_event event) {
    char byte = 'q';
    const int fd = event.data.fd;
    if ((event.events & EPOLLOUT) != 0) {
      event.events = EPOLLIN;
      ::epoll_ctl(events_, EPOLL_CTL_MOD, fd, &event);
      if (::send(fd, &byte, 1, MSG_NOSIGNAL) == 1) return;
    }
    if ((event.events & EPOLLIN) != 0 && ::read(fd, &byte, 1) == 1)
      found_.ms.push_back(Milliseconds(Clock::now() - asked_[fd]).count());
    else ++found_.failed;
    ::close(fd);
    asked_.erase(fd);
  }

  std::uint16_t port_;
  int events_ = ::epoll_create1(0);
  std::unordered_map<int, Clock::time_point> asked_;  // by descriptor: when the request was due
  Latencies found_;
};

}  // namespace

std::vector<unsigned> kept_by_worker(std::uint16_t port, unsigned connections, unsigned workers) {
  std::vector<unsigned> counts(workers);
  std::vector<int> open;
  for (unsigned i = 0; i < connections; ++i) {
    char byte = 'q';
    open.push_back(connected(port, 0));
    if (::send(open.back(), &byte, 1, MSG_NOSIGNAL) != 1 || ::read(open.back(), &byte, 1) != 1)
      throw std::runtime_error("a connection got no answer");
    ++counts.at(static_cast<unsigned char>(byte));
  }
  for (const int fd : open) ::close(fd);
  return counts;
}

Latencies ask_on_new_connections(std::uint16_t port, unsigned rate, std::chrono::milliseconds duration) {
  return OpenLoop(port).run(rate, duration);
}

}  // namespace deal
