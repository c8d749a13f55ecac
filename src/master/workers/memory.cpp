#include "master/workers/memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/unique_fd.hpp"

namespace liveswap::master {

std::optional<std::uint64_t> parse_pss(std::string_view rollup) {
  constexpr std::string_view label = "\nPss:";
  const auto at = rollup.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  const auto line = rollup.substr(at + label.size(), rollup.find('\n', at + 1) - at - label.size());
  const auto begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos || !line.ends_with(" kB")) return std::nullopt;
  std::uint64_t kilobytes = 0;
  const auto [end, failed] = std::from_chars(line.data() + begin, line.data() + line.size() - 3, kilobytes);
  if (failed != std::errc() || end != line.data() + line.size() - 3) return std::nullopt;
  return kilobytes * 1024;
}

std::optional<std::uint64_t> parse_rss_pages(std::string_view statm) {
  const auto blank = statm.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const char* begin = statm.data() + blank + 1;
  const char* last = statm.data() + statm.size();
  std::uint64_t pages = 0;
  const auto [end, failed] = std::from_chars(begin, last, pages);
  if (failed != std::errc() || end == last || *end != ' ') return std::nullopt;
  return pages;
}

namespace {

// The beginning of /proc/PID/NAME; empty if unreadable.
std::string proc_text(pid_t process, const char* name) {
  const auto path = fmt::format("/proc/{}/{}", process, name);
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t size = fd ? ::read(fd.get(), text, sizeof text) : -1;
  return {text, static_cast<std::size_t>(size > 0 ? size : 0)};
}

}  // namespace

std::optional<std::uint64_t> pss_of(pid_t process) { return parse_pss(proc_text(process, "smaps_rollup")); }

std::optional<std::uint64_t> rss_of(pid_t process) {
  const auto pages = parse_rss_pages(proc_text(process, "statm"));
  if (!pages) return std::nullopt;
  return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace liveswap::master
