#include "flip_load.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/address.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::test {
namespace {

constexpr timeval patience{5, 0};

// Closing with a RST leaves no TIME_WAIT, so the test does not run out of ports.
void end_at_once(int fd) {
  const linger reset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void answer(int fd, std::uint32_t number) {
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char question = 0;
  if (::recv(fd, &question, 1, 0) != 1) return;
  ::send(fd, &number, sizeof number, MSG_NOSIGNAL);
  (void)::recv(fd, &question, 1, 0);
}

}  // namespace

Generation::Generation(const master::Listeners& listeners, unsigned slots, std::uint32_t number, bool staged)
    : hold_(listeners.hold(staged)) {
  for (unsigned slot = 0; slot < slots; ++slot) {
    std::vector<int> sockets;
    for (const int fd : listeners.of_slot(slot, staged)) {
      own_.push_back(UniqueFd::adopt(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
      sockets.push_back(own_.back().get());
    }
    threads_.emplace_back([this, sockets, number] { serve(sockets, number); });
  }
}

Generation::~Generation() { stop(); }

void Generation::stop() {
  stopped_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Generation::serve(std::vector<int> sockets, std::uint32_t number) {
  std::vector<pollfd> polled;
  for (const int fd : sockets) polled.push_back({fd, POLLIN, 0});
  while (!stopped_) {
    ::poll(polled.data(), polled.size(), 2);
    for (const auto& one : polled) {
      if (!one.revents || stopped_) continue;
      const auto client = UniqueFd::adopt(::accept4(one.fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (client) answer(client.get(), number);
    }
  }
}

UniqueFd dial(const std::string& address) {
  const auto parsed = config::parse_address(address);
  master::SocketAddress where;
  if (parsed->kind == config::Address::Kind::tcp) {
    where = *master::resolve(*parsed);
  } else {
    auto& path = reinterpret_cast<sockaddr_un&>(where.storage);
    path.sun_family = AF_UNIX;
    parsed->path.copy(path.sun_path, sizeof path.sun_path - 1);
    where.length = sizeof path;
  }
  auto fd = UniqueFd::adopt(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), where.get(), where.length) != 0) {
    const int why = errno;
    fd.reset();
    errno = why;
  }
  return fd;
}

Caller::Caller(std::string address, const std::atomic<std::uint32_t>& live)
    : address_(std::move(address)), live_(live), thread_([this] { run(); }) {}

std::string Caller::finish() {
  stopped_ = true;
  thread_.join();
  return failure_;
}

void Caller::run() {
  while (!stopped_ && failure_.empty()) {
    failure_ = ask();
    if (failure_.empty()) ++answered_;
  }
}

std::string Caller::ask() {
  const std::uint32_t oldest = live_;
  const auto failed = [this](const std::string& what) {
    return what + " " + address_ + " after " + std::to_string(answered_) + ": " + ::strerrordesc_np(errno);
  };
  const auto fd = dial(address_);
  if (!fd) return failed("connect to");
  if (::send(fd.get(), "?", 1, MSG_NOSIGNAL) != 1) return failed("send to");
  std::uint32_t found = 0;
  const ssize_t size = ::recv(fd.get(), &found, sizeof found, MSG_WAITALL);
  if (size == 0) return "end of file from " + address_;
  if (size != sizeof found) return failed("receive from");
  end_at_once(fd.get());
  if (found >= oldest) return "";
  return address_ + ": generation " + std::to_string(found) + " answered what began after the flip to " +
         std::to_string(oldest);
}

}  // namespace liveswap::test
