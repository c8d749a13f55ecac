#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// `liveswap verify`: runs an application in a place of its own, gives it load, upgrades it and hurts it, and
// reports whether a client would have noticed. The steps are in proof.cpp, what came of them in findings.hpp.
namespace liveswap::verify {

using Milliseconds = std::chrono::milliseconds;

// What is done to the application beside good upgrades. The words of the command line are in word().
enum class Fault {
  crash_at_load,    // upgrade to a release that crashes in a constructor
  crash_at_start,   // … in liveswap_main
  hang_at_load,     // … that never gets loaded
  never_ready,      // … that runs and never says that it is ready
  returns_at_once,  // … whose liveswap_main returns
  slow_drain,       // a request that is under way while its worker is replaced, and is finished late
  killed_worker,    // a worker is killed by SIGKILL
  overwrite,        // the library that runs is overwritten in place, as by cp
};

inline constexpr Fault all_faults[] = {Fault::crash_at_load, Fault::crash_at_start,  Fault::hang_at_load,
                                       Fault::never_ready,   Fault::returns_at_once, Fault::slow_drain,
                                       Fault::killed_worker, Fault::overwrite};

std::string_view word(Fault fault);
std::optional<Fault> fault_of(std::string_view word);

struct Task {
  std::string library;  // absolute
  std::string second;   // what every other upgrade goes to; may be `library` itself

  std::string program;                     // `liveswap`
  std::vector<std::string> start_options;  // of `liveswap start`; the listener among them
  std::vector<std::string> arguments;      // for the application
  std::string fault_directory;             // where the libraries of src/faults are; empty: nowhere

  bool connect = false;    // plain connects instead of HTTP requests
  std::string path = "/";  // of the requests
  unsigned clients = 16;   // each makes `rate_of_client` requests a second
  unsigned upgrades = 10;  // good ones
  std::vector<Fault> faults{std::begin(all_faults), std::end(all_faults)};
  Milliseconds before{3000};  // measured before the first upgrade
};

inline constexpr unsigned rate_of_client = 25;

}  // namespace liveswap::verify
