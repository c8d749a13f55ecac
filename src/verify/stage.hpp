#pragma once

#include <functional>
#include <string>

#include "verify/findings.hpp"
#include "verify/interrupt.hpp"

namespace liveswap::verify {

// What faults are played on: the application that serves and those who know about it.
struct Stage {
  const Task& task;
  const Workplace& place;
  Interrupt& interrupt;
  Application& application;
  Clients& clients;
  std::string address;  // of the listener, to connect to
  std::uint16_t port;   // its port
  std::string current;  // the library that serves; what an upgrade to something else goes back to
  Findings& findings;   // killed workers are entered here
};

// Does it and says what came of it. Leaves an application behind that serves, if it can.
FaultFinding play(Stage& stage, Fault fault);

// Kills a worker and waits for the one that follows it. What was found; an error when none came.
Result<std::string> kill_worker(Stage& stage);
FaultFinding play_slow_drain(Stage& stage);
FaultFinding play_overwrite(Stage& stage);

}  // namespace liveswap::verify
