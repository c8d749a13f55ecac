#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace deal {

// How many of `connections`, opened one after the other and kept open, each worker has. Each asks once.
std::vector<unsigned> kept_by_worker(std::uint16_t port, unsigned connections, unsigned workers);

struct Latencies {
  std::vector<double> ms;  // sorted; from the time at which the request was due
  unsigned failed = 0;     // no answer within 5 s, or a connection that was refused or reset
};

// A connection for each request, `rate` requests a second for `duration`, sent when due whatever the answers
// to earlier ones do. One thread.
Latencies ask_on_new_connections(std::uint16_t port, unsigned rate, std::chrono::milliseconds duration);

}  // namespace deal
