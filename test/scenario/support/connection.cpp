#include "support/connection.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace scenario {
namespace {

using liveswap::UniqueFd;

UniqueFd connect_to(const sockaddr* address, socklen_t length) {
  auto fd = UniqueFd::adopt(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(fd);
  if (::connect(fd.get(), address, length) != 0) return {};
  return fd;
}

UniqueFd connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  socklen_t length = sizeof address;
  if (path.starts_with('@')) {  // an abstract name
    address.sun_path[0] = '\0';
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  }
  return connect_to(reinterpret_cast<const sockaddr*>(&address), length);
}

UniqueFd connect_v6(const std::string& host, std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  REQUIRE(::inet_pton(AF_INET6, host.c_str(), &address.sin6_addr) == 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

UniqueFd connect_v4(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  REQUIRE(::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

UniqueFd connect_any(const std::string& address) {
  if (address.starts_with("unix:")) return connect_unix(address.substr(5));
  const auto colon = address.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  if (address.starts_with("[")) return connect_v6(address.substr(1, colon - 2), port);
  return connect_v4(address.substr(0, colon), port);
}

}  // namespace

Connection::Connection(const std::string& address) : fd_(connect_any(address)) {
  REQUIRE_MESSAGE(fd_, "nobody listens on ", address);
}

std::optional<Connection> Connection::attempt(const std::string& address) {
  auto fd = connect_any(address);
  if (!fd) return std::nullopt;
  return Connection(std::move(fd));
}

bool Connection::send(const std::string& bytes) {
  return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool Connection::receive(Clock::time_point end) {
  const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
  pollfd readable{fd_.get(), POLLIN, 0};
  if (ended_ || ::poll(&readable, 1, static_cast<int>(std::max<long>(left, 0))) != 1) return false;
  char bytes[16 * 1024];
  const ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  ended_ = size <= 0;
  if (!ended_) received_.append(bytes, static_cast<std::size_t>(size));
  return !ended_;
}

std::string Connection::read_all(milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (receive(end)) {
  }
  return std::exchange(received_, {});
}

std::string Connection::read_line(milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (received_.find('\n') == std::string::npos && receive(end)) {
  }
  const auto newline = received_.find('\n');
  const auto size = newline == std::string::npos ? received_.size() : newline + 1;
  std::string line = received_.substr(0, size);
  received_.erase(0, size);
  return line;
}

std::string Connection::read_exactly(std::size_t size, milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (received_.size() < size && receive(end)) {
  }
  const std::string bytes = received_.substr(0, size);
  received_.erase(0, bytes.size());
  return bytes;
}

bool Connection::ends(milliseconds limit) {
  read_all(limit);
  return ended_;
}

std::string http_get(const std::string& address, const std::string& path) {
  auto connection = Connection::attempt(address);
  if (!connection) return "";
  connection->send("GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  std::string header;
  std::size_t length = 0;
  for (std::string line = "?"; !line.empty() && line != "\r\n";) {
    line = connection->read_line();
    header += line;
    if (line.starts_with("Content-Length: ")) length = std::stoul(line.substr(16));
  }
  // A server may keep the connection open.
  const std::string body = connection->read_exactly(length);
  if (body.size() < length) return "";
  return header + body;
}

}  // namespace scenario
