#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "liveswap.hpp"
#include "verify/child.hpp"
#include "verify/interrupt.hpp"
#include "verify/task.hpp"
#include "verify/workplace.hpp"

namespace liveswap::verify {

// The part of `liveswap status` needed here.
struct Snapshot {
  struct Worker {
    unsigned slot = 0;
    pid_t pid = 0;
    std::string state;
    std::string release;
  };
  std::string state;  // of the master
  std::string head;
  std::string address;  // of the listener for clients, preferably TCP; empty: none
  std::size_t slots = 0;
  unsigned restarts = 0;  // unexpected exits of workers, over all slots
  std::vector<Worker> workers;

  // Every slot has exactly one worker, which is ready.
  bool whole() const;
  std::set<pid_t> pids() const;
  // Ids of the running releases. If whole, a reverted upgrade leaves them unchanged.
  std::set<std::string> releases() const;
};

// The result of an upgrade.
struct Upgrade {
  std::string to;
  Outcome outcome;
  Milliseconds length{};
  std::vector<std::string> anomalies;  // old workers that crashed or were ended by force
};

// The application under test: a child process `liveswap start` with its own state directory and ports. Killed
// by the destructor and on a signal.
class Application {
 public:
  Application(const Task& task, const Workplace& place, Interrupt& interrupt);
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // Returns when every worker is ready.
  Result<void> start();

  Result<Snapshot> snapshot() const;
  // Polls until `condition` holds. At the limit, returns the last snapshot.
  Result<Snapshot> wait_until(Milliseconds limit,
                              const std::function<bool(const Snapshot&)>& condition) const;

  // `event` receives the lines before the answer. Thread-safe.
  Upgrade upgrade(const std::string& path, const Client::Event& event = {}) const;

  // Drains all workers and stops the master. An error if the master does not exit, or with a failure.
  Result<void> stop();

  pid_t pid() const { return master_->pid(); }
  bool ended() { return master_->ended(); }
  std::string last_lines_of_log() const;

 private:
  Result<bool> try_start(std::uint16_t port);
  std::string explain(const std::string& what) const;
  Client client(Milliseconds limit) const;

  const Task& task_;
  Interrupt& interrupt_;
  std::string log_;
  Client::Where where_;
  std::optional<Child> master_;
};

}  // namespace liveswap::verify
