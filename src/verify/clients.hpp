#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "load/accounting.hpp"
#include "load/options.hpp"

namespace liveswap::verify {

using Instant = std::chrono::steady_clock::time_point;

// A failed request.
struct Loss {
  std::string phase;
  Instant ended;
  std::uint16_t port = 0;  // local port of the connection; 0: none
  std::string reason;      // "reset: read: Connection reset by peer"
};

// The results of all clients.
struct Measured {
  struct Phase {
    std::string name;
    load::Tally tally;
  };
  std::vector<Phase> phases;  // in order of time; phases of the same name are merged
  load::Tally total;
  std::vector<Loss> losses;         // at most load::Accounting::most_failed of each generator
  std::uint64_t garbage = 0;        // unsolicited answers
  std::vector<std::string> faults;  // of the measurement itself, which invalidate it

  const load::Tally* find(const std::string& name) const;
};

// Load on the application from threads of this process: half of the requests on persistent connections, half
// on new ones; or plain connects. The rate is fixed (see src/load/schedule.hpp).
class Clients {
 public:
  struct Settings {
    std::string address;  // "127.0.0.1:80"
    std::string path;
    bool connect = false;
    unsigned count = 0;
  };
  // Starts immediately, with the phase "start".
  static Result<std::unique_ptr<Clients>> start(const Settings& settings);
  ~Clients();

  // Begins a phase.
  void mark(const std::string& phase);

  // Whether each kind of client has received an answer.
  bool answered() const;

  // Sends no more requests, waits for those in flight, closes the connections. Call last.
  Measured stop();

 private:
  struct Generator;
  Clients() = default;
  void add(const load::Options& options);

  std::vector<std::unique_ptr<Generator>> generators_;
};

}  // namespace liveswap::verify
