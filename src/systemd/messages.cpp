#include "systemd/messages.hpp"

#include <fmt/format.h>

namespace liveswap::systemd {
namespace {

// systemd's limit for a whole datagram is a page.
constexpr std::size_t status_limit = 1024;

constexpr std::size_t id_digits = 12;

}  // namespace

std::string ready(pid_t main) { return "READY=1\n" + main_pid(main); }

std::string main_pid(pid_t main) { return fmt::format("MAINPID={}\n", main); }

std::string reloading(Microseconds now) {
  return fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", now.count());
}

std::string stopping() { return "STOPPING=1\n"; }

std::string status(std::string_view text) {
  std::string line = "STATUS=";
  for (const char c : text.substr(0, status_limit)) {
    const bool control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    line += control ? ' ' : c;
  }
  // A cut within a character would make the line invalid UTF-8, which systemd refuses.
  if (text.size() > status_limit)
    while ((static_cast<unsigned char>(line.back()) & 0x80U) != 0) line.pop_back();
  return line + '\n';
}

std::string watchdog() { return "WATCHDOG=1\n"; }

std::string extend_timeout(Microseconds time) {
  return fmt::format("EXTEND_TIMEOUT_USEC={}\n", time.count());
}

// FDPOLL=0, because a listening socket that an application has shut down reports an error until the master
// has repaired it.
std::string store(std::string_view name) { return fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0\n", name); }

std::string remove(std::string_view name) { return fmt::format("FDSTOREREMOVE=1\nFDNAME={}\n", name); }

std::string text_of(const Summary& summary) {
  const auto slots = fmt::format("{} of {} slots ready", summary.ready, summary.slots);
  if (summary.path.empty())
    return fmt::format("{}{}{}: {}", summary.state, summary.goal.empty() ? "" : " ", summary.goal, slots);
  auto served = fmt::format("{} ({}), generation {}: {}", summary.path, summary.id.substr(0, id_digits),
                            summary.generation, slots);
  if (summary.draining > 0)
    served += fmt::format(", {} worker{} drain{}", summary.draining, summary.draining == 1 ? "" : "s",
                          summary.draining == 1 ? "s" : "");
  if (summary.phase.empty()) return summary.state + " " + served;
  const auto to = summary.goal.empty() ? "" : " to " + summary.goal;
  return fmt::format("{}{} ({}), {} of {} slots done; serves {}", summary.state, to, summary.phase,
                     summary.upgraded, summary.slots, served);
}

}  // namespace liveswap::systemd
