#include "closed_loop.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace bench {
namespace {

constexpr int events_at_once = 64;
constexpr int silence_ms = 5000;
constexpr int retry_ms = 1;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(errno != 0 ? what + ": " + std::strerror(errno) : what);
}

int connect_to(int port, int flags) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
  }
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// The length of the answer at the beginning of `text`; 0 while the head is incomplete.
size_t length_of(std::string_view text) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::string head(text.substr(0, end));
  const char* const found = strcasestr(head.c_str(), "content-length:");
  return end + 4 + (found != nullptr ? std::strtoul(found + std::strlen("content-length:"), nullptr, 10) : 0);
}

}  // namespace

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

ClosedLoop::ClosedLoop(int port, bool keeps, size_t connections, On on)
    : port_(port), keeps_(keeps), on_(on), clients_(connections), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) fail("epoll_create1");
  request_ =
      std::string("GET / HTTP/1.1\r\nHost: localhost\r\n") + (keeps ? "" : "Connection: close\r\n") + "\r\n";
}

void ClosedLoop::open_all() {
  for (size_t i = 0; keeps_ && i < clients_.size(); ++i) open(i);
}

void ClosedLoop::serve_for(double seconds) {
  end_ = now() + seconds;
  for (size_t i = 0; i < clients_.size(); ++i) ask(i);
  while (busy_ > 0) take_events(silence_ms);
}

void ClosedLoop::go_on_until(double end) {
  end_ = end;
  while (now() < end) {
    for (size_t i = 0; i < clients_.size(); ++i)
      if (!clients_[i].asked) ask(i);
    take_events(retry_ms);
  }
}

// Descriptors of a blocked connect would hold up all others, so a tolerant client does not wait for it.
void ClosedLoop::open(size_t place) {
  Client& client = clients_[place];
  if (client.fd >= 0) return;
  const bool waits = on_ == On::failure_throw;
  client.fd = connect_to(port_, waits ? 0 : SOCK_NONBLOCK);
  if (client.fd < 0) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = place;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
}

void ClosedLoop::ask(size_t place) {
  Client& client = clients_[place];
  client.asked = true;
  client.since = now();
  client.answer.clear();
  ++busy_;
  open(place);
  if (client.fd < 0) failed(place, "connect");
  else send_request(place);
}

void ClosedLoop::send_request(size_t place) {
  Client& client = clients_[place];
  const bool was_connecting = client.connecting;
  const ssize_t sent = send(client.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
  client.connecting = sent < 0 && (errno == EAGAIN || errno == ENOTCONN);
  if (sent != static_cast<ssize_t>(request_.size()) && !client.connecting) return failed(place, "send");
  if (client.connecting == was_connecting) return;
  epoll_event event{};
  event.events = client.connecting ? EPOLLOUT : EPOLLIN;
  event.data.u64 = place;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
}

void ClosedLoop::take_events(int timeout_ms) {
  epoll_event events[events_at_once];
  const int count = epoll_wait(epoll_, events, events_at_once, timeout_ms);
  if (count <= 0 && on_ == On::failure_throw) fail("no answer");
  for (int i = 0; i < count; ++i) {
    const size_t place = events[i].data.u64;
    if (clients_[place].connecting) send_request(place);
    else take(place);
  }
}

// A kept connection's answer ends after Content-Length bytes, a new connection's at the end of file.
void ClosedLoop::take(size_t place) {
  Client& client = clients_[place];
  char buffer[16 * 1024];
  errno = 0;
  const ssize_t size = recv(client.fd, buffer, sizeof buffer, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (!client.asked) return close_it(client);  // the server ends an idle connection
  if (size < 0) return failed(place, "recv");
  client.answer.append(buffer, static_cast<size_t>(size));
  const size_t length = length_of(client.answer);
  const bool whole = length > 0 && client.answer.size() >= length;
  if (size == 0 && !whole) return failed(place, "an answer ends early");
  if (!whole || (size > 0 && !keeps_)) return;
  if (client.answer.compare(0, 7, "HTTP/1.") != 0 || client.answer.compare(8, 5, " 200 ") != 0)
    return failed(place, "not answered with 200");
  complete(place);
}

void ClosedLoop::complete(size_t place) {
  Client& client = clients_[place];
  // Some servers close a connection after a number of requests.
  if (!keeps_ || strcasestr(client.answer.c_str(), "connection: close") != nullptr) close_it(client);
  client.asked = false;
  --busy_;
  ++counts.answers;
  const double time = now();
  counts.latencies_us.push_back(static_cast<float>((time - client.since) * 1e6));
  if (time < end_) ask(place);
}

void ClosedLoop::failed(size_t place, const char* what) {
  if (on_ == On::failure_throw) fail(what);
  Client& client = clients_[place];
  close_it(client);
  client.asked = client.connecting = false;
  --busy_;
  ++counts.failures;
}

void ClosedLoop::close_it(Client& client) {
  if (client.fd >= 0) close(client.fd);
  client.fd = -1;
}

}  // namespace bench
