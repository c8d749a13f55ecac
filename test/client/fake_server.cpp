#include "fake_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

using liveswap::UniqueFd;

namespace {

void require(bool done) {
  if (!done) std::abort();
}

}  // namespace

FakeServer::FakeServer(UniqueFd listener, std::uint16_t port, Play play)
    : listener_(std::move(listener)), port_(port), thread_([this, play = std::move(play)] { serve(play); }) {}

FakeServer FakeServer::on_unix(const std::string& path, Play play) {
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  require(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  require(::listen(fd.get(), 8) == 0);
  return {std::move(fd), 0, std::move(play)};
}

FakeServer FakeServer::on_tcp(Play play) {
  auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  require(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  require(::listen(fd.get(), 8) == 0);
  require(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return {std::move(fd), ntohs(address.sin_port), std::move(play)};
}

void FakeServer::serve(const Play& play) {
  // Clients that look for a master connect first, and close without a command.
  while (const auto socket = UniqueFd::adopt(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))) {
    char byte = 0;
    while (::recv(socket.get(), &byte, 1, 0) == 1 && byte != '\n') received_ += byte;
    play(socket.get());
  }
}

void FakeServer::wait() {
  // Ends the thread's accept() also if no client has connected.
  ::shutdown(listener_.get(), SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
}

const std::string& FakeServer::received() {
  wait();
  return received_;
}

void say(int socket, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n = ::send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

void wait_for_end(int socket) {
  char byte = 0;
  while (::recv(socket, &byte, 1, 0) > 0) {
  }
}
