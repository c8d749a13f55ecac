#pragma once

#include <string>

#include "master/uv/loop.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Writes HEAD and the record of the committed release (release/committed.hpp). If the write fails, a rollback
// goes on all the same, and a timer retries the write. The pauses grow, because each attempt may block the
// loop until the disk reports the error.
class CommitRecord {
 public:
  CommitRecord(uv_loop_t& loop, const rollout::Engine& engine, std::string head, std::string state_dir)
      : engine_(engine), head_(std::move(head)), state_dir_(std::move(state_dir)), timer_(loop) {}

  Result<void> write(const rollout::Release& release);
  // Starts the retries. `trouble`: why writing the engine's release has failed.
  void write_later(const std::string& trouble, Milliseconds pause = first_pause);
  // Tries once more if a write is pending; call before the master ends. Returns a message for the user if
  // that fails too, else an empty text.
  std::string write_at_last();
  // Why the last write has failed; empty: the committed release is recorded.
  const std::string& trouble() const { return trouble_; }

 private:
  // A full disk may have room again later.
  static constexpr Milliseconds first_pause{1'000};
  static constexpr Milliseconds longest_pause{60'000};

  const rollout::Engine& engine_;
  const std::string head_, state_dir_;
  std::string trouble_;
  Timer timer_;
};

}  // namespace liveswap::master
