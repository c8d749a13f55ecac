#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/history.hpp"
#include "release/recorder.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// The receipts of what is under way: a recorder for each start, upgrade and rollback from its beginning until
// its answer, when it goes into the history.
class OpenReceipts {
 public:
  using Json = nlohmann::json;

  explicit OpenReceipts(release::History history) : history_(std::move(history)) {}

  void open(rollout::RequestId request, rollout::Time now, const Json& head);
  // Nothing when that request has no receipt (any more).
  release::Recorder* find(rollout::RequestId request);
  // The workers that serve when an upgrade begins to roll, and what it goes to.
  void begin(rollout::RequestId request, const rollout::Engine& engine,
             const std::map<rollout::WorkerId, pid_t>& pids, const rollout::Note& note);
  struct Closed {
    std::uint64_t number = 0;  // 0: there is none, or it could not be written (the log has why)
    std::string text;          // `reason`; of an upgrade or rollback that succeeded, with what it has done
  };
  // Ends the receipt and writes it. Blocks on the disk for one small file.
  Closed close(rollout::RequestId request, rollout::Time now, const std::string& outcome,
               const std::string& reason);

  // A release has been committed. Its receipt is written when the upgrade is answered, which may be an hour
  // later. `left`: the id of the release that a rollback to it went away from; empty: it was no rollback.
  void committed(const rollout::Release& release, const std::string& left);
  // The last `k` different releases that this master has committed, newest first.
  std::vector<release::Committed> committed(std::size_t k) const;
  // Whether somebody has rolled away from it, and it was not committed again since.
  bool is_left(const std::string& id) const { return left_.contains(id); }

 private:
  release::History history_;
  std::vector<release::Committed> committed_;  // by this master, newest first, each once
  std::set<std::string> left_;                 // ids, of these
  std::map<rollout::RequestId, release::Recorder> open_;
};

// {"path", "id", "generation"}, or null for no release; null for an id or generation that it has not got yet.
nlohmann::json release_json(const rollout::Release& release, rollout::Generation generation);

}  // namespace liveswap::master
