#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace liveswap::master {

// A process' proportional set size in bytes: shared pages are divided among their users, so the sum over
// all workers is their cost. nullopt: the process is gone, may not be read (another user's, and the master
// is not root), or Linux is older than 4.14. Costs about 1 ms for each 100 MiB: do not call on every event.
std::optional<std::uint64_t> pss_of(pid_t process);

// A process' resident set size in bytes; shared pages count in full. nullopt: the process is gone. Cheap
// for any size of process.
std::optional<std::uint64_t> rss_of(pid_t process);

// The second number of /proc/PID/statm, in pages.
std::optional<std::uint64_t> parse_rss_pages(std::string_view statm);

// The "Pss:" line of /proc/PID/smaps_rollup, in bytes.
std::optional<std::uint64_t> parse_pss(std::string_view rollup);

}  // namespace liveswap::master
