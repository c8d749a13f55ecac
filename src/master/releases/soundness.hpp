#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "liveswap.hpp"
#include "master/preparation/reader.hpp"
#include "release/committed_releases.hpp"
#include "release/store.hpp"
#include "rollout/fall_back.hpp"

namespace liveswap::master {

// Whether the bytes of stored releases are those that were committed. Before a release runs, its bytes have
// been hashed: when it was taken into the store, or by verify(), for which liveswap-store reads them. In
// between, the seal of the directory shows that the files were not written to (release/seal.hpp). A release
// whose bytes differ is not run; the nearest sound release serves.
class Soundness {
 public:
  using OnChecked = std::function<void(const rollout::Checked&)>;

  // All of them must outlive this object. `store`: liveswap-store.
  Soundness(uv_loop_t& loop, const SpawnRequest& store, const Options& options, const rollout::Engine& engine,
            const release::CommittedReleases& committed, const rollout::FallBack& fall_back);

  // Hashed, and not written to since.
  bool is_sealed(const rollout::Release& release) const;
  // `seal`: of bytes that have just been hashed. Empty: the release is verified before it runs.
  void note_seal(const rollout::Release& release, const std::string& seal);
  // Forgets all but these ids. A release that is needed all the same is hashed again.
  void keep_only(const std::set<std::string>& ids);
  // What the last verification found wrong with it; empty: nothing.
  std::string trouble_of(const rollout::Release& release) const;

  // Hashes the release. Where its bytes differ and a `substitute` is wanted, the nearest sound release is
  // looked for. `done` is called later, on the loop, and must not throw.
  void verify(const rollout::Release& release, bool substitute, OnChecked done);
  bool is_idle() const { return reader_.is_idle(); }
  // What is under way ends with `text`.
  void give_up(const std::string& text) { reader_.give_up(text); }

  // Where it lies in the store. The same content may have two names, which are two files: each is hashed for
  // itself.
  std::string file_of(const rollout::Release& release) const { return store_.file(release.id, release.path); }

 private:
  rollout::Checked checked(const rollout::Release& release, const Task::Result& result);
  void find_substitute(const rollout::Release& release, const rollout::Checked& found, OnChecked done);
  void add_substitute(rollout::Checked& found, const std::vector<release::Committed>& own,
                      const Task::Result& result);

  const Options& options_;
  const rollout::Engine& engine_;
  const release::CommittedReleases& committed_;
  const rollout::FallBack& fall_back_;
  const release::Store store_;
  Reader reader_;
  // By file in the store.
  std::map<std::string, std::string> seals_;    // of what was hashed
  std::map<std::string, std::string> unsound_;  // what is wrong
};

// Says that the release is about to be verified.
void log_hashing(const rollout::Release& release);

}  // namespace liveswap::master
