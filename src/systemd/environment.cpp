#include "systemd/environment.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace liveswap::systemd {
namespace {

constexpr std::array listen_variables{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"};
constexpr std::array other_variables{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE"};

// systemd's default for FileDescriptorStoreMax= and socket units together is far below.
constexpr unsigned passed_limit = 65536;

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const auto colon = text.find(':');
    parts.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

}  // namespace

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

bool is_for_main_process(std::string_view entry) {
  const auto name = entry.substr(0, entry.find('='));
  const auto is = [name](const char* one) { return name == one; };
  return std::any_of(listen_variables.begin(), listen_variables.end(), is) ||
         std::any_of(other_variables.begin(), other_variables.end(), is);
}

void become_main_process(pid_t parent) {
  for (const char* name : {"LISTEN_PID", "WATCHDOG_PID"})
    if (const auto pid = variable(name); pid && number_in<pid_t>(*pid) == parent)
      ::setenv(name, std::to_string(::getpid()).c_str(), 1);
}

std::optional<Microseconds> watchdog_interval(const Lookup& lookup, pid_t self) {
  const auto time = lookup("WATCHDOG_USEC");
  const auto pid = lookup("WATCHDOG_PID");
  if (!time || (pid && number_in<pid_t>(*pid) != self)) return std::nullopt;
  const auto number = number_in<Microseconds::rep>(*time);
  if (!number || *number <= 0) return std::nullopt;
  return Microseconds(*number);
}

Result<Passed> passed_descriptors(const Lookup& lookup, pid_t self) {
  const auto pid = lookup("LISTEN_PID");
  const auto count = lookup("LISTEN_FDS");
  if (!pid || !count || number_in<pid_t>(*pid) != self) return Passed{};
  const auto number = number_in<unsigned>(*count);
  if (!number || *number > passed_limit)
    return fail(
        fmt::format("LISTEN_FDS: found \"{}\", expected a number from 0 to {}", *count, passed_limit));
  Passed passed{std::vector<std::string>(*number)};
  const auto names = lookup("LISTEN_FDNAMES");
  if (!names || *number == 0) return passed;
  auto found = split(*names);
  if (found.size() != *number)
    return fail(fmt::format("LISTEN_FDNAMES: found {} names in \"{}\", expected {}, as LISTEN_FDS says",
                            found.size(), *names, *number));
  passed.names = std::move(found);
  return passed;
}

std::string stored_name(const StoredName& name) { return fmt::format("{}#{}", name.listener, name.number); }

std::optional<StoredName> parse_stored_name(std::string_view text) {
  const auto at = text.rfind('#');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const auto number = number_in<unsigned>(text.substr(at + 1));
  if (!number) return std::nullopt;
  return StoredName{std::string(text.substr(0, at)), *number};
}

Result<std::vector<PassedSocket>> take_sockets() {
  const auto passed = passed_descriptors(variable, ::getpid());
  for (const char* name : listen_variables) ::unsetenv(name);
  if (!passed) return tl::unexpected<Error>(passed.error());
  std::vector<PassedSocket> sockets;
  int fd = first_passed;
  for (const auto& name : passed->names) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return os_fail("use a descriptor that LISTEN_FDS names", std::to_string(fd), errno);
    sockets.push_back({name, UniqueFd::adopt(fd++)});
  }
  return sockets;
}

}  // namespace liveswap::systemd
