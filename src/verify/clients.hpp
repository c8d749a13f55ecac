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

// A request that failed.
struct Loss {
  std::string phase;
  Instant ended;
  std::uint16_t port = 0;  // of the client's connection; 0: it had none
  std::string reason;      // "reset: read: Connection reset by peer"
};

// What the clients have seen.
struct Measured {
  struct Phase {
    std::string name;
    load::Tally tally;
  };
  std::vector<Phase> phases;  // in the order of their beginning; those of one name are one
  load::Tally total;
  std::vector<Loss> losses;         // no more than fit in the books: load::Accounting::most_failed
  std::uint64_t garbage = 0;        // answers that nobody asked for
  std::vector<std::string> faults;  // of the measuring itself: its figures are worth nothing then

  const load::Tally* find(const std::string& name) const;
};

// Load on the application, by threads of this process: half of the requests on connections that are kept,
// half on new ones; or plain connects. A fixed rate, whatever becomes of the requests (src/load says why).
class Clients {
 public:
  struct Orders {
    std::string address;  // "127.0.0.1:80"
    std::string path;
    bool connect = false;
    unsigned count = 0;
  };
  // Begins at once, in a phase "start".
  static Result<std::unique_ptr<Clients>> start(const Orders& orders);
  ~Clients();

  // A phase of that name begins.
  void mark(const std::string& phase);

  // Every kind of client has had an answer.
  bool answered() const;

  // No further requests; returns when those under way have ended. Closes the connections. The last call.
  Measured stop();

 private:
  struct Crew;
  Clients() = default;
  void add(const load::Options& options);

  std::vector<std::unique_ptr<Crew>> crews_;
};

}  // namespace liveswap::verify
