#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// `liveswap verify`: starts an application, puts load on it, upgrades it, injects faults, and reports whether
// a client would have noticed. proof.cpp has the steps, findings.hpp the results.
namespace liveswap::verify {

using Milliseconds = std::chrono::milliseconds;

// The faults. word() returns their names on the command line.
enum class Fault {
  crash_at_load,    // a release that crashes in a constructor
  crash_at_start,   // … that crashes in liveswap_main
  hang_at_load,     // … that hangs during loading
  never_ready,      // … that never becomes ready
  returns_at_once,  // … with a liveswap_main that returns immediately
  slow_drain,       // a worker is replaced during a slow request
  killed_worker,    // a worker is killed by SIGKILL
  overwrite,        // the running library is overwritten in place, as by cp
};

inline constexpr Fault all_faults[] = {Fault::crash_at_load, Fault::crash_at_start,  Fault::hang_at_load,
                                       Fault::never_ready,   Fault::returns_at_once, Fault::slow_drain,
                                       Fault::killed_worker, Fault::overwrite};

std::string_view word(Fault fault);
std::optional<Fault> fault_of(std::string_view word);

struct Task {
  std::string library;  // absolute
  std::string second;   // every other upgrade goes here; may equal `library`

  std::string program;                     // path of `liveswap`
  std::vector<std::string> start_options;  // for `liveswap start`, including the listener
  std::vector<std::string> arguments;      // for the application
  std::string fault_directory;             // with the libraries of src/faults; empty: none

  bool connect = false;    // plain connects instead of HTTP requests
  std::string path = "/";  // of requests
  unsigned clients = 16;   // each sends `rate_of_client` requests per second
  unsigned upgrades = 10;  // good ones
  std::vector<Fault> faults{std::begin(all_faults), std::end(all_faults)};
  Milliseconds before{3000};  // measuring time before the first upgrade
};

inline constexpr unsigned rate_of_client = 25;

}  // namespace liveswap::verify
