#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "liveswap.hpp"

// Parsers for option values on the command line and in the configuration file. Pure and strict: the whole
// text must be a value. Errors read `found "5", expected …`; the caller prepends the name of the option.
namespace liveswap::config {

inline constexpr unsigned forks_limit = 1024;
inline constexpr unsigned percent_limit = 1000;
inline constexpr std::size_t listeners_limit = 64;  // as LIVESWAP_LISTENERS_MAX

// The channel to workers carries milliseconds in 31 bits.
inline constexpr Milliseconds longest_duration = std::chrono::hours(576);

inline constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

// Decimal digits; both bounds inclusive.
Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t lowest, std::uint64_t highest);

// "100ms", "2s", "1m", "1h": whole numbers, at most longest_duration.
Result<Milliseconds> parse_duration(std::string_view text);

// A duration, or "none": -1 ms.
Result<Milliseconds> parse_optional_duration(std::string_view text);
// A duration, "none": 0, or "forever": negative.
Result<Milliseconds> parse_orphan_wait(std::string_view text);

// A duration, or "none": 0 ms.
Result<Milliseconds> parse_duration_or_none(std::string_view text);

// "2" (at most forks_limit) or "50%" (at most percent_limit).
Result<Amount> parse_amount(std::string_view text);

// "name=address" or "address". Text before the first "=" is a name unless it contains ":" or "/". Relative
// socket paths are kept.
Result<Listener> parse_listener(std::string_view text);

inline constexpr std::string_view listener_name_rule = "1 to 64 letters, digits, \".\", \"_\" or \"-\"";
bool is_listener_name(std::string_view name);

// A host without a port, for the control server.
Result<std::string> parse_control_address(std::string_view text);

// 1 … 1024, or "auto": 0.
Result<unsigned> parse_forks(std::string_view text);

// 1 … 65535.
Result<std::uint16_t> parse_port(std::string_view text);

// 1 … 1024, or "auto": 0.
Result<unsigned> parse_batch(std::string_view text);

// 1 … INT_MAX.
Result<int> parse_backlog(std::string_view text);

// "reuseport" or "shared".
Result<ListenMode> parse_listen_mode(std::string_view text);

// A C function name: letters, digits and "_".
Result<std::string> parse_entry(std::string_view text);
bool is_entry_name(std::string_view name);
inline constexpr std::string_view entry_rule =
    "the name of a function: letters, digits and \"_\", no digit first";

// "libc" or "seccomp".
Result<Intercept> parse_intercept(std::string_view text);

// "end", "migrate", "keep", "http" or "auto".
Result<Keepalive> parse_keepalive(std::string_view text);

// 1 … 1023: ports that need privileges by default.
Result<std::uint16_t> parse_privileged_port(std::string_view text);
inline constexpr std::uint16_t highest_privileged_port = 1023;

// "true" or "false".
Result<bool> parse_switch(std::string_view text);

// A number with an optional K, M, G or T (powers of 1024), or "unlimited".
Result<std::uint64_t> parse_limit(std::string_view text);

// Bytes with an optional K, M, G or T (powers of 1024), at least smallest_memory; or "none": 0.
Result<std::uint64_t> parse_memory(std::string_view text);
inline constexpr std::uint64_t smallest_memory = std::uint64_t{1} << 20;

// 1 … liveness_failures_limit.
Result<unsigned> parse_liveness_failures(std::string_view text);
inline constexpr unsigned liveness_failures_limit = 1000;

// 1 … releases_limit.
Result<unsigned> parse_keep_releases(std::string_view text);
inline constexpr unsigned releases_limit = 1000;

// A health probe; returns the text.
Result<std::string> parse_probe_text(std::string_view text);
// A liveness check; returns the text, "" for "none".
Result<std::string> parse_liveness_text(std::string_view text);
inline constexpr std::size_t probes_limit = 64;

// "name=limit", such as "nofile=65536".
Result<ResourceLimit> parse_resource_limit(std::string_view text);

inline constexpr std::string_view variable_name_rule = "a name that is not empty and has no \"=\"";
bool is_variable_name(std::string_view name);

// "NAME=text"; the text may be empty or contain "=".
Result<std::pair<std::string, std::string>> parse_variable(std::string_view text);

}  // namespace liveswap::config
