#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::config {

// The parsed address of a listener.
struct Address {
  enum class Kind { tcp, unix_path };
  Kind kind = Kind::tcp;
  std::string host;        // IP address without brackets, or host name; empty: wildcard for IPv4 and IPv6
  std::uint16_t port = 0;  // 0: chosen by the kernel
  std::string path;        // of unix_path; unchanged, may be relative
};

// Parses "127.0.0.1:80", "[::1]:80", "host:80", "*:80" or "unix:/path". Pure: does not resolve names. The
// error reads `found …, expected …`.
Result<Address> parse_address(std::string_view text);

// Whether `host` is an IP address (without brackets), and no name.
bool is_ip_address(const std::string& host);

// Whether `text` is an IP address (without brackets) or a valid host name.
bool is_host(std::string_view text);

// Whether `host` is an IP address in 127.0.0.0/8, or ::1. False for names.
bool is_loopback(const std::string& host);

}  // namespace liveswap::config
