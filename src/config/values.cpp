#include "config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <optional>

#include "config/address.hpp"
#include "config/health.hpp"
#include "config/limits.hpp"
#include "config/nearest.hpp"
#include "config/quote.hpp"

namespace liveswap::config {
namespace {

// Leading digits, and the rest of the text. No number: no digits, or too many.
struct Digits {
  std::optional<std::uint64_t> number;
  std::string_view rest;
};

Digits split_digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return {failure == std::errc() ? std::optional(number) : std::nullopt, rest};
}

template <class T>
Result<T> narrowed(const Result<std::uint64_t>& number) {
  return number.map([](std::uint64_t value) { return static_cast<T>(value); });
}

std::uint64_t milliseconds_of(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1'000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  return 0;
}

int power_of(std::string_view suffix) {
  if (suffix.empty()) return 0;
  const auto at = std::string_view("KMGT").find(suffix.front());
  return suffix.size() == 1 && at != std::string_view::npos ? static_cast<int>(at) + 1 : -1;
}

}  // namespace

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t lowest, std::uint64_t highest) {
  const auto [number, rest] = split_digits(text);
  if (!number || !rest.empty() || *number < lowest || *number > highest)
    return fail(fmt::format("found {}, expected a number from {} to {}", in_quotes(text), lowest, highest));
  return *number;
}

Result<Milliseconds> parse_duration(std::string_view text) {
  const auto [number, unit] = split_digits(text);
  if (number && unit.empty())
    return fail(fmt::format("found {0}, expected a unit behind it: {1}ms, {1}s, {1}m or {1}h",
                            in_quotes(text), text));
  const auto scale = milliseconds_of(unit);
  if (text.empty() || text.front() < '0' || text.front() > '9' || scale == 0)
    return fail(fmt::format("found {}, expected a duration such as 100ms, 2s, 1m or 1h", in_quotes(text)));
  const auto limit = static_cast<std::uint64_t>(longest_duration.count());
  if (!number || *number > limit / scale)
    return fail(fmt::format("found {}, expected at most {}h", in_quotes(text), limit / milliseconds_of("h")));
  return Milliseconds(static_cast<Milliseconds::rep>(*number * scale));
}

Result<Milliseconds> parse_optional_duration(std::string_view text) {
  if (text == "none") return Milliseconds(-1);
  return parse_duration(text).map_error(
      [](Error error) { return Error{std::move(error.text) + ", or none"}; });
}

Result<Milliseconds> parse_duration_or_none(std::string_view text) {
  return parse_optional_duration(text).map([](Milliseconds time) { return std::max(time, Milliseconds{0}); });
}

Result<Milliseconds> parse_orphan_wait(std::string_view text) {
  if (text == "forever") return Milliseconds(-1);
  return parse_duration_or_none(text).map_error(
      [](Error error) { return Error{std::move(error.text) + ", or forever"}; });
}

Result<Amount> parse_amount(std::string_view text) {
  const bool percent = text.ends_with('%');
  const auto number =
      parse_number(text.substr(0, text.size() - (percent ? 1 : 0)), 0, percent ? percent_limit : forks_limit);
  if (!number)
    return fail(fmt::format("found {}, expected a number from 0 to {} or a share from 0% to {}%",
                            in_quotes(text), forks_limit, percent_limit));
  return Amount{static_cast<unsigned>(*number), percent};
}

bool is_listener_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<Listener> parse_listener(std::string_view text) {
  const auto equals = text.find('=');
  const bool named = equals != std::string_view::npos && text.find_first_of(":/") > equals;
  const auto name = named ? text.substr(0, equals) : std::string_view();
  const auto address = named ? text.substr(equals + 1) : text;
  if (named && !is_listener_name(name))
    return fail(fmt::format("found the name {} in {}, expected {}", in_quotes(name), in_quotes(text),
                            listener_name_rule));
  return parse_address(address).map([&](const Address&) {
    return Listener{std::string(name), std::string(address)};
  });
}

Result<std::string> parse_control_address(std::string_view text) {
  if (is_host(text)) return std::string(text);
  return fail(fmt::format("found {}, expected an address or a name, without a port", in_quotes(text)));
}

Result<unsigned> parse_forks(std::string_view text) {
  if (text == "auto") return 0U;
  return narrowed<unsigned>(parse_number(text, 1, forks_limit)).map_error([](Error error) {
    return Error{std::move(error.text) + ", or auto"};
  });
}

