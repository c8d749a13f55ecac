#include "master/workers/memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/text.hpp"

namespace liveswap::master {
namespace {

// /proc/PID/NAME; empty if unreadable.
std::string proc_text(pid_t process, const char* name) {
  return read_small_file(fmt::format("/proc/{}/{}", process, name), 4096).value_or("");
}

}  // namespace

std::optional<std::uint64_t> parse_pss(std::string_view rollup) {
  constexpr std::string_view label = "\nPss:", unit = " kB";
  const auto at = rollup.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  auto line = rollup.substr(at + label.size(), rollup.find('\n', at + 1) - at - label.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (!line.ends_with(unit)) return std::nullopt;
  line.remove_suffix(unit.size());
  const auto kilobytes = number_in<std::uint64_t>(line);
  return kilobytes ? std::optional(*kilobytes * 1024) : std::nullopt;
}

std::optional<std::uint64_t> parse_rss_pages(std::string_view statm) {
  const auto first = statm.find(' '), second = statm.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return number_in<std::uint64_t>(statm.substr(first + 1, second - first - 1));
}

std::optional<std::uint64_t> pss_of(pid_t process) { return parse_pss(proc_text(process, "smaps_rollup")); }

std::optional<std::uint64_t> rss_of(pid_t process) {
  const auto pages = parse_rss_pages(proc_text(process, "statm"));
  return pages ? std::optional(*pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) : std::nullopt;
}

}  // namespace liveswap::master
