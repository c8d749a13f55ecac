#include "config/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>

#include "config/quote.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

constexpr std::string_view unix_prefix = "unix:";

bool is_word(std::string_view text, std::string_view beside) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [beside](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           beside.find(c) != std::string_view::npos;
  });
}

bool is_ipv4(const std::string& text) {
  in_addr bytes{};
  return ::inet_pton(AF_INET, text.c_str(), &bytes) == 1;
}

// A link-local address may have a zone: fe80::1%eth0.
bool is_ipv6(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return false;
  const auto zone = text.find('%');
  if (zone != std::string_view::npos && !is_word(text.substr(zone + 1), "._-")) return false;
  in6_addr bytes{};
  return ::inet_pton(AF_INET6, std::string(text.substr(0, zone)).c_str(), &bytes) == 1;
}

Result<Address> parse_unix(std::string_view text) {
  const auto path = text.substr(unix_prefix.size());
  constexpr std::size_t limit = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty() || path.front() == '@' || path.back() == '/' || path.find('\0') != std::string_view::npos)
    return fail(fmt::format("found {}, expected the path of a socket behind unix:", in_quotes(text)));
  if (path.size() > limit)
    return fail(fmt::format("found a path of {} bytes in {}, expected at most {}", path.size(),
                            in_quotes(text), limit));
  Address address;
  address.kind = Address::Kind::unix_path;
  address.path = path;
  return address;
}

Result<std::string> parse_host(std::string_view host, std::string_view whole) {
  if (host == "*") return std::string();
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const auto inner = host.substr(1, host.size() - 2);
    if (is_ipv6(inner)) return std::string(inner);
    return fail(fmt::format("found {} in {}, expected an IPv6 address in the brackets", in_quotes(inner),
                            in_quotes(whole)));
  }
  if (host.find(':') != std::string_view::npos)
    return fail(
        fmt::format("found {}, expected brackets around an IPv6 address: [::1]:80", in_quotes(whole)));
  if (!is_host(host))
    return fail(fmt::format("found the host {} in {}, expected an address, a name or *", in_quotes(host),
                            in_quotes(whole)));
  return std::string(host);
}

}  // namespace

bool is_host(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return is_ipv6(text);
  const bool number = text.find_first_not_of("0123456789.") == std::string_view::npos;
  return number ? is_ipv4(std::string(text))
                : text.size() <= 253 && is_word(text, "._-") && text.front() != '-';
}

bool is_ip_address(const std::string& host) { return is_ipv4(host) || is_ipv6(host); }

bool is_loopback(const std::string& host) {
  in_addr bytes{};
  if (::inet_pton(AF_INET, host.c_str(), &bytes) == 1) return (ntohl(bytes.s_addr) >> 24) == 127;
  in6_addr longer{};
  return ::inet_pton(AF_INET6, host.c_str(), &longer) == 1 && IN6_IS_ADDR_LOOPBACK(&longer);
}

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with(unix_prefix)) return parse_unix(text);
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']'))
    return fail(
        fmt::format("found {}, expected host:port, [::1]:port, *:port or unix:/path", in_quotes(text)));
  auto host = parse_host(text.substr(0, colon), text);
  if (!host) return tl::unexpected<Error>(host.error());
  const auto port = parse_number(text.substr(colon + 1), 0, UINT16_MAX);
  if (!port)
    return fail(fmt::format("found the port {} in {}, expected a number from 0 to 65535",
                            in_quotes(text.substr(colon + 1)), in_quotes(text)));
  Address address;
  address.host = std::move(*host);
  address.port = static_cast<std::uint16_t>(*port);
  return address;
}

}  // namespace liveswap::config
