#pragma once

#include <string>
#include <vector>

#include "verify/application.hpp"
#include "verify/clients.hpp"
#include "verify/task.hpp"

// The results of a verification, and the verdict.
namespace liveswap::verify {

struct FaultFinding {
  Fault fault;
  bool as_expected = false;
  std::string expected;
  std::string found;
  Milliseconds length{};
};

// A worker killed on purpose. Requests lost on its connections are not a failure.
struct Killed {
  Instant at;
  std::set<std::uint16_t> clients;  // client ports of its accepted connections
};

struct Findings {
  std::vector<Upgrade> upgrades;
  std::vector<FaultFinding> faults;
  std::vector<Killed> killed;
  Measured measured;
  unsigned restarts = 0;          // unexpected exits of workers, including those killed on purpose
  bool whole_at_end = false;      // every slot had a ready worker
  std::string cut_short;          // why steps were left out; empty: none
  std::string stopped;            // why the application did not stop properly; empty: stopped
  std::vector<std::string> left;  // processes that outlived the master
  Milliseconds length{};

  // Requests lost with a worker killed on purpose.
  std::uint64_t lost_with_worker() const;
  // All other failures, in total or in a phase.
  std::uint64_t lost() const { return lost_in(""); }
  std::uint64_t lost_in(const std::string& phase) const;
  // Whether the request was on a connection of a worker killed on purpose, and failed soon after.
  bool with_worker(const Loss& loss) const;
  unsigned deaths() const;  // unexpected exits of workers

  // Why the verification failed, most important first, for people; empty: passed.
  std::vector<std::string> problems() const;
  // Anomalies that are no failure.
  std::vector<std::string> warnings() const;
};

// Report for people, 100 columns.
std::string as_text(const Findings& findings, const Task& task, bool colour);
// Full report as one JSON object with a newline.
std::string as_json(const Findings& findings, const Task& task);

}  // namespace liveswap::verify
