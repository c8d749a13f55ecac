#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace liveswap::master {

// The memory of a process in bytes, with its share of what it has in common with others (proportional set
// size): the sum over all workers is what they cost. None when the process has gone, may not be looked at (a
// worker of another user, for a master that is not root) or the kernel does not count (before 4.14). Takes
// the kernel as long as the process has memory, about a millisecond for 100 MiB: not for every event.
std::optional<std::uint64_t> pss_of(pid_t process);

// The memory of a process that is in RAM, in bytes, pages that it shares with others counted in full. None
// when the process has gone. Costs the kernel next to nothing whatever the process has, so that a thousand
// workers may be asked.
std::optional<std::uint64_t> rss_of(pid_t process);

// The second number of a statm, in pages.
std::optional<std::uint64_t> parse_rss_pages(std::string_view statm);

// The "Pss:" line of a smaps_rollup.
std::optional<std::uint64_t> parse_pss(std::string_view rollup);

}  // namespace liveswap::master
