#include "load/tiny_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <list>
#include <stdexcept>
#include <vector>

namespace liveswap::load::test {
namespace {

// Answers the requests that have arrived whole. False: the client has left, or the behaviour wants the
// connection closed.
bool serve_peer(Peer& peer, const Behaviour& behaviour) {
  char buffer[4096];
  const ssize_t n = ::recv(peer.fd.get(), buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  peer.unread.append(buffer, static_cast<std::size_t>(n));
  while (true) {
    const std::string mark = peer.unread.starts_with("GET ") ? "\r\n\r\n" : "\n";
    const std::size_t found = peer.unread.find(mark);
    if (found == std::string::npos) return true;
    const std::string request = peer.unread.substr(0, found + mark.size());
    peer.unread.erase(0, request.size());
    ++peer.requests;
    if (!behaviour(peer, request)) return false;
  }
}

void serve(int listener, int stop, const Behaviour& behaviour) {
  std::list<Peer> peers;
  while (true) {
    std::vector<pollfd> polled = {{stop, POLLIN, 0}, {listener, POLLIN, 0}};
    for (const Peer& peer : peers) polled.push_back({peer.fd.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    std::size_t index = 2;
    for (auto peer = peers.begin(); peer != peers.end(); ++index) {
      const bool stays = polled[index].revents == 0 || serve_peer(*peer, behaviour);
      peer = stays ? std::next(peer) : peers.erase(peer);
    }
    if (polled[1].revents == 0) continue;
    if (auto fd = UniqueFd::adopt(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)))
      peers.push_back({std::move(fd), {}, 0});
  }
}

}  // namespace

std::string http_answer(const std::string& version, const std::string& body, const std::string& headers) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Version: {}\r\n{}\r\n{}", body.size(),
                     version, headers, body);
}

void send_text(int fd, const std::string& text) {
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()) &&
      errno != EPIPE && errno != ECONNRESET)
    throw std::runtime_error("short send");
}

Behaviour answer_with(const std::string& version, const std::string& body, const std::string& headers) {
  return [text = http_answer(version, body, headers)](Peer& peer, const std::string&) {
    send_text(peer.fd.get(), text);
    return true;
  };
}

void reset_on_close(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Listener::Listener() : fd_(UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(fd_.get(), 512) != 0 ||
      ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("cannot listen");
  port_ = ntohs(address.sin_port);
}

std::string Listener::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

std::string Listener::echo_url() const { return fmt::format("tcp://127.0.0.1:{}", port_); }

ThreadServer::ThreadServer(Behaviour behaviour) : stop_(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC))) {
  thread_ = std::thread(
      [this, behaviour = std::move(behaviour)] { serve(listener_.fd(), stop_.get(), behaviour); });
}

ThreadServer::~ThreadServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

ProcessServer::ProcessServer(const Behaviour& behaviour) {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A negative descriptor: poll() ignores it, so only a signal stops this server.
    if (::getppid() == parent) serve(listener_.fd(), -1, behaviour);
    ::_exit(1);
  }
  listener_.close();
}

void ProcessServer::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace liveswap::load::test
