#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

// The texts of the protocol by which a service tells the service manager its state (sd_notify(3)): lines
// NAME=VALUE. Lines of one datagram are joined. Pure.
namespace liveswap::systemd {

using Microseconds = std::chrono::microseconds;

// The start, or a reload, has finished. `main`: the pid of the service's main process.
std::string ready(pid_t main);
std::string main_pid(pid_t main);
// `now`: CLOCK_MONOTONIC at the begin of the reload.
std::string reloading(Microseconds now);
std::string stopping();
// For `systemctl status`: control characters become spaces, and a long text is cut.
std::string status(std::string_view text);
std::string watchdog();
// The manager's time limit for what is under way ends `time` from now at the earliest.
std::string extend_timeout(Microseconds time);
// The datagram carries a descriptor that the manager keeps under this name, also when its poll() reports an
// error.
std::string store(std::string_view name);
std::string remove(std::string_view name);

// What STATUS= tells.
struct Summary {
  std::string state;  // "running", "upgrading", …
  std::string phase;  // of an upgrade that is under way; empty: none
  std::string goal;   // path of the release that is being rolled out; may be empty
  std::string path;   // of the committed release; empty: none
  std::string id;     // of the committed release
  std::uint64_t generation = 0;
  unsigned slots = 0;     // that shall be served
  unsigned ready = 0;     // slots with a ready worker
  unsigned upgraded = 0;  // slots with a ready worker of the new release
  unsigned draining = 0;  // workers
};

// "running /srv/libapp.so (0123456789ab), generation 3: 4 of 4 slots ready"
std::string text_of(const Summary& summary);

}  // namespace liveswap::systemd
