#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "master/control/open_requests.hpp"
#include "master/receipts/failures.hpp"
#include "master/releases/known_runtimes.hpp"
#include "master/sockets/listeners.hpp"
#include "master/uv/loop.hpp"
#include "master/workers/worker_pool.hpp"
#include "release/history.hpp"
#include "release/recorder.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Receipts of starts, upgrades and rollbacks that are not answered yet. The first note of a request opens a
// recorder; close() writes the receipt into the history. While an upgrade is under way, a timer samples the
// accept queues for its receipt.
class OpenReceipts {
 public:
  // The sources of a receipt's content. The references must outlive this object.
  struct Sources {
    const rollout::Engine& engine;
    const WorkerPool& pool;
    const Listeners& listeners;
    const OpenRequests& requests;
    const Failures& failures;
    const KnownRuntimes& runtimes;
    std::string target;  // the configured target, recorded as the requested value of a start
  };
  OpenReceipts(uv_loop_t& loop, release::History history, Sources sources);

  // Enters a note of the engine into the receipt of its request; the first note opens the receipt.
  void add(const rollout::Note& note);
  // nullptr: the request has no open receipt.
  release::Recorder* find(rollout::RequestId request);
  // The open receipt of the upgrade under way; nullptr: none.
  release::Recorder* of_upgrade();

  struct Closed {
    std::uint64_t number = 0;  // 0: no receipt, or the write failed (see the log)
    std::string text;          // `reason`; after a success, with a summary of the upgrade
  };
  // Ends the receipt and writes it. Blocks on the disk for one small file.
  Closed close(rollout::RequestId request, rollout::Verdict verdict, const std::string& reason);

  // The upgrade or rollback whose receipt was written last.
  struct LastUpgrade {
    rollout::Verdict verdict = rollout::Verdict::ok;
    std::string text;
    std::uint64_t receipt = 0;
    rollout::Time at{0};
  };
  const std::optional<LastUpgrade>& last_upgrade() const { return last_upgrade_; }
  // The open receipts as texts, by request, for the next master; and there.
  std::map<rollout::RequestId, std::string> save() const;
  void adopt(rollout::RequestId request, const std::string& text);
  // In the next image of the program.
  void resume(const std::optional<LastUpgrade>& last) { last_upgrade_ = last; }

 private:
  // The number is reserved when the receipt is opened: if this master is killed, the next one sees by it
  // whether the receipt has been written.
  struct Open {
    release::Recorder recorder;
    std::uint64_t number = 0;  // 0: none could be reserved
    bool is_written = false;   // by the killed master
    template <class Archive>
    void describe(Archive& a) {
      recorder.describe(a);
      a("number", number);
    }
  };

  void open(const rollout::Note& note);
  void begin(release::Recorder& receipt, const rollout::Note& note) const;
  void add_of_worker(release::Recorder& receipt, const rollout::Note& note) const;
  void add_end(release::Recorder& receipt, const rollout::Note& note) const;
  void sample_queues();

  release::History history_;
  Sources from_;
  std::map<rollout::RequestId, Open> open_;
  std::optional<LastUpgrade> last_upgrade_;
  Timer queue_timer_;
};

}  // namespace liveswap::master