Result<unsigned> parse_batch(std::string_view text) { return parse_forks(text); }

Result<std::uint16_t> parse_port(std::string_view text) {
  return narrowed<std::uint16_t>(parse_number(text, 1, UINT16_MAX));
}

Result<int> parse_backlog(std::string_view text) { return narrowed<int>(parse_number(text, 1, INT_MAX)); }

Result<ListenMode> parse_listen_mode(std::string_view text) {
  if (text == "reuseport") return ListenMode::reuseport;
  if (text == "shared") return ListenMode::shared;
  return fail(fmt::format("found {}, expected reuseport or shared", in_quotes(text)));
}

bool is_entry_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= 255 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

Result<std::string> parse_entry(std::string_view text) {
  if (is_entry_name(text)) return std::string(text);
  return fail(fmt::format("found {}, expected {}", in_quotes(text), entry_rule));
}

Result<Intercept> parse_intercept(std::string_view text) {
  if (text == "libc") return Intercept::libc;
  if (text == "seccomp") return Intercept::seccomp;
  return fail(fmt::format("found {}, expected libc or seccomp", in_quotes(text)));
}

Result<Keepalive> parse_keepalive(std::string_view text) {
  if (text == "end") return Keepalive::end;
  if (text == "migrate") return Keepalive::migrate;
  if (text == "keep") return Keepalive::keep;
  if (text == "http") return Keepalive::http;
  if (text == "auto") return Keepalive::automatic;
  return fail(fmt::format("found {}, expected end, migrate, keep, http or auto", in_quotes(text)));
}

Result<std::uint16_t> parse_privileged_port(std::string_view text) {
  return narrowed<std::uint16_t>(parse_number(text, 1, highest_privileged_port));
}

Result<bool> parse_switch(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return fail(fmt::format("found {}, expected true or false", in_quotes(text)));
}

Result<std::uint64_t> parse_limit(std::string_view text) {
  if (text == "unlimited") return unlimited;
  const auto [number, suffix] = split_digits(text);
  const int power = power_of(suffix);
  // The maximum means "unlimited" to setrlimit(); it must be spelled as the word.
  if (!number || power < 0 || *number > (unlimited - 1) >> (10 * power))
    return fail(fmt::format("found {}, expected a number such as 1024 or 64M (K, M, G, T), or unlimited",
                            in_quotes(text)));
  return *number << (10 * power);
}

Result<std::uint64_t> parse_memory(std::string_view text) {
  if (text == "none") return std::uint64_t{0};
  const auto bytes = parse_limit(text);
  if (!bytes || *bytes == unlimited)
    return fail(
        fmt::format("found {}, expected bytes such as 512M or 2G (K, M, G, T), or none", in_quotes(text)));
  if (*bytes < smallest_memory)
    return fail(fmt::format("found {}, expected at least 1M: no worker would fit", in_quotes(text)));
  return *bytes;
}

Result<unsigned> parse_liveness_failures(std::string_view text) {
  return narrowed<unsigned>(parse_number(text, 1, liveness_failures_limit));
}

Result<unsigned> parse_keep_releases(std::string_view text) {
  return narrowed<unsigned>(parse_number(text, 1, releases_limit));
}

// Checks the syntax of a probe, keeps the text.
Result<std::string> parse_probe_text(std::string_view text) {
  return parse_health(text).map([&](const HealthProbe&) { return std::string(text); });
}

Result<std::string> parse_liveness_text(std::string_view text) {
  if (text == "none") return std::string();
  return parse_liveness(text).map([&](const LivenessCheck&) { return std::string(text); });
}

Result<ResourceLimit> parse_resource_limit(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(fmt::format("found {}, expected name=limit such as nofile=65536", in_quotes(text)));
  const auto name = text.substr(0, equals);
  if (!resource_of(name))
    return fail(fmt::format("unknown limit {}{}", in_quotes(name), suggestion(name, limit_names)));
  return parse_limit(text.substr(equals + 1)).map([&](std::uint64_t value) {
    return ResourceLimit{std::string(name), value};
  });
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && name.find_first_of(std::string_view("=\0", 2)) == std::string_view::npos;
}

Result<std::pair<std::string, std::string>> parse_variable(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || !is_variable_name(text.substr(0, equals)))
    return fail(fmt::format("found {}, expected NAME=text", in_quotes(text)));
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

}  // namespace liveswap::config
