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

// What `liveswap status` says, as far as it matters here.
struct Snapshot {
  struct Worker {
    unsigned slot = 0;
    pid_t pid = 0;
    std::string state;
    std::string release;
  };
  std::string state;  // of the master
  std::string head;
  std::string address;  // of the listener that is asked, TCP where there is one; empty: there is none
  std::size_t slots = 0;
  unsigned restarts = 0;  // workers that died without an order, of all slots
  std::vector<Worker> workers;

  // Every slot has one worker, and it is ready.
  bool whole() const;
  std::set<pid_t> pids() const;
  // The code that runs: of a whole instance it stays the same through an upgrade that is reverted.
  std::set<std::string> releases() const;
};

// How an upgrade went.
struct Upgrade {
  std::string to;
  Outcome outcome;
  Milliseconds length{};
  std::vector<std::string> oddities;  // an old worker that crashed or was ended by force
};

// The application under liveswap: the very `liveswap start` that a user calls, in a process, a state
// directory and on ports of its own. Ended by force when this goes, and when a signal comes.
class Application {
 public:
  Application(const Task& task, const Workplace& place, Interrupt& interrupt);
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // Returns when every worker is ready.
  Result<void> start();

  Result<Snapshot> look() const;
  // Waits for it; the last look when it does not come.
  Result<Snapshot> look_until(Milliseconds limit,
                              const std::function<bool(const Snapshot&)>& condition) const;

  // `event` gets the lines before the answer. Callable from any thread.
  Upgrade upgrade(const std::string& path, const Client::Event& event = {}) const;

  // Lets every worker drain. An error when the master does not end, or not well.
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
