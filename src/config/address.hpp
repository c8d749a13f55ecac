#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::config {

// What the address of a listener says.
struct Address {
  enum class Kind { tcp, unix_path };
  Kind kind = Kind::tcp;
  std::string host;        // a number, without brackets, or a name; empty: every address of both families
  std::uint16_t port = 0;  // 0: the kernel chooses
  std::string path;        // of unix_path; relative as it was given
};

// "127.0.0.1:80", "[::1]:80", "host:80", "*:80" or "unix:/path". Pure: names are not looked up. An error
// reads `found …, expected …`.
Result<Address> parse_address(std::string_view text);

// A host alone: an IPv4 or IPv6 number (without brackets) or a name that can be one of a host.
bool is_host(std::string_view text);

// A number in 127.0.0.0/8, or ::1. A name is none, whatever it resolves to today.
bool is_loopback(const std::string& host);

}  // namespace liveswap::config
