#pragma once

#include <functional>
#include <string>

#include "verify/findings.hpp"
#include "verify/interrupt.hpp"

namespace liveswap::verify {

// What the steps work with: the application, its clients, the findings.
struct Stage {
  const Task& task;
  const Workplace& place;
  Interrupt& interrupt;
  Application& application;
  Clients& clients;
  std::string address;  // to connect to
  std::uint16_t port;   // of `address`
  std::string current;  // the running library; upgrades alternate between two
  Findings& findings;   // also receives the killed workers
};

// Runs the step and returns the result. Leaves a serving application if possible.
FaultFinding inject(Stage& stage, Fault fault);

// Kills a worker and waits for its replacement. Returns a description; an error if there is no replacement.
Result<std::string> kill_worker(Stage& stage);
FaultFinding inject_slow_drain(Stage& stage);
FaultFinding inject_overwrite(Stage& stage);

}  // namespace liveswap::verify
