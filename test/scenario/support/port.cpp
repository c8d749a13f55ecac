#include "support/port.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdio>
#include <random>

namespace scenario {
namespace {

using liveswap::UniqueFd;

constexpr std::uint16_t lowest = 10'000;
constexpr std::uint16_t highest = 32'000;

bool can_bind(std::uint16_t number) {
  const auto fd = UniqueFd::adopt(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(number);
  return fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
}

}  // namespace

// The kernel frees an abstract name when its holder dies, for whatever reason.
bool Port::claim(std::uint16_t number) {
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const int length =
      std::snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "liveswap-test-port-%u", number);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<std::size_t>(length));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0 || !can_bind(number))
    return false;
  claim_ = std::move(fd);
  number_ = number;
  return true;
}

Port::Port() {
  static std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int> choose(lowest, highest);
  for (int tries = 0; tries < 1000; ++tries)
    if (claim(static_cast<std::uint16_t>(choose(random)))) return;
  FAIL("no free port");
}

}  // namespace scenario
