#include "load/target.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace liveswap::load {
namespace {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;  // 0: none
};

// A blank or newline in the path would change the request line.
bool plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Result<HostPort> split(const std::string& authority) {
  const bool bracketed = authority.starts_with('[');
  const std::size_t host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string::npos) return fail("no ']' in the host " + authority);
  HostPort result{authority.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end), 0};
  const std::size_t colon = bracketed ? host_end + 1 : host_end;
  if (colon == std::string::npos || colon >= authority.size()) return result;
  const char* end = authority.data() + authority.size();
  const auto parsed = std::from_chars(authority.data() + colon + 1, end, result.port);
  if (authority[colon] != ':' || parsed.ec != std::errc{} || parsed.ptr != end || result.port == 0)
    return fail("no port number (1-65535) after the host in " + authority);
  return result;
}

template <class Address>
void store(Target& target, const Address& address, socklen_t size) {
  std::memcpy(&target.address, &address, size);
  target.address_size = size;
}

Result<bool> store_ip(Target& target, const HostPort& where) {
  const std::string host = where.host == "localhost" ? "127.0.0.1" : where.host;
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(where.port);
    store(target, v4, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(where.port);
    store(target, v6, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
  }
  return fail(fmt::format("host {} is neither a numeric address nor localhost", where.host));
}

Result<void> store_unix(Target& target, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(
        fmt::format("socket path of {} bytes, expected fewer than {}", path.size(), sizeof address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  store(target, address, sizeof address);
  return {};
}

Result<void> store_address(Target& target, const std::string& unix_path, bool any_address) {
  if (!unix_path.empty()) return store_unix(target, unix_path);
  auto where = split(target.host);
  if (!where) return tl::unexpected(where.error());
  if (where->port == 0) {
    if (target.protocol == Protocol::echo) return fail("no port in tcp://" + target.host);
    where->port = 80;
  }
  const auto loopback = store_ip(target, *where);
  if (!loopback) return tl::unexpected(loopback.error());
  if (!*loopback && !any_address)
    return fail(fmt::format("host {} is not a loopback address: refused without --namespace", where->host));
  return {};
}

}  // namespace

Result<Target> parse_target(const std::string& url, const std::string& unix_path, bool any_address) {
  static const std::string http = "http://", tcp = "tcp://";
  Target target;
  if (!plain(url)) return fail("blanks or unprintable characters in the target");
  if (!url.starts_with(http) && !url.starts_with(tcp))
    return fail(fmt::format("target '{}', expected http://HOST:PORT/PATH or tcp://HOST:PORT", url));
  target.protocol = url.starts_with(http) ? Protocol::http : Protocol::echo;
  const std::string rest = url.substr(url.find("://") + 3);
  const std::size_t slash = rest.find('/');
  target.host = rest.substr(0, slash);
  target.path = slash == std::string::npos ? "/" : rest.substr(slash);
  target.shown = unix_path.empty() ? url : fmt::format("{} at {}", url, unix_path);
  if (auto stored = store_address(target, unix_path, any_address); !stored)
    return tl::unexpected(stored.error());
  return target;
}

}  // namespace liveswap::load
