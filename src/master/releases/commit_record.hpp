#pragma once

#include <string>

#include "master/uv/loop.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Writes which release is committed: HEAD, and the record beside it (release/committed.hpp). A rollback goes
// on where that cannot be written; then it is tried again, ever more rarely, since each attempt may block the
// loop for as long as the disk takes to fail.
class CommitRecord {
 public:
  CommitRecord(uv_loop_t& loop, const rollout::Engine& engine, std::string head, std::string state_dir)
      : engine_(engine), head_(std::move(head)), state_dir_(std::move(state_dir)), timer_(loop) {}

  Result<void> write(const rollout::Release& release);
  // `trouble`: why the engine's release could not be written.
  void write_later(const std::string& trouble) { write_later(trouble, first_pause); }
  // The last chance before the master ends; what is to be said of it, or nothing.
  std::string write_at_last();
  // Why the committed release is not recorded yet; empty: it is.
  const std::string& trouble() const { return trouble_; }

 private:
  // A full disk may have room again later.
  static constexpr Milliseconds first_pause{1'000};
  static constexpr Milliseconds longest_pause{60'000};
  void write_later(const std::string& trouble, Milliseconds pause);

  const rollout::Engine& engine_;
  const std::string head_, state_dir_;
  std::string trouble_;
  Timer timer_;
};

}  // namespace liveswap::master
