#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "liveswap.hpp"
#include "master/releases/known_runtimes.hpp"
#include "master/releases/store_queries.hpp"
#include "release/committed_releases.hpp"
#include "release/store.hpp"
#include "rollout/fall_back.hpp"

namespace liveswap::master {

// Knows whether the bytes of a stored release still are the committed ones. liveswap-store hashes the bytes
// when it copies the release into the store, and again in examine(). Afterwards an unchanged seal of the
// release's directory (release/seal.hpp) shows that the files were not written to. A release whose bytes
// differ is not run; the nearest sound release runs instead.
class Soundness {
 public:
  using OnExamined = std::function<void(const rollout::Examined&)>;

  // All references must outlive this object. `store`: how to start liveswap-store.
  Soundness(uv_loop_t& loop, const spawn::Request& store, const Options& options,
            const rollout::Engine& engine, const release::CommittedReleases& committed,
            const rollout::FallBack& fall_back, KnownRuntimes& runtimes);

  // Whether the release was hashed and its seal is unchanged. If so, the release may run without examine().
  // Never for a directory, which has too many files for the loop: examine() then reads only those of its
  // files that were touched.
  bool is_sealed(const rollout::Release& release) const;
  // Stores the seal of a release that has just been hashed. Empty: the release must be examined before it
  // runs.
  void note_seal(const rollout::Release& release, const std::string& seal);
  // Has the release examined before another worker runs it: the disk may have damaged a file, which no seal
  // shows.
  void doubt(const rollout::Release& release);
  // Forgets the seals and findings of all other releases. If such a release is needed later, examine() hashes
  // it again.
  void keep_only(const std::set<std::string>& ids);
  // What the last examine() found wrong with the release; empty: nothing.
  std::string trouble_of(const rollout::Release& release) const;

  // Hashes the release in a process of liveswap-store; files with fs-verity are only read. If the
  // bytes differ and `substitute` is true, also searches for the nearest sound release (Examined::earlier).
  // `done` is called later, on the loop, and must not throw.
  void examine(const rollout::Release& release, bool substitute, OnExamined done);
  // Logs that the release is about to be hashed.
  void log_hashing(const rollout::Release& release) const;
  bool is_idle() const { return queries_.is_idle(); }
  // Ends all running examinations; `text` is the reason in their results.
  void give_up(const std::string& text) { queries_.give_up(text); }

  // The release's file in the store. Releases with the same content but different file names have different
  // files, and each file is hashed.
  std::string file_of(const rollout::Release& release) const { return store_.file(release.id, release.path); }

 private:
  bool is_hashed_tree(const rollout::Release& release) const;
  std::string path_of_workers() const;
  rollout::Examined examined(const rollout::Release& release, const Task::Result& result);
  void take_runtime(const rollout::Release& release, const nlohmann::json& answer, rollout::Examined& found);
  void find_substitute(const rollout::Release& release, const rollout::Examined& found, OnExamined done);
  void add_substitute(rollout::Examined& found, const std::vector<release::Committed>& own,
                      const Task::Result& result);

  const Options& options_;
  const rollout::Engine& engine_;
  const release::CommittedReleases& committed_;
  const rollout::FallBack& fall_back_;
  KnownRuntimes& runtimes_;
  const release::Store store_;
  StoreQueries queries_;
  // The keys are files in the store.
  std::map<std::string, std::string> seals_;    // from the last hashing
  std::map<std::string, std::string> unsound_;  // what is wrong
};

}  // namespace liveswap::master
