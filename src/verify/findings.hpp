#pragma once

#include <string>
#include <vector>

#include "verify/application.hpp"
#include "verify/clients.hpp"
#include "verify/task.hpp"

// What came of a verification: values, and the verdict over them.
namespace liveswap::verify {

struct FaultFinding {
  Fault fault;
  bool as_expected = false;
  std::string expected;
  std::string found;
  Milliseconds length{};
};

// A worker that this program has killed: the requests on its connections are lost with it, by no fault of
// liveswap or of the application.
struct Killed {
  Instant at;
  std::set<std::uint16_t> clients;  // ports of the connections it had accepted
};

struct Findings {
  std::vector<Upgrade> upgrades;
  std::vector<FaultFinding> faults;
  std::vector<Killed> killed;
  Measured measured;
  unsigned restarts = 0;          // of workers that died without an order, those killed here included
  bool whole_at_end = false;      // every slot had a worker that was ready
  std::string cut_short;          // why not everything was tried; empty: it was
  std::string stopped;            // how the application failed to stop; empty: it stopped well
  std::vector<std::string> left;  // processes that were still there when the master had gone
  Milliseconds length{};

  // Requests lost with a killed worker.
  std::uint64_t lost_with_worker() const;
  // All other failures: of everything, and of a phase.
  std::uint64_t lost() const { return lost_in(""); }
  std::uint64_t lost_in(const std::string& phase) const;
  bool with_worker(const Loss& loss) const;
  unsigned deaths() const;  // of workers that nobody has killed

  // Why the verification has failed, most important first, for people; empty: it has passed.
  std::vector<std::string> problems() const;
  // What is odd but no failure.
  std::vector<std::string> warnings() const;
};

// For people, on a terminal of 100 columns.
std::string as_text(const Findings& findings, const Task& task, bool colour);
// Everything, one object, with a line end.
std::string as_json(const Findings& findings, const Task& task);

}  // namespace liveswap::verify
