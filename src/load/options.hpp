#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "load/judge.hpp"
#include "load/outcome.hpp"
#include "load/target.hpp"

namespace liveswap::load {

// The options of a run.
struct Options {
  Target target;
  double rate = 0;  // requests per second
  std::uint64_t requests = std::numeric_limits<std::uint64_t>::max();
  Time duration{};  // all intended times are before this
  Time timeout{};

  bool keep_alive = false;
  std::size_t connections = 0;       // kept open, with keep_alive
  std::size_t most_connections = 0;  // open at once
  unsigned sources = 0;

  unsigned slow = 0;  // requests in flight in addition to the rate
  std::string slow_path;
  Time slow_timeout{};

  Expectations expectations;
  bool allow_eof_body = false;
  bool echo_prefixed = false;

  int commands = -1;            // descriptor to read commands from (control.hpp); borrowed, -1: none
  bool stops_on_signal = true;  // SIGINT and SIGTERM end the run; false: not handled here
  Time bucket{};
};

}  // namespace liveswap::load
